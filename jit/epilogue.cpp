// Epilogues: a convolution takes the bias and the relu that follow it.
// SPDX-License-Identifier: Apache-2.0
#include "jit/layout.hpp"
#include "ops/op_table.hpp"

namespace noyau::jit {
namespace {

bool is_op(const TraceNode& t, ops::ElementwiseOp op) {
  return t.kind == NodeKind::elementwise && t.code == static_cast<std::uint8_t>(op);
}

/// One value for each channel of an image, the same everywhere else.
bool is_channel_bias(const Edge& e) {
  if (e.shape->rank() != 4 || e.offset != 0) return false;
  for (int axis : {0, 2, 3})
    if ((*e.shape)[axis] != 1 && e.strides[axis] != 0) return false;
  return (*e.shape)[1] == 1 || e.strides[1] == 1;
}

/// The conv + bias that only this relu reads.
struct Match {
  std::int32_t convolution = -1, addition = -1;
  Edge bias;
};
Match match(const Trace& trace, const TraceNode& relu) {
  Match m;
  const Edge& to_sum = trace.edges_of(relu)[0];
  const TraceNode& sum = trace.nodes[static_cast<std::size_t>(to_sum.producer)];
  if (!to_sum.dense || sum.uses != 1 || sum.stored || !is_op(sum, ops::ElementwiseOp::add))
    return m;
  for (int k = 0; k < 2; ++k) {
    const Edge &product = trace.edges_of(sum)[static_cast<std::size_t>(k)],
               &bias = trace.edges_of(sum)[static_cast<std::size_t>(1 - k)];
    const TraceNode& conv = trace.nodes[static_cast<std::size_t>(product.producer)];
    if (conv.kind != NodeKind::convolution || !product.dense || conv.uses != 1 || conv.stored ||
        !is_channel_bias(bias))
      continue;
    return {product.producer, to_sum.producer, bias};
  }
  return m;
}

/// Whether a routine does the product with its epilogue, in row-major memory or with channels last.
bool taken(const Trace& trace, std::int32_t i, const DeviceBackend& device) {
  auto call = library_call(trace, plain_layouts(trace), i);
  if (!call) return false;
  if (routine_for(device, *call)) return true;
  for (TensorView* image : {&call->inputs[0], &call->output})
    image->strides = channels_last(image->shape);
  return routine_for(device, *call) != nullptr;
}

}  // namespace

void absorb_epilogues(Trace& trace, const DeviceBackend& device) {
  for (std::size_t i = 0; i < trace.nodes.size(); ++i) {
    if (!is_op(trace.nodes[i], ops::ElementwiseOp::relu)) continue;
    const Match m = match(trace, trace.nodes[i]);
    if (m.convolution < 0) continue;
    const TraceNode before = trace.nodes[i];
    TraceNode& relu = trace.nodes[i];
    TraceNode& conv = trace.nodes[static_cast<std::size_t>(m.convolution)];
    const auto edges = trace.edges_of(conv);
    const Edge x = edges[0], weights = edges[1];
    relu.kind = NodeKind::convolution;
    relu.source = conv.node;
    relu.bias = relu.relu = true;
    relu.first_edge = static_cast<std::int32_t>(trace.edges.size());
    relu.edge_count = 3;
    trace.edges.insert(trace.edges.end(), {x, weights, m.bias});
    if (!taken(trace, static_cast<std::int32_t>(i), device)) {
      trace.nodes[i] = before;
      continue;
    }
    // Nobody reads the two nodes in between any more.
    for (std::int32_t gone : {m.convolution, m.addition}) {
      TraceNode& t = trace.nodes[static_cast<std::size_t>(gone)];
      t.kind = NodeKind::data;
      t.edge_count = 0;
      t.uses = 0;
      t.absorbed = true;
    }
  }
}

}  // namespace noyau::jit
