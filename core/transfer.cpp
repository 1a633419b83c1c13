// Copies between devices: their order, and the bytes' way: straight, or through the host.
// SPDX-License-Identifier: Apache-2.0
#include "core/transfer.hpp"

#include <algorithm>

#include "core/device.hpp"
#include "core/memory.hpp"
#include "jit/trace.hpp"

namespace noyau {
namespace {

constexpr std::size_t piece = std::size_t{16} << 20;  // between two devices without host memory

/// The nodes that must have values before the transfers, these included, by creation.
std::vector<Node*> pending_below(std::span<const NodeRef> transfers) {
  const std::uint64_t walk = jit::next_walk();
  std::vector<Node*> found;
  const auto visit = [&](Node* node) {
    if (node == nullptr || node->visit == walk || node->is_evaluated()) return;
    node->visit = walk;
    found.push_back(node);
  };
  for (const NodeRef& transfer : transfers) visit(transfer.node());
  for (std::size_t k = 0; k < found.size(); ++k) {
    for (const NodeRef& input : value_inputs(*found[k])) visit(input.node());
    visit(found[k]->base.node());
  }
  std::sort(found.begin(), found.end(),
            [](const Node* a, const Node* b) { return a->number < b->number; });
  for (std::size_t k = 0; k < found.size(); ++k)
    found[k]->visit_index = static_cast<std::int32_t>(k);
  return found;
}

}  // namespace

std::vector<std::vector<NodeRef>> transfer_rounds(std::span<const NodeRef> transfers) {
  const std::vector<Node*> nodes = pending_below(transfers);
  std::vector<std::size_t> after(nodes.size(), 0);  // how many rounds come before the node
  std::vector<std::vector<NodeRef>> rounds;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const auto need = [&](const Node* input) {
      if (input == nullptr || input->is_evaluated()) return;
      const std::size_t before = after[static_cast<std::size_t>(input->visit_index)];
      after[k] = std::max(after[k], before + (input->kind == NodeKind::transfer ? 1 : 0));
    };
    for (const NodeRef& input : value_inputs(*nodes[k])) need(input.node());
    need(nodes[k]->base.node());
    if (nodes[k]->kind != NodeKind::transfer) continue;
    if (rounds.size() <= after[k]) rounds.resize(after[k] + 1);
    rounds[after[k]].emplace_back(nodes[k], 0);
  }
  return rounds;
}

BufferRef copy_to(DeviceBackend& to, const Storage& from, std::size_t bytes) {
  DeviceBackend& source = *from.buffer->device;
  const std::byte* data = from.buffer->data + from.offset;
  BufferRef buffer =
      to.limits().host_memory ? memory::allocate_for_host(to, bytes) : memory::allocate(to, bytes);
  if (bytes == 0) return buffer;
  if (source.limits().host_memory) {
    to.copy_from_host(data, buffer->data, bytes);
  } else if (to.limits().host_memory) {
    source.copy_to_host(data, buffer->data, bytes);
  } else if (!to.original().copy_from_device(source.original(), data, buffer->data, bytes)) {
    std::vector<std::byte> staged(std::min(bytes, piece));
    for (std::size_t at = 0; at < bytes; at += piece) {
      const std::size_t now = std::min(piece, bytes - at);
      source.copy_to_host(data + at, staged.data(), now);
      to.copy_from_host(staged.data(), buffer->data + at, now);
    }
  }
  return buffer;
}

std::vector<std::byte> host_copy(const Storage& from, std::int64_t first, std::size_t bytes) {
  std::vector<std::byte> copy(bytes);
  if (bytes > 0) {
    from.buffer->device->copy_to_host(from.buffer->data + from.offset + first, copy.data(), bytes);
  }
  return copy;
}

}  // namespace noyau
