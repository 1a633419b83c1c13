// Groups are rings through their nodes, so that joining, leaving and uniting take constant time.
// SPDX-License-Identifier: Apache-2.0
#include "core/node_group.hpp"

#include <mutex>

namespace noyau {
namespace {

/// Guards the rings. Nothing else is locked, and no node destroyed, while it is held.
std::mutex& ring_mutex() {
  static std::mutex* leaked = new std::mutex;
  return *leaked;
}

Node* next_of(const Node* node) { return node->group_next.load(std::memory_order_relaxed); }

void link(Node* before, Node* after) {
  before->group_next.store(after, std::memory_order_relaxed);
  after->group_previous = before;
}

bool in_ring_of(const Node* node, const Node* wanted) {
  for (const Node* n = node;;) {
    if (n == wanted) return true;
    n = next_of(n);
    if (n == node) return false;
  }
}

}  // namespace

void join_group(std::span<const Array> arrays) {
  std::lock_guard lock(ring_mutex());
  Node* first = nullptr;
  for (const Array& array : arrays) {
    Node* node = array.node();
    if (node->is_evaluated()) continue;
    const bool alone = next_of(node) == nullptr;
    if (alone) link(node, node);
    if (first == nullptr) first = node;
    if (node == first || (!alone && in_ring_of(node, first))) continue;
    // Two rings become one when they exchange what follows a node of each.
    Node *after_first = next_of(first), *after_node = next_of(node);
    link(first, after_node);
    link(node, after_first);
  }
}

std::vector<NodeRef> members_of_group(Node& node) {
  std::vector<NodeRef> members;
  if (next_of(&node) == nullptr) return members;
  std::lock_guard lock(ring_mutex());
  Node* at = &node;
  do {
    if (NodeRef member = NodeRef::if_alive(at); member.node() != nullptr)
      members.push_back(std::move(member));
    at = next_of(at);
  } while (at != &node);
  return members;
}

void leave_group(Node& node) noexcept {
  if (next_of(&node) == nullptr) return;
  std::lock_guard lock(ring_mutex());
  link(node.group_previous, next_of(&node));
  node.group_next.store(nullptr, std::memory_order_relaxed);
}

}  // namespace noyau
