// Epilogues: products take the bias and the relu that follow them.
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

/// One value for each column of a matrix, the same in every row.
bool is_column_bias(const Edge& e) {
  const int last = e.shape->rank() - 1;
  if (last < 1 || e.offset != 0) return false;
  for (int axis = 0; axis < last; ++axis)
    if ((*e.shape)[axis] != 1 && e.strides[axis] != 0) return false;
  return (*e.shape)[last] == 1 || e.strides[last] == 1;
}

/// A sum of a product that nobody else reads, and its bias.
struct Match {
  std::int32_t product = -1;
  Edge bias;
};
Match match_sum(const Trace& trace, const TraceNode& sum) {
  for (int k = 0; k < 2; ++k) {
    const Edge &edge = trace.edges_of(sum)[static_cast<std::size_t>(k)],
               &bias = trace.edges_of(sum)[static_cast<std::size_t>(1 - k)];
    const TraceNode& product = trace.nodes[static_cast<std::size_t>(edge.producer)];
    if (!edge.dense || product.uses != 1 || product.stored || product.bias) continue;
    if ((product.kind == NodeKind::convolution && is_channel_bias(bias)) ||
        (product.kind == NodeKind::matmul && is_column_bias(bias)))
      return {edge.producer, bias};
  }
  return {};
}

/// Whether a routine does the product with its epilogue, in row-major memory or with channels last.
bool taken(const Trace& trace, std::int32_t i, const DeviceBackend& device) {
  const auto call = library_call(trace, plain_layouts(trace), i);
  if (!call) return false;
  if (routine_for(device, *call)) return true;
  if (call->kind == LibraryCall::Kind::matmul) return false;
  LibraryCall last = *call;
  for (TensorView* image : {&last.inputs[0], &last.output})
    image->strides = channels_last(image->shape);
  const LibraryRoutine* routine = routine_for(device, last);
  return routine != nullptr && routine->prefers_channels_last(*call);
}

/// Lets node i do the product with its bias, and the relu if i is one; `between` are then the nodes
/// of which nothing remains.
bool absorb(Trace& trace, std::int32_t i, const Match& m, bool relu,
            std::initializer_list<std::int32_t> between, const DeviceBackend& device) {
  const TraceNode before = trace.nodes[static_cast<std::size_t>(i)];
  TraceNode& last = trace.nodes[static_cast<std::size_t>(i)];
  const TraceNode& product = trace.nodes[static_cast<std::size_t>(m.product)];
  const auto edges = trace.edges_of(product);
  const Edge x = edges[0], y = edges[1];
  last.kind = product.kind;
  last.source = product.node;
  last.bias = true;
  last.relu = relu;
  last.first_edge = static_cast<std::int32_t>(trace.edges.size());
  last.edge_count = 3;
  trace.edges.insert(trace.edges.end(), {x, y, m.bias});
  if (!taken(trace, i, device)) {
    last = before;
    return false;
  }
  for (std::int32_t gone : between) {
    TraceNode& t = trace.nodes[static_cast<std::size_t>(gone)];
    t.kind = NodeKind::data;
    t.edge_count = 0;
    t.uses = 0;
    t.absorbed = true;
  }
  return true;
}

}  // namespace

void absorb_epilogues(Trace& trace, const DeviceBackend& device) {
  const auto count = static_cast<std::int32_t>(trace.nodes.size());
  for (std::int32_t i = 0; i < count; ++i) {
    const TraceNode& relu = trace.nodes[static_cast<std::size_t>(i)];
    if (!is_op(relu, ops::ElementwiseOp::relu)) continue;
    const Edge& edge = trace.edges_of(relu)[0];
    const TraceNode& sum = trace.nodes[static_cast<std::size_t>(edge.producer)];
    if (!edge.dense || sum.uses != 1 || sum.stored || !is_op(sum, ops::ElementwiseOp::add))
      continue;
    const Match m = match_sum(trace, sum);
    if (m.product >= 0) absorb(trace, i, m, true, {m.product, edge.producer}, device);
  }
  for (std::int32_t i = 0; i < count; ++i) {
    const TraceNode& sum = trace.nodes[static_cast<std::size_t>(i)];
    if (!is_op(sum, ops::ElementwiseOp::add)) continue;
    const Match m = match_sum(trace, sum);
    // A convolution without relu leaves its bias to the kernel that follows.
    if (m.product >= 0 && trace.nodes[static_cast<std::size_t>(m.product)].kind == NodeKind::matmul)
      absorb(trace, i, m, false, {m.product}, device);
  }
}

}  // namespace noyau::jit
