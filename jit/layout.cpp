// Layout: votes, propagation, and the operands of library calls.
// SPDX-License-Identifier: Apache-2.0
#include "jit/layout.hpp"

#include "core/module.hpp"
#include "jit/affine.hpp"
#include "jit/fusion.hpp"

namespace noyau::jit {
namespace {

/// Pictures of fewer channels would leave most lanes idle in the kernels around the convolution.
constexpr std::int64_t least_channels = 8;

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

bool is_convolution(NodeKind kind) {
  return kind == NodeKind::convolution || kind == NodeKind::convolution_input_gradient;
}
bool is_pool(NodeKind kind) {
  return kind == NodeKind::max_pool || kind == NodeKind::max_pool_gradient ||
         kind == NodeKind::max_pool_gather || kind == NodeKind::avg_pool ||
         kind == NodeKind::avg_pool_gradient;
}

/// Who may have memory in another order: temporaries of four axes with several channels.
bool may_change(const TraceNode& t) {
  return !t.stored && t.kind != NodeKind::data && t.kind != NodeKind::constant &&
         t.kind != NodeKind::set && t.shape().rank() == 4 && t.shape()[1] >= least_channels &&
         t.shape().elements() > 0;
}

class Voting {
 public:
  Voting(const Trace& trace, const DeviceBackend& device)
      : trace_(trace), device_(device), layouts_(plain_layouts(trace)) {}

  Layouts run() {
    last_.assign(trace_.nodes.size(), 0);
    shown_ = shown_whole(trace_);
    bool any = false;
    for (std::int32_t i = 0; i < count(); ++i) any |= last_[at(i)] = wants(i);
    if (!any) return std::move(layouts_);
    spread();
    withdraw();
    for (std::int32_t i = 0; i < count(); ++i)
      if (shown_[at(i)]) last_[at(i)] = 0;
    for (std::int32_t i = 0; i < count(); ++i)
      if (last_[at(i)]) layouts_[at(i)] = channels_last(node(i).shape());
    transpose_products();
    return std::move(layouts_);
  }

 private:
  std::int32_t count() const { return static_cast<std::int32_t>(trace_.nodes.size()); }
  const TraceNode& node(std::int32_t i) const { return trace_.nodes[at(i)]; }

  /// Whether a routine asks for channels-last images here.
  bool wants(std::int32_t i) const {
    const TraceNode& t = node(i);
    if (!is_convolution(t.kind) || !may_change(t)) return false;
    const auto call = library_call(trace_, layouts_, i);
    if (!call) return false;
    for (const LibraryRoutine* routine : routines_for(device_))
      if (routine->prefers_channels_last(*call)) return true;
    return false;
  }

  /// Pools and pointwise nodes follow their inputs; what a voting convolution reads follows it.
  void spread() {
    for (std::int32_t i = 0; i < count(); ++i) {
      if (last_[at(i)] || !may_change(node(i)) || is_product(node(i).kind)) continue;
      for (const Edge& e : trace_.edges_of(i))
        if (last_[at(e.producer)] &&
            (is_pool(node(i).kind) || node(i).kind == NodeKind::concatenate ||
             *e.shape == node(i).shape()))
          last_[at(i)] = 1;
    }
    for (std::int32_t i = count(); i-- > 0;) {
      if (!last_[at(i)]) continue;
      for (const Edge& e : trace_.edges_of(i)) {
        const TraceNode& p = node(e.producer);
        if (e.dense && may_change(p) && !is_product(p.kind) && p.kind != NodeKind::roll &&
            p.kind != NodeKind::pad && p.shape() == *e.shape && p.shape().rank() == 4)
          last_[at(e.producer)] = 1;
      }
    }
  }

  /// A node read in a way that only row-major memory allows stays as it is.
  void withdraw() {
    for (std::int32_t i = 0; i < count(); ++i)
      for (const Edge& e : trace_.edges_of(i)) {
        if (!last_[at(e.producer)]) continue;
        const Shape& shape = node(e.producer).shape();
        const bool step = is_step(node(i).kind);
        const auto where =
            in_storage({e.offset, {e.strides.begin(), e.strides.end()}},
                       {e.shape->begin(), e.shape->size()}, shape, channels_last(shape));
        if (!where || (!step && e.shape->rank() != 4)) last_[at(e.producer)] = 0;
      }
  }

