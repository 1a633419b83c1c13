// Convolution in two dimensions.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/windows.hpp"

namespace noyau {
namespace ops {

std::int64_t window_count(const WindowAttributes& w, int d, std::int64_t extent) {
  const std::int64_t span = w.dilation[d] * (w.window[d] - 1) + 1;
  const std::int64_t room = extent + w.low[d] + w.high[d] - span;
  return room < 0 ? 0 : room / w.stride[d] + 1;
}

void check_windows(const WindowAttributes& w, std::string_view operation) {
  constexpr std::int64_t most = std::int64_t{1} << 31;  // keeps every sum in range
  for (int d = 0; d < 2; ++d) {
    const auto positive = [](std::int64_t v) { return v >= 1 && v < most; };
    if (positive(w.window[d]) && positive(w.stride[d]) && positive(w.dilation[d]) &&
        w.low[d] >= 0 && w.low[d] < most && w.high[d] >= 0 && w.high[d] < most) {
      continue;
    }
    throw ShapeError(fmt::format(
        "[{}] in the direction of {}: window {}, stride {}, dilation {}, padding {}; the first "
        "three are 1 or more, padding 0 or more",
        operation, d == 0 ? "height" : "width", w.window[d], w.stride[d], w.dilation[d], w.low[d]));
  }
}

Array window_node(NodeKind kind, std::initializer_list<Array> inputs, const Shape& shape,
                  const WindowAttributes& w, Caller caller) {
  return make_node({.kind = kind,
                    .dtype = inputs.begin()->dtype(),
                    .shape = shape,
                    .inputs = {inputs.begin(), inputs.size()},
                    .attributes = w,
                    .output_count = kind == NodeKind::max_pool ? 2 : 1,
                    .file = caller.file,
                    .line = caller.line});
}

}  // namespace ops

using namespace ops;

namespace {

void check_shapes(const Array& x, const Array& weights, std::int64_t groups) {
  const std::string both =
      fmt::format("x {} and weights {}", to_string(x.shape()), to_string(weights.shape()));
  if (x.rank() != 4 || weights.rank() != 4) {
    throw ShapeError(fmt::format(
        "[conv2d] {}: takes x [n, c, h, w] and weights [o, c / groups, kh, kw]; add axes with "
        "x[{{noyau::newaxis}}]",
        both));
  }
  const std::int64_t channels = x.shape()[1], outputs = weights.shape()[0];
  if (groups < 1 || channels % groups != 0 || outputs % groups != 0) {
    throw ShapeError(
        fmt::format("[conv2d] {} with {} groups: the groups must divide the {} input channels and "
                    "the {} output channels",
                    both, groups, channels, outputs));
  }
  if (weights.shape()[1] != channels / groups) {
    throw ShapeError(fmt::format(
        "[conv2d] {}: x has {} channels in {} group(s), so the weights' second extent must be {}, "
        "not {}",
        both, channels, groups, channels / groups, weights.shape()[1]));
  }
}

}  // namespace

Array conv2d(Operand x, Operand weights, Conv2dOptions options) {
  const CallerScope scope(x.file(), x.line());
  Array a = to_array(x), w = to_array(weights);
  check_shapes(a, w, options.groups);
  const DType dtype = promote(a.dtype(), w.dtype());
  if (!is_floating(dtype)) require_floating(a, "conv2d");
  a = cast(a, computed_in(dtype), {});
  w = cast(w, computed_in(dtype), {});
  WindowAttributes window{
      .window = {w.shape()[2], w.shape()[3]},
      .stride = {options.stride.height, options.stride.width},
      .low = {options.padding.height, options.padding.width},
      .high = {options.padding.height, options.padding.width},
      .dilation = {options.dilation.height, options.dilation.width},
      .groups = options.groups,
  };
  check_windows(window, "conv2d");
  Shape shape{a.shape()[0], w.shape()[0], 0, 0};
  for (int d = 0; d < 2; ++d) {
    shape[2 + d] = window_count(window, d, a.shape()[2 + d]);
    if (shape[2 + d] > 0) continue;
    throw ShapeError(fmt::format(
        "[conv2d] a window of {} with dilation {} does not fit into the {} of {} with padding {}: "
        "use a smaller window or more padding",
        window.window[d], window.dilation[d], d == 0 ? "height" : "width", a.shape()[2 + d],
        window.low[d]));
  }
  if (shape.elements() == 0 || a.shape()[1] == 0) {
    return constant(Scalar::of(0).as(dtype), shape, a.device(), {});
  }
  const Precision allowed(product_precision(dtype));
  return cast(window_node(NodeKind::convolution, {a, w}, shape, window, {}), dtype, {});
}

}  // namespace noyau
