// Pooling in two dimensions.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/windows.hpp"

namespace noyau {

using namespace ops;

namespace {

/// The number of windows: rounded up in ceil mode, but none that starts past the padded input's
/// low edge and values.
std::int64_t pooled_extent(const WindowAttributes& w, int d, std::int64_t extent, bool ceil_mode) {
  const std::int64_t room = extent + w.low[d] + w.high[d] - w.window[d];
  if (room < 0 && !ceil_mode) return 0;
  if (!ceil_mode) return room / w.stride[d] + 1;
  std::int64_t count = room <= -w.stride[d] ? 0 : (room + w.stride[d] - 1) / w.stride[d] + 1;
  if (count > 0 && (count - 1) * w.stride[d] >= extent + w.low[d]) --count;
  return count;
}

Array pool(NodeKind kind, const Operand& x, Pair window, Pool2dOptions options,
           std::string_view operation) {
  const CallerScope scope(x.file(), x.line());
  const Array a = to_array(x);
  require_floating(a, operation);
  if (a.rank() != 4) {
    throw ShapeError(fmt::format(
        "[{}] an array of shape {}: takes x [n, c, h, w]; add axes with x[{{noyau::newaxis}}]",
        operation, to_string(a.shape())));
  }
  WindowAttributes w{
      .window = {window.height, window.width},
      .stride = {options.stride.height == 0 ? window.height : options.stride.height,
                 options.stride.width == 0 ? window.width : options.stride.width},
      .low = {options.padding.height, options.padding.width},
      .high = {options.padding.height, options.padding.width},
  };
  check_windows(w, operation);
  Shape shape = a.shape();
  for (int d = 0; d < 2; ++d) {
    const std::string_view side = d == 0 ? "height" : "width";
    if (2 * w.low[d] > w.window[d]) {
      throw ShapeError(fmt::format(
          "[{}] padding {} of a window of {} in the direction of {}: at most half the window, so "
          "that no window lies in padding alone; pad(x, ...) first for more",
          operation, w.low[d], w.window[d], side));
    }
    shape[2 + d] = pooled_extent(w, d, a.shape()[2 + d], options.ceil_mode);
    if (shape[2 + d] > 0) continue;
    throw ShapeError(
        fmt::format("[{}] a window of {} does not fit into the {} of {} with padding {}: use a "
                    "smaller window",
                    operation, w.window[d], side, a.shape()[2 + d], w.low[d]));
  }
  if (shape.elements() == 0) return constant(Scalar::of(0).as(a.dtype()), shape, a.device(), {});
  const Array wide = cast(a, computed_in(a.dtype()), {});
  return cast(window_node(kind, {wide}, shape, w, {}), a.dtype(), {});
}

}  // namespace

Array max_pool2d(Operand x, Pair window, Pool2dOptions options) {
  return pool(NodeKind::max_pool, x, window, options, "max_pool2d");
}
Array avg_pool2d(Operand x, Pair window, Pool2dOptions options) {
  return pool(NodeKind::avg_pool, x, window, options, "avg_pool2d");
}

}  // namespace noyau
