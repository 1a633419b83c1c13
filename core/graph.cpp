// Making nodes and views, counting references, and destroying long chains without recursion.
// SPDX-License-Identifier: Apache-2.0
#include "core/graph.hpp"

#include <fmt/format.h>

#include "core/fold.hpp"
#include "core/node_group.hpp"
#include "noyau/error.hpp"
#include "ops/op_table.hpp"

namespace noyau {
namespace {

std::atomic<std::uint64_t> next_number{1};

// Nodes whose count fell to zero while another is being destroyed wait in this list.
thread_local bool destroying = false;
thread_local Node* dead = nullptr;

// The line of the outermost CallerScope.
thread_local const char* scope_file = nullptr;
thread_local int scope_line = 0;

/// Drops one reference; a node without any joins the dead.
void drop(Node* node) noexcept {
  if (node->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  node->next_dead = dead;
  dead = node;
}

/// Deletes the dead and what only they held. One call is at work at a time in a thread, so neither
/// a chain of nodes nor arrays captured by attributes make it recurse.
void bury() noexcept {
  if (destroying) return;
  destroying = true;
  while (dead != nullptr) {
    Node* node = std::exchange(dead, dead->next_dead);
    for (NodeRef& input : node->inputs) {
      if (Node* held = input.release()) drop(held);
    }
    if (Node* held = node->base.release()) drop(held);
    leave_group(*node);
    delete node;
  }
  destroying = false;
}

Device device_of(const NodeSpec& spec) {
  if (spec.device) return spec.device;
  if (spec.inputs.empty()) return default_device();
  const Device first = spec.inputs[0].node()->device;
  for (const Array& input : spec.inputs) {
    if (input.node()->device == first) continue;
    throw DeviceError(fmt::format(
        "[{}] inputs live on two devices, {} and {}: an operation runs where its inputs are; move "
        "one of them with x.to(device)",
        operation_name(spec.kind, spec.code), first.name(), input.node()->device.name()));
  }
  return first;
}

/// Views that are being evaluated by another thread lose their base at any moment.
class BaseGuard {
 public:
  explicit BaseGuard(Node& node) : flag_(node.base_guard) {
    while (flag_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~BaseGuard() { flag_.clear(std::memory_order_release); }
  BaseGuard(const BaseGuard&) = delete;
  BaseGuard& operator=(const BaseGuard&) = delete;

 private:
  std::atomic_flag& flag_;
};

}  // namespace

namespace detail {

void retain_handle(Node* node) noexcept {
  node->handles.fetch_add(1, std::memory_order_relaxed);
  node->references.fetch_add(1, std::memory_order_relaxed);
}

void release_handle(Node* node) noexcept {
  node->handles.fetch_sub(1, std::memory_order_relaxed);
  drop(node);
  bury();
}

}  // namespace detail

NodeRef::NodeRef(Node* node, int output) : node_(node), output_(output) {
  if (node_ != nullptr) node_->references.fetch_add(1, std::memory_order_relaxed);
}

NodeRef::~NodeRef() {
  if (node_ == nullptr) return;
  drop(node_);
  bury();
}

NodeRef NodeRef::if_alive(Node* node) {
  NodeRef held;
  std::uint32_t count = node->references.load(std::memory_order_relaxed);
  while (count > 0)
    if (node->references.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel)) {
      held.node_ = node;
      break;
    }
  return held;
}

Array NodeRef::array() const {
  if (node_ == nullptr) return {};
  detail::retain_handle(node_);
  return Array::adopt(node_, output_);
}

Array make_node(const NodeSpec& spec) {
  for (const Array& input : spec.inputs) {
    if (!input) {
      throw ValueError(
          fmt::format("[{}] an input is an Array that holds nothing: assign one to it first",
                      operation_name(spec.kind, spec.code)));
    }
  }
  byte_size(spec.shape, spec.dtype);  // an array that could never be stored is refused here
  const Device device = device_of(spec);
  if (std::optional<Array> folded = fold(spec)) return *folded;

  auto node = std::make_unique<Node>();
  node->kind = spec.kind;
  node->code = spec.code;
  node->output_count = static_cast<std::uint8_t>(spec.output_count);
  node->dtype = spec.dtype;
  node->shape = spec.shape;
  node->device = device;
  node->attributes = spec.attributes;
  node->number = next_number.fetch_add(1, std::memory_order_relaxed);
  node->file = scope_file != nullptr ? scope_file : spec.file;
  node->line = scope_file != nullptr ? scope_line : spec.line;
  node->allowed = allowed_precision();
  node->inputs.reserve(spec.inputs.size());
  for (const Array& input : spec.inputs) {
    node->inputs.emplace_back(input);
    if (input.node()->frame == 0) continue;
    node->frame = std::max(node->frame, innermost_open_frame(input.node()->frame));
  }
  detail::retain_handle(node.get());
  return Array::adopt(node.release());
}

CallerScope::CallerScope(const char* file, int line) : outermost_(scope_file == nullptr) {
  if (!outermost_) return;
  scope_file = file;
  scope_line = line;
}
CallerScope::~CallerScope() {
  if (outermost_) scope_file = nullptr;
}

Array make_data(DType dtype, const Shape& shape, Device device, Storage storage) {
  Array array =
      make_node({.kind = NodeKind::data, .dtype = dtype, .shape = shape, .device = device});
  array.node()->storage.push_back(std::move(storage));
  array.node()->status.store(NodeStatus::evaluated, std::memory_order_release);
  return array;
}

ViewOf view_of(const Array& array) {
  Node* node = array.node();
  if (node->kind == NodeKind::view && !node->is_evaluated()) {
    BaseGuard guard(*node);
    if (node->base.node() != nullptr) {
      const auto& view = std::get<ViewAttributes>(node->attributes);
      return {node->base.node(), node->base.output(), view.offset, view.strides, node->base};
    }
  }
  return {node, array.output(), 0, node->shape.dense_strides(), NodeRef(array)};
}

Array make_view(const Array& input, const ViewOf& of, const Shape& shape, ViewAttributes attributes,
                const char* file, int line) {
  if (of.base->kind == NodeKind::constant) {
    return make_node({.kind = NodeKind::constant,
                      .dtype = of.base->dtype,
                      .shape = shape,
                      .attributes = of.base->attributes,
                      .device = of.base->device,
                      .file = file,
                      .line = line});
  }
  Array view = make_node({.kind = NodeKind::view,
                          .dtype = input.dtype(),
                          .shape = shape,
                          .inputs = {&input, 1},
                          .attributes = std::move(attributes),
                          .file = file,
                          .line = line});
  view.node()->base = of.hold;
  return view;
}

std::span<const NodeRef> value_inputs(const Node& node) {
  const std::span<const NodeRef> all(node.inputs);
  return node.kind == NodeKind::custom_gradient ? all.first(1) : all;
}

void drop_inputs(Node& node) {
  std::vector<NodeRef> inputs = std::move(node.inputs);
  NodeRef base;
  if (node.kind == NodeKind::view) {
    BaseGuard guard(node);
    base = std::move(node.base);
  }
  node.inputs.clear();
}  // what they held dies here, outside the guard

std::string_view name(NodeKind kind) {
  constexpr std::string_view names[node_kind_count] = {"data",
                                                       "constant",
                                                       "iota",
                                                       "elementwise",
                                                       "cast",
                                                       "view",
                                                       "reduce",
                                                       "arg_reduce",
                                                       "roll",
                                                       "pad",
                                                       "concatenate",
                                                       "set",
                                                       "random",
                                                       "matmul",
                                                       "convolution",
                                                       "convolution_input_gradient",
                                                       "convolution_weight_gradient",
                                                       "max_pool",
                                                       "max_pool_gradient",
                                                       "max_pool_gather",
                                                       "avg_pool",
                                                       "avg_pool_gradient",
                                                       "watch",
                                                       "stop_gradient",
                                                       "custom_gradient",
                                                       "transfer"};
  return names[static_cast<int>(kind)];
}

std::string_view operation_name(NodeKind kind, std::uint8_t code) {
  constexpr std::string_view reductions[] = {"sum", "prod", "min", "max", "any", "all"};
  if (kind == NodeKind::elementwise) return ops::row(code).name;
  if (kind == NodeKind::reduce) return reductions[code];
  if (kind == NodeKind::arg_reduce) {
    return static_cast<ReduceOp>(code) == ReduceOp::minimum ? "argmin" : "argmax";
  }
  return name(kind);
}

}  // namespace noyau
