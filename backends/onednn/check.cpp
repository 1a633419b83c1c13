// What the three convolution routines check alike.
// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/check.hpp"

#include <limits>

namespace noyau::onednn {
std::optional<Convolution> check_convolution(const LibraryCall& call, LibraryCall::Kind kind) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max() / 4;
  if (!is_convolution(call, kind, most) || call.output.dtype != float32) return std::nullopt;
  const auto [x, weights, y] = views_of(call);
  const std::int64_t groups = call.groups;
  Convolution found;
  found.x = dims_of(x->shape);
  found.y = dims_of(y->shape);
  found.weights = dims_of(weights->shape);
  if (groups > 1) {
    found.weights[0] /= groups;
    found.weights.insert(found.weights.begin(), groups);
  }
  found.stride = {call.stride[0], call.stride[1]};
  found.dilation = {call.dilation[0] - 1, call.dilation[1] - 1};
  found.padding_low = {call.padding_low[0], call.padding_low[1]};
  found.padding_high = {call.padding_high[0], call.padding_high[1]};
  found.bias = call.bias;
  found.relu = call.relu;
  return found;
}

Layout weights_layout(const TensorView& weights, const Convolution& convolution) {
  Dims strides = dims_of(weights.strides);
  if (convolution.groups() > 1)
    strides.insert(strides.begin(), strides[0] * (weights.shape[0] / convolution.groups()));
  return strided_layout(convolution.weights, strides);
}

}  // namespace noyau::onednn
