// What the three convolution routines check alike.
// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/check.hpp"

#include <limits>

namespace noyau::onednn {
namespace {

bool is_image_like(const TensorView& view) {
  if (view.dtype != float32 || view.shape.rank() != 4 || !is_ordinary(view)) return false;
  std::int64_t last = 0;
  for (int axis = 0; axis < 4; ++axis) last += (view.shape[axis] - 1) * view.strides[axis];
  return last < std::numeric_limits<std::int32_t>::max() / 4;
}

bool is_bias(const TensorView& view, std::int64_t channels) {
  return view.dtype == float32 && view.shape.rank() == 1 && view.shape[0] == channels &&
         (channels == 1 || (view.strides.rank() == 1 && view.strides[0] == 1));
}

/// The extent of y along one spatial axis fits the others.
bool fits(std::int64_t x, std::int64_t taps, std::int64_t y, std::int64_t stride,
          std::int64_t dilation, std::int64_t low, std::int64_t high) {
  if (stride < 1 || dilation < 1 || low < 0 || high < 0) return false;
  const std::int64_t room = x + low + high - dilation * (taps - 1) - 1;
  return room >= 0 && room / stride + 1 == y;
}

}  // namespace

std::optional<Convolution> check_convolution(const LibraryCall& call, LibraryCall::Kind kind) {
  const bool forward = kind == LibraryCall::Kind::convolution;
  if (call.kind != kind || call.inputs.size() != (call.bias ? 3U : 2U)) return std::nullopt;
  if (!forward && (call.bias || call.relu)) return std::nullopt;
  const auto [x, weights, y] = views_of(call);
  if (!is_image_like(*x) || !is_image_like(*weights) || !is_image_like(*y)) return std::nullopt;
  const std::int64_t groups = call.groups, outputs = weights->shape[0];
  if (groups < 1 || outputs % groups != 0 || x->shape[1] != weights->shape[1] * groups ||
      y->shape[1] != outputs || y->shape[0] != x->shape[0])
    return std::nullopt;
  for (int i = 0; i < 2; ++i) {
    if (!fits(x->shape[2 + i], weights->shape[2 + i], y->shape[2 + i], call.stride[i],
              call.dilation[i], call.padding_low[i], call.padding_high[i]))
      return std::nullopt;
  }
  if (call.bias && !is_bias(call.inputs[2], outputs)) return std::nullopt;
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

ConvolutionViews views_of(const LibraryCall& call) {
  switch (call.kind) {
    case LibraryCall::Kind::convolution_input_gradient:
      return {&call.output, &call.inputs[1], &call.inputs[0]};
    case LibraryCall::Kind::convolution_weight_gradient:
      return {&call.inputs[0], &call.output, &call.inputs[1]};
    default:
      return {&call.inputs[0], &call.inputs[1], &call.output};
  }
}

Layout weights_layout(const TensorView& weights, const Convolution& convolution) {
  Dims strides = dims_of(weights.strides);
  if (convolution.groups() > 1)
    strides.insert(strides.begin(), strides[0] * (weights.shape[0] / convolution.groups()));
  return strided_layout(convolution.weights, strides);
}

}  // namespace noyau::onednn
