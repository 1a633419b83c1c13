// The rule of each kind of node, and the short ones.
// SPDX-License-Identifier: Apache-2.0
#include "ops/gradient_rules.hpp"

namespace noyau::ops {

void differentiate(Backward& b) {
  switch (b.node.kind) {
    case NodeKind::elementwise:
      return differentiate_elementwise(b);
    case NodeKind::cast:
      b.cotangents[0] = cast(b.cotangent, b.node.inputs[0]->dtype, {});
      return;
    case NodeKind::view:
      return differentiate_view(b);
    case NodeKind::reduce:
      return differentiate_reduce(b);
    case NodeKind::roll:
      return differentiate_roll(b);
    case NodeKind::pad:
      return differentiate_pad(b);
    case NodeKind::concatenate:
      return differentiate_concatenate(b);
    case NodeKind::set:
      return differentiate_set(b);
    case NodeKind::matmul:
      return differentiate_matmul(b);
    case NodeKind::convolution:
    case NodeKind::convolution_input_gradient:
    case NodeKind::convolution_weight_gradient:
    case NodeKind::max_pool:
    case NodeKind::max_pool_gradient:
    case NodeKind::max_pool_gather:
    case NodeKind::avg_pool:
    case NodeKind::avg_pool_gradient:
      return differentiate_windows(b);
    case NodeKind::watch:  // of a frame inside this one
      b.cotangents[0] = b.cotangent;
      return;
    case NodeKind::transfer:
      b.cotangents[0] = b.cotangent.to(b.node.inputs[0]->device);
      return;
    case NodeKind::custom_gradient:
      return differentiate_custom(b);
    case NodeKind::data:
    case NodeKind::constant:
    case NodeKind::iota:
    case NodeKind::arg_reduce:
    case NodeKind::random:
    case NodeKind::stop_gradient:
      return;
  }
}

}  // namespace noyau::ops
