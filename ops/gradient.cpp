// Gradients: frames, and the reverse walk in creation order.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/grad.hpp"

#include <fmt/format.h>

#include <limits>

#include "core/node_group.hpp"
#include "noyau/error.hpp"
#include "ops/gradient_frames.hpp"
#include "ops/gradient_rules.hpp"

namespace noyau {
namespace {

/// A node that the result depends on, and what is known of its cotangent so far.
struct Step {
  Node* node;
  bool depends = false;  ///< on a watched input, through nodes that have a gradient
  bool masked = false;
  Array cotangent;  ///< of output 0
};

/// The walk from a result back to the inputs of one frame.
class Walk {
 public:
  Walk(Node* result, std::uint64_t frame, std::span<const Array> watched) : frame_(frame) {
    for (const Array& input : watched) watched_.push_back(input.node());
    collect(result);
    mark();
  }

  /// The cotangent of the frame's inputs, in their order; empty where there is none.
  std::vector<Array> run(const Array& result, const Array& cotangent) {
    std::vector<Array> found(watched_.size());
    if (Step* last = step_of(result.node())) last->cotangent = cotangent;
    for (std::size_t i = steps_.size(); i-- > 0;) {
      Step& step = steps_[i];
      const Array arrived = std::exchange(step.cotangent, {});
      if (!step.depends || arrived.node() == nullptr) continue;
      const std::optional<std::size_t> input = watched_number(step.node);
      if (input) found[*input] = arrived;
      else pass_on(step, arrived);
    }
    return found;
  }

 private:
  /// Everything below the result that was made since the frame was opened, in creation order: the
  /// order of the numbers, so that nothing is sorted or hashed.
  void collect(Node* result) {
    first_ = frame_first(watched_);
    if (!belongs(result)) return;
    std::vector<Node*> by_number(static_cast<std::size_t>(result->number - first_ + 1));
    std::vector<Node*> open{result};
    std::size_t count = 0;
    while (!open.empty()) {
      Node* node = open.back();
      open.pop_back();
      Node*& mine = by_number[static_cast<std::size_t>(node->number - first_)];
      if (mine != nullptr) continue;
      mine = node;
      ++count;
      for (const NodeRef& input : node->inputs) {
        if (belongs(input.node())) open.push_back(input.node());
      }
    }
    steps_.reserve(count);
    index_.assign(by_number.size(), none);
    for (std::size_t k = 0; k < by_number.size(); ++k) {
      if (by_number[k] == nullptr) continue;
      index_[k] = static_cast<std::uint32_t>(steps_.size());
      steps_.push_back({.node = by_number[k], .cotangent = {}});
    }
  }

  /// The inputs were made first of all nodes of the frame.
  static std::uint64_t frame_first(std::span<const Node* const> watched) {
    std::uint64_t first = std::numeric_limits<std::uint64_t>::max();
    for (const Node* node : watched) first = std::min(first, node->number);
    return first;
  }
  /// Only nodes of this frame, or of those inside it, depend on it and keep their inputs.
  bool belongs(const Node* node) const { return node->frame >= frame_ && node->number >= first_; }

  Step* step_of(const Node* node) {
    if (!belongs(node)) return nullptr;
    const auto k = static_cast<std::size_t>(node->number - first_);
    return k < index_.size() && index_[k] != none ? &steps_[index_[k]] : nullptr;
  }

  /// Which of the frame's inputs a node is.
  std::optional<std::size_t> watched_number(const Node* node) const {
    if (node->kind != NodeKind::watch) return std::nullopt;
    const auto found = std::find(watched_.begin(), watched_.end(), node);
    if (found == watched_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - watched_.begin());
  }

  void mark() {
    for (Step& step : steps_) {
      const Node& node = *step.node;
      if (!is_floating(node.dtype) || node.kind == NodeKind::stop_gradient) continue;
      step.depends = watched_number(&node).has_value();
      for (const NodeRef& input : node.inputs) step.depends = step.depends || depends(input);
    }
  }

  bool depends(const NodeRef& input) {
    if (input.output() != 0) return false;
    const Step* step = step_of(input.node());
    return step != nullptr && step->depends;
  }

