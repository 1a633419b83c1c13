// The reference evaluator's walk over the graph, and reading what is stored.
// SPDX-License-Identifier: Apache-2.0
#include "ops/reference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "core/device.hpp"
#include "noyau/error.hpp"
#include "ops/reference_ops.hpp"

namespace noyau::reference {
namespace {

/// The values of dense elements in memory.
Value unpack(DType dtype, const Shape& shape, const std::byte* data) {
  Value value(dtype, shape);
  const std::size_t bytes = size_of(dtype);
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, data + i * bytes, bytes);
    const Value one = scalar_value({dtype, bits});
    value.copy_element(i, one, 0);
  }
  return value;
}

/// Values while they are needed: those of pending nodes are dropped after their last use.
class Memory {
 public:
  Memory(std::span<const Array> arrays, const std::vector<Node*>& nodes) {
    for (const Array& array : arrays) ++uses_[array.node()];
    for (const Node* node : nodes) {
      for (const NodeRef& input : inputs_of(*node)) ++uses_[input.node()];
    }
  }
  const Value& at(const NodeRef& ref) {
    auto [place, is_new] = values_.try_emplace(ref.node());
    if (is_new) {
      for (int output = 0; output < ref->output_count; ++output) {
        place->second.push_back(stored(*ref.node(), output));
      }
    }
    return place->second[static_cast<std::size_t>(ref.output())];
  }
  void put(const Node* node, std::vector<Value> outputs) { values_[node] = std::move(outputs); }
  void used(const Node* node) {
    if (--uses_[node] == 0) values_.erase(node);
  }

 private:
  std::unordered_map<const Node*, std::vector<Value>> values_;
  std::unordered_map<const Node*, std::int64_t> uses_;
};

}  // namespace

Value::Value(DType type, const Shape& extents) : dtype(type), shape(extents) {
  const auto count = static_cast<std::size_t>(shape.elements());
  if (is_real()) reals.resize(count);
  else integers.resize(count);
}

double Value::to_double(std::size_t i) const {
  if (is_real()) return reals[i];
  return is_signed_integer(dtype) ? static_cast<double>(static_cast<std::int64_t>(integers[i]))
                                  : static_cast<double>(integers[i]);
}

Value scalar_value(Scalar scalar) {
  Value value(scalar.dtype, {});
  if (value.is_real()) value.reals[0] = scalar.to_double();
  else value.integers[0] = wrap(scalar.dtype, scalar.bits);
  return value;
}

Value stored(const Node& node, int output) {
  const DType dtype = node.dtype_of(output);
  const auto bytes = static_cast<std::size_t>(byte_size(node.shape, dtype));
  const Storage& storage = node.storage.at(static_cast<std::size_t>(output));
  DeviceBackend& device = *storage.buffer->device;
  device.wait(storage.buffer->written.load());
  if (device.limits().host_memory) {
    return unpack(dtype, node.shape, storage.buffer->data + storage.offset);
  }
  std::vector<std::byte> copy(bytes);
  detail::read_values(NodeRef(const_cast<Node*>(&node), output).array(), copy.data(), dtype);
  return unpack(dtype, node.shape, copy.data());
}

Value computed(const Array& array) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(byte_size(array.shape(), array.dtype())));
  detail::read_values(array, bytes.data(), array.dtype());
  return unpack(array.dtype(), array.shape(), bytes.data());
}

std::vector<NodeRef> inputs_of(const Node& node) {
  if (node.kind == NodeKind::custom_gradient) return {node.inputs.at(0)};
  return node.inputs;
}

std::vector<Node*> pending_nodes(std::span<const Array> arrays) {
  std::unordered_set<const Node*> seen;
  std::vector<Node*> found, open;
  auto visit = [&](Node* node) {
    if (!node->is_evaluated() && seen.insert(node).second) open.push_back(node);
  };
  for (const Array& array : arrays) visit(array.node());
  while (!open.empty()) {
    Node* node = open.back();
    open.pop_back();
    if (node->status.load() == NodeStatus::failed) std::rethrow_exception(node->failure);
    found.push_back(node);
    for (const NodeRef& input : inputs_of(*node)) visit(input.node());
  }
  std::sort(found.begin(), found.end(),
            [](const Node* a, const Node* b) { return a->number < b->number; });
  return found;
}

std::vector<Value> apply(const Node& node, Inputs in, Rounding rounding) {
  const auto x = [&in](std::size_t k) -> const Value& { return *in[k]; };
  switch (node.kind) {
    case NodeKind::data:
      break;
    case NodeKind::constant: {
      const Value one = scalar_value(std::get<Scalar>(node.attributes));
      Value all(node.dtype, node.shape);
      for (std::size_t i = 0; i < all.size(); ++i) all.copy_element(i, one, 0);
      return {all};
    }
    case NodeKind::iota:
      return {iota(node, rounding)};
    case NodeKind::elementwise:
      return {elementwise(node, in, rounding)};
    case NodeKind::cast:
      return {convert(x(0), node.dtype, rounding)};
    case NodeKind::reduce:
      return {reduce(node, x(0), rounding)};
    case NodeKind::arg_reduce:
      return {arg_reduce(node, x(0))};
    case NodeKind::view:
    case NodeKind::roll:
    case NodeKind::pad:
    case NodeKind::concatenate:
    case NodeKind::set:
    case NodeKind::max_pool_gather:
      return {moved(node, in)};
    case NodeKind::random:
      return {random(node, rounding)};
    case NodeKind::matmul:
      return {matmul(node, x(0), x(1), rounding)};
    case NodeKind::convolution:
      return {convolution(node, x(0), x(1), rounding)};
    case NodeKind::convolution_input_gradient:
      return {convolution_input_gradient(node, x(0), x(1), rounding)};
    case NodeKind::convolution_weight_gradient:
      return {convolution_weight_gradient(node, x(0), x(1), rounding)};
    case NodeKind::max_pool:
      return max_pool(node, x(0));
    case NodeKind::max_pool_gradient:
      return {max_pool_gradient(node, x(0), x(1), rounding)};
    case NodeKind::avg_pool:
      return {avg_pool(node, x(0), rounding)};
    case NodeKind::avg_pool_gradient:
      return {avg_pool_gradient(node, x(0), rounding)};
    case NodeKind::watch:
    case NodeKind::stop_gradient:
    case NodeKind::custom_gradient:
    case NodeKind::transfer:
      return {x(0)};
  }
  throw InternalError(fmt::format("the reference evaluator met a pending {} node, number {}",
                                  name(node.kind), node.number));
}

std::vector<Value> evaluate(std::span<const Array> arrays, Rounding rounding) {
  const std::vector<Node*> nodes = pending_nodes(arrays);
  Memory memory(arrays, nodes);
  for (const Node* node : nodes) {
    const std::vector<NodeRef> inputs = inputs_of(*node);
    std::vector<const Value*> values;
    for (const NodeRef& input : inputs) values.push_back(&memory.at(input));
    memory.put(node, apply(*node, values, rounding));
    for (const NodeRef& input : inputs) memory.used(input.node());
  }
  std::vector<Value> results;
  for (const Array& array : arrays) {
    Value value = memory.at(NodeRef(array));
    results.push_back(std::move(value));
  }
  return results;
}

Value evaluate(const Array& array, Rounding rounding) {
  return evaluate(std::span<const Array>(&array, 1), rounding).front();
}

}  // namespace noyau::reference
