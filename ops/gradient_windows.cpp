// The rules of matrix products, convolutions and pools: each family is closed under them. The
// gradients of a product may lose what it may.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/error.hpp"
#include "ops/gradient_rules.hpp"
#include "ops/windows.hpp"

namespace noyau::ops {

void differentiate_matmul(Backward& b) {
  const Precision same(b.node.allowed);
  const Array x = b.input(0), y = b.input(1);
  if (b.wanted[0]) b.cotangents[0] = matmul(b.cotangent, swap_axes(y, -2, -1));
  if (b.wanted[1]) b.cotangents[1] = matmul(swap_axes(x, -2, -1), b.cotangent);
}

void differentiate_windows(Backward& b) {
  const auto& w = std::get<WindowAttributes>(b.node.attributes);
  const Precision same(b.node.allowed);
  const Array& g = b.cotangent;
  // Each of these kinds is linear in each of its inputs; the rules name what takes its place.
  const auto give = [&](std::size_t i, NodeKind kind, std::initializer_list<Array> inputs) {
    if (b.wanted[i]) b.cotangents[i] = window_node(kind, inputs, b.node.inputs[i]->shape, w, {});
  };
  switch (b.node.kind) {
    case NodeKind::convolution:  // x, weights
      give(0, NodeKind::convolution_input_gradient, {g, b.input(1)});
      give(1, NodeKind::convolution_weight_gradient, {b.input(0), g});
      return;
    case NodeKind::convolution_input_gradient:  // dy, weights
      give(0, NodeKind::convolution, {g, b.input(1)});
      give(1, NodeKind::convolution_weight_gradient, {g, b.input(0)});
      return;
    case NodeKind::convolution_weight_gradient:  // x, dy
      give(0, NodeKind::convolution_input_gradient, {b.input(1), g});
      give(1, NodeKind::convolution, {b.input(0), g});
      return;
    case NodeKind::max_pool:  // x; its output 1 holds the indices
      give(0, NodeKind::max_pool_gradient, {g, NodeRef(b.result.node(), 1).array()});
      b.masks = true;
      return;
    case NodeKind::max_pool_gradient:  // dy, indices
      give(0, NodeKind::max_pool_gather, {g, b.input(1)});
      return;
    case NodeKind::max_pool_gather:  // x, indices
      give(0, NodeKind::max_pool_gradient, {g, b.input(1)});
      b.masks = true;
      return;
    case NodeKind::avg_pool:
      give(0, NodeKind::avg_pool_gradient, {g});
      return;
    case NodeKind::avg_pool_gradient:
      give(0, NodeKind::avg_pool, {g});
      return;
    default:
      throw InternalError("a node without windows");
  }
}

}  // namespace noyau::ops