  void pass_on(const Step& step, const Array& cotangent) {
    const Node& node = *step.node;
    const CallerScope scope(node.file, node.line);
    ops::Backward b{.node = node,
                    .result = NodeRef(step.node, 0).array(),
                    .cotangent = cotangent,
                    .masked = step.masked,
                    .wanted = {},
                    .cotangents = {}};
    for (const NodeRef& input : node.inputs) b.wanted.push_back(depends(input));
    b.cotangents.resize(node.inputs.size());
    ops::differentiate(b);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (b.wanted[i] && b.cotangents[i]) add(node.inputs[i], b.cotangents[i], b.masked || b.masks);
    }
  }

  void add(const NodeRef& input, const Array& more, bool masked) {
    if (!(more.shape() == input->shape) || more.dtype() != input->dtype) {
      throw InternalError(fmt::format("a gradient of {} {} for an input of {} {}",
                                      name(more.dtype()), to_string(more.shape()),
                                      name(input->dtype), to_string(input->shape)));
    }
    Step& step = *step_of(input.node());
    step.cotangent = step.cotangent ? noyau::add(step.cotangent, more) : more;
    step.masked = step.masked || masked;
  }

  std::uint64_t frame_;
  std::vector<const Node*> watched_;
  std::vector<Step> steps_;
  std::uint64_t first_ = 0;           ///< the least number of the frame's nodes
  std::vector<std::uint32_t> index_;  ///< number - first_ -> its step
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
};

/// The identity of x that gradients are taken with respect to.
Array watch(const Array& x, std::uint64_t frame) {
  Array watched = make_node({.kind = NodeKind::watch,
                             .dtype = x.dtype(),
                             .shape = x.shape(),
                             .inputs = {&x, 1},
                             .file = x.node()->file,
                             .line = x.node()->line});
  Node& node = *watched.node();
  node.frame = frame;
  if (x.node()->is_evaluated()) {
    node.storage.push_back(x.node()->storage[static_cast<std::size_t>(x.output())]);
    node.status.store(NodeStatus::evaluated, std::memory_order_release);
    release_inputs(node);  // when the frame closes
  }
  return watched;
}

Array first_cotangent(const Array& result, const Array& cotangent) {
  if (!is_floating(result.dtype())) {
    throw DtypeError(
        fmt::format("[grad] the function's result is {}: only floats have gradients; convert with "
                    "astype(x, noyau::float32) where a gradient of zero is not meant",
                    name(result.dtype())));
  }
  if (cotangent.node() == nullptr) {
    if (result.size() == 1) return ops::constant_like(1, result);
    throw ShapeError(
        fmt::format("[grad] the function's result has shape {}: a gradient is of one number; sum "
                    "or average the result, or use vjp(f, x, cotangent)",
                    to_string(result.shape())));
  }
  if (!(cotangent.shape() == result.shape())) {
    throw ShapeError(fmt::format(
        "[vjp] the cotangent has shape {}, the function's result {}: they must be the same",
        to_string(cotangent.shape()), to_string(result.shape())));
  }
  return ops::cast(cotangent, result.dtype(), {});
}

}  // namespace

Array stop_gradient(Operand x) {
  const Array a = ops::to_array(x);
  if (a.node()->frame == 0) return a;  // it depends on nothing that has a gradient
  return make_node({.kind = NodeKind::stop_gradient,
                    .dtype = a.dtype(),
                    .shape = a.shape(),
                    .inputs = {&a, 1},
                    .file = x.file(),
                    .line = x.line()});
}

namespace detail {

GradientFrame::GradientFrame(std::span<const Array> inputs) {
  for (const Array& x : inputs) {
    if (is_floating(x.dtype())) continue;
    throw DtypeError(
        fmt::format("[grad] with respect to an array of {}: only floats have gradients; convert "
                    "with astype(x, noyau::float32) first",
                    name(x.dtype())));
  }
  id_ = open_frame();
  try {
    for (const Array& x : inputs) inputs_.push_back(watch(x, id_));
  } catch (...) {
    close_frame(id_);
    throw;
  }
}

GradientFrame::~GradientFrame() { close_frame(id_); }

std::vector<Array> GradientFrame::gradients(const Array& result, const Array& cotangent) const {
  const Array first = first_cotangent(result, cotangent);
  Walk walk(result.node(), id_, inputs_);
  std::vector<Array> found = walk.run(result, first);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i].node() == nullptr) found[i] = ops::constant_like(0, inputs_[i]);
  }
  return found;
}

void group_results(std::span<const Array> results) { join_group(results); }

}  // namespace detail
}  // namespace noyau