  /// A matrix that is only read as a channels-last image is written column by column.
  void transpose_products() {
    std::vector<char> good(trace_.nodes.size(), 0), bad(trace_.nodes.size(), 0);
    for (std::int32_t i = 0; i < count(); ++i)
      for (const Edge& e : trace_.edges_of(i)) {
        const TraceNode& p = node(e.producer);
        if (p.kind != NodeKind::matmul || p.stored || p.bias || p.shape().rank() != 2) continue;
        const bool fits = e.dense && !is_step(node(i).kind) && e.shape->rank() == 4 &&
                          (*e.shape)[0] == 1 && (*e.shape)[1] == p.shape()[0] && last_[at(i)] != 0;
        (fits ? good : bad)[at(e.producer)] = 1;
      }
    for (std::int32_t i = 0; i < count(); ++i)
      if (good[at(i)] && !bad[at(i)] && !shown_[at(i)])
        layouts_[at(i)] = Shape{1, node(i).shape()[0]};
  }

  const Trace& trace_;
  const DeviceBackend& device_;
  Layouts layouts_;
  std::vector<char> last_;   ///< channels-last
  std::vector<char> shown_;  ///< shares its memory with an array
};

}  // namespace

Shape channels_last(const Shape& s) { return Shape{s[3] * s[2] * s[1], 1, s[3] * s[1], s[1]}; }

std::vector<char> shown_whole(const Trace& trace) {
  std::vector<char> shown(trace.nodes.size(), 0);
  for (const TraceNode& t : trace.nodes)
    if (is_whole_alias(trace, t)) shown[at(trace.edges_of(t)[0].producer)] = 1;
  return shown;
}

Layouts plain_layouts(const Trace& trace) {
  Layouts layouts;
  layouts.reserve(trace.nodes.size());
  for (const TraceNode& t : trace.nodes) layouts.push_back(t.shape().dense_strides());
  return layouts;
}

Layouts choose_layouts(const Trace& trace, const DeviceBackend& device) {
  return Voting(trace, device).run();
}

std::optional<PlacedView> operand_view(const Trace& trace, const Layouts& layouts, std::int32_t i,
                                       int k) {
  const Edge& e = trace.edges_of(i)[static_cast<std::size_t>(k)];
  const TraceNode& producer = trace.nodes[at(e.producer)];
  const auto where =
      in_storage({e.offset, {e.strides.begin(), e.strides.end()}},
                 {e.shape->begin(), e.shape->size()}, producer.shape(), layouts[at(e.producer)]);
  if (!where) return std::nullopt;
  return PlacedView{{producer.node->dtype_of(e.output), *e.shape, Shape(where->strides)},
                    where->offset};
}

TensorView result_view(const Trace& trace, const Layouts& layouts, std::int32_t i, int output) {
  const TraceNode& t = trace.nodes[at(i)];
  return {t.node->dtype_of(output), t.shape(), layouts[at(i)]};
}

bool is_product(NodeKind kind) {
  return kind == NodeKind::matmul || is_convolution(kind) ||
         kind == NodeKind::convolution_weight_gradient;
}

std::optional<LibraryCall> library_call(const Trace& trace, const Layouts& layouts,
                                        std::int32_t i) {
  const TraceNode& t = trace.nodes[at(i)];
  LibraryCall call;
  call.kind = t.kind == NodeKind::matmul        ? LibraryCall::Kind::matmul
              : t.kind == NodeKind::convolution ? LibraryCall::Kind::convolution
              : t.kind == NodeKind::convolution_input_gradient
                  ? LibraryCall::Kind::convolution_input_gradient
                  : LibraryCall::Kind::convolution_weight_gradient;
  for (int k = 0; k < t.edge_count; ++k) {
    const auto view = operand_view(trace, layouts, i, k);
    if (!view) return std::nullopt;
    call.inputs.push_back(view->view);
  }
  call.context = trace.device.backend().native_context();
  call.allowed = t.source->allowed;
  call.bias = t.bias;
  call.relu = t.relu;
  if (t.bias) {  // broadcast: one value a channel of an image, a column of a matrix
    TensorView& bias = call.inputs.back();
    const int axis = t.kind == NodeKind::matmul ? bias.shape.rank() - 1 : 1;
    bias = {bias.dtype, Shape{bias.shape[axis]}, Shape{bias.strides[axis]}};
  }
  call.output = result_view(trace, layouts, i);
  if (const auto* window = std::get_if<WindowAttributes>(&t.source->attributes)) {
    for (int k = 0; k < 2; ++k) {
      call.stride[k] = window->stride[k];
      call.padding_low[k] = window->low[k];
      call.padding_high[k] = window->high[k];
      call.dilation[k] = window->dilation[k];
    }
    call.groups = window->groups;
  }
  return call;
}

const LibraryRoutine* routine_for(const DeviceBackend& device, const LibraryCall& call) {
  for (const TensorView& view : call.inputs)
    if (view.shape.elements() == 0) return nullptr;
  if (call.output.shape.elements() == 0) return nullptr;
  for (const LibraryRoutine* routine : routines_for(device))
    if (routine->accepts(call)) return routine;
  return nullptr;
}

}  // namespace noyau::jit
