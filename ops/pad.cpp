// Padding by a constant, the edge, or a reflection.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/build.hpp"

namespace noyau {

using namespace ops;

namespace {

void check_width(Pad mode, const PadWidths::Width& width, const Shape& shape, int axis) {
  const std::int64_t extent = shape[axis];
  if (width.before < 0 || width.after < 0) {
    throw ShapeError(
        fmt::format("[pad] widths {} and {} on axis {}: widths are 0 or more; cut with slices",
                    width.before, width.after, axis));
  }
  const std::int64_t widest = std::max(width.before, width.after);
  if (mode == Pad::reflect && widest > 0 && widest >= extent) {
    throw ShapeError(fmt::format(
        "[pad] a width of {} on axis {} of shape {}: a reflection leaves the edge out, so widths "
        "are less than the extent {}; pad twice, or by another mode",
        widest, axis, to_string(shape), extent));
  }
  if (mode == Pad::edge && widest > 0 && extent == 0) {
    throw ShapeError(
        fmt::format("[pad] axis {} of shape {} has no edge to repeat: pad by a constant", axis,
                    to_string(shape)));
  }
}

}  // namespace

Array pad(Operand x, const PadWidths& widths, Pad mode, Operand value) {
  const CallerScope scope(x.file(), x.line());
  const Array a = to_array(x);
  if (static_cast<int>(widths.list().size()) != a.rank()) {
    throw ShapeError(
        fmt::format("[pad] {} pairs of widths for an array of shape {}: give {{before, after}} for "
                    "each of its {} axes",
                    widths.list().size(), to_string(a.shape()), a.rank()));
  }
  if (!value.is_scalar()) {
    throw ValueError("[pad] pads with a number, not with an array: use concatenate for arrays");
  }
  PadAttributes attributes{.mode = static_cast<PadMode>(mode),
                           .value = value.scalar().as(a.dtype())};
  Shape shape = a.shape();
  for (int axis = 0; axis < a.rank(); ++axis) {
    const PadWidths::Width& width = widths.list()[static_cast<std::size_t>(axis)];
    check_width(mode, width, a.shape(), axis);
    attributes.low.push_back(width.before);
    attributes.high.push_back(width.after);
    if (__builtin_add_overflow(shape[axis], width.before, &shape[axis]) ||
        __builtin_add_overflow(shape[axis], width.after, &shape[axis])) {
      throw ShapeError("[pad] the result has more than 2^63 - 1 elements");
    }
  }
  if (shape == a.shape()) return a;
  if (a.size() == 0) return constant(attributes.value, shape, a.device(), {});
  return make_node({.kind = NodeKind::pad,
                    .dtype = a.dtype(),
                    .shape = shape,
                    .inputs = {&a, 1},
                    .attributes = std::move(attributes)});
}

}  // namespace noyau
