// Movement: views of another arrangement (reshape, permute, slice, broadcast), joins, rolls.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <numeric>

#include "noyau/error.hpp"
#include "ops/build.hpp"

namespace noyau::ops {
namespace {

std::string text(const std::vector<int>& axes) {
  return fmt::format("({})", fmt::join(axes, ", "));
}

/// The strides of `to` over elements that lie at `strides` for the shape `from`; empty when no
/// strides say it. Follows groups of axes whose products agree.
std::optional<Shape> reshaped_strides(const Shape& from, const Shape& strides, const Shape& to) {
  Shape old_shape, old_strides;  // without axes of one element, which constrain nothing
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (from[axis] == 1) continue;
    old_shape.push_back(from[axis]);
    old_strides.push_back(strides[axis]);
  }
  Shape result = Shape::filled(to.rank(), 0);
  int old_axis = 0, new_axis = 0;
  while (old_axis < old_shape.rank() && new_axis < to.rank()) {
    int old_end = old_axis + 1, new_end = new_axis + 1;
    std::int64_t old_product = old_shape[old_axis], new_product = to[new_axis];
    while (old_product != new_product) {
      if (new_product < old_product) new_product *= to[new_end++];
      else old_product *= old_shape[old_end++];
    }
    for (int axis = old_axis; axis + 1 < old_end; ++axis) {
      if (old_strides[axis] != old_strides[axis + 1] * old_shape[axis + 1]) return std::nullopt;
    }
    std::int64_t step = old_strides[old_end - 1];
    for (int axis = new_end - 1; axis >= new_axis; --axis) {
      result[axis] = step;
      step *= to[axis];
    }
    old_axis = old_end;
    new_axis = new_end;
  }
  return result;
}

/// `shape` with an extent of -1 filled in. ShapeError when the sizes differ.
Shape complete(const Shape& shape, const Array& x) {
  Shape result = shape;
  int unknown = -1;
  std::int64_t known = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == -1 && unknown < 0) unknown = axis;
    else if (shape[axis] < 0)
      throw ShapeError(fmt::format(
          "[reshape] the shape {} has the extent {} on axis {}: extents are 0 or more, and one "
          "alone may be -1, which is then worked out",
          to_string(shape), shape[axis], axis));
    else known *= shape[axis];
  }
  const std::int64_t size = x.size();
  if (unknown >= 0 && known > 0 && size % known == 0) {
    result[unknown] = size / known;
    return result;
  }
  if (unknown >= 0 || shape.elements() != size) {
    throw ShapeError(fmt::format(
        "[reshape] an array of shape {} has {} elements, {} {}: a reshape keeps the number of "
        "elements",
        to_string(x.shape()), size, to_string(shape),
        unknown >= 0 ? fmt::format("leaves {} for the rest, which does not divide it", known)
                     : fmt::format("has {}", shape.elements())));
  }
  return result;
}

}  // namespace

int normalise_axis(int axis, int rank, std::string_view operation) {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  throw ShapeError(
      rank == 0
          ? fmt::format("[{}] there is no axis {}: the array has no axes at all", operation, axis)
          : fmt::format(
                "[{}] there is no axis {}: the array has {} axes, so an axis is in [{}, {}]",
                operation, axis, rank, -rank, rank - 1));
}

std::vector<int> normalise_axes(const Axes& axes, int rank, std::string_view operation) {
  std::vector<int> list;
  if (axes.all()) {
    list.resize(static_cast<std::size_t>(rank));
    std::iota(list.begin(), list.end(), 0);
    return list;
  }
  for (int axis : axes.list()) list.push_back(normalise_axis(axis, rank, operation));
  std::sort(list.begin(), list.end());
  if (std::adjacent_find(list.begin(), list.end()) != list.end()) {
    throw ShapeError(
        fmt::format("[{}] the axes {} name one axis twice (an array of {} axes): name each once",
                    operation, text(axes.list()), rank));
  }
  return list;
}

Array broadcast_view(const Array& x, const Shape& shape, Caller caller) {
  if (x.shape() == shape) return x;
  const ViewOf of = view_of(x);
  ViewAttributes view{.kind = ViewAttributes::Kind::broadcast, .offset = of.offset};
  view.strides = Shape::filled(shape.rank(), 0);
  const int added = shape.rank() - x.rank();
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (x.shape()[axis] != 1) view.strides[added + axis] = of.strides[axis];
  }
  return make_view(x, of, shape, std::move(view), caller.file, caller.line);
}

Array reshape_view(const Array& x, const Shape& shape, Caller caller) {
  if (x.shape() == shape) return x;
  const ViewOf of = view_of(x);
  const bool none = x.size() == 0;
  const std::optional<Shape> strides =
      none ? shape.dense_strides() : reshaped_strides(x.shape(), of.strides, shape);
  if (!strides) {
    // No strides reach these elements in this order: put them in order first.
    const Array wide = cast(x, computed_in(x.dtype()), caller);
    const Array copied = elementwise(ElementwiseOp::copy, {&wide, 1}, caller);
    return reshape_view(cast(copied, x.dtype(), caller), shape, caller);
  }
  ViewAttributes view{.kind = ViewAttributes::Kind::reshape, .offset = of.offset};
  view.strides = *strides;
  return make_view(x, of, shape, std::move(view), caller.file, caller.line);
}

Array permute_view(const Array& x, const std::vector<int>& axes, Caller caller) {
  if (std::is_sorted(axes.begin(), axes.end())) return x;
  const ViewOf of = view_of(x);
  ViewAttributes view{.kind = ViewAttributes::Kind::permute, .offset = of.offset};
  Shape shape;
  for (int axis : axes) {
    view.axes.push_back(axis);
    shape.push_back(x.shape()[axis]);
    view.strides.push_back(of.strides[axis]);
  }
  return make_view(x, of, shape, std::move(view), caller.file, caller.line);
}

Array slice_view(const Array& x, const Shape& shape, std::vector<std::int64_t> starts,
                 std::vector<std::int64_t> steps, Caller caller) {
  const auto is = [](std::int64_t value) { return [value](std::int64_t v) { return v == value; }; };
  if (x.shape() == shape && std::all_of(starts.begin(), starts.end(), is(0)) &&
      std::all_of(steps.begin(), steps.end(), is(1))) {
    return x;
  }
  const ViewOf of = view_of(x);
  ViewAttributes view{.kind = ViewAttributes::Kind::slice, .offset = of.offset};
  const bool none = shape.elements() == 0;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const auto k = static_cast<std::size_t>(axis);
    if (!none) view.offset += starts[k] * of.strides[axis];
    view.strides.push_back(shape[axis] > 1 ? of.strides[axis] * steps[k] : 0);
  }
  view.starts = std::move(starts);
  view.steps = std::move(steps);
  return make_view(x, of, shape, std::move(view), caller.file, caller.line);
}

}  // namespace noyau::ops

namespace noyau {

using namespace ops;

Array reshape(Operand x, const Shape& shape) {
  const Array a = to_array(x);
  return reshape_view(a, complete(shape, a), caller_of(x));
}

Array transpose(Operand x) {
  const Array a = to_array(x);
  std::vector<int> axes(static_cast<std::size_t>(a.rank()));
  std::iota(axes.rbegin(), axes.rend(), 0);
  return permute_view(a, axes, caller_of(x));
}

Array permute(Operand x, const std::vector<int>& axes) {
  const Array a = to_array(x);
  const int rank = a.rank();
  std::vector<int> list;
  for (int axis : axes) list.push_back(normalise_axis(axis, rank, "permute"));
  std::vector<int> sorted = list;
  std::sort(sorted.begin(), sorted.end());
  if (static_cast<int>(list.size()) != rank ||
      std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    throw ShapeError(fmt::format(
        "[permute] the axes ({}) do not rearrange those of an array of shape {}: name each of its "
        "{} axes once",
        fmt::join(axes, ", "), to_string(a.shape()), rank));
  }
  return permute_view(a, list, caller_of(x));
}

Array swap_axes(Operand x, int first, int second) {
  const Array a = to_array(x);
  std::vector<int> axes(static_cast<std::size_t>(a.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[static_cast<std::size_t>(normalise_axis(first, a.rank(), "swap_axes"))],
            axes[static_cast<std::size_t>(normalise_axis(second, a.rank(), "swap_axes"))]);
  return permute_view(a, axes, caller_of(x));
}

Array expand_dims(Operand x, int axis) {
  const Array a = to_array(x);
  Shape shape = a.shape();
  shape.insert(normalise_axis(axis, a.rank() + 1, "expand_dims"), 1);
  return reshape_view(a, shape, caller_of(x));
}

Array squeeze(Operand x, Axes axes) {
  const Array a = to_array(x);
  Shape shape;
  const std::vector<int> list = normalise_axes(axes, a.rank(), "squeeze");
  for (int axis = 0; axis < a.rank(); ++axis) {
    const bool named = std::binary_search(list.begin(), list.end(), axis);
    if (!named || (axes.all() && a.shape()[axis] != 1)) {
      shape.push_back(a.shape()[axis]);
    } else if (a.shape()[axis] != 1) {
      throw ShapeError(fmt::format(
          "[squeeze] axis {} of shape {} has extent {}: only axes of extent 1 can be dropped; take "
          "an element with x[...] or reduce it",
          axis, to_string(a.shape()), a.shape()[axis]));
    }
  }
  return reshape_view(a, shape, caller_of(x));
}

Array flip(Operand x, Axes axes) {
  const Array a = to_array(x);
  const auto rank = static_cast<std::size_t>(a.rank());
  std::vector<std::int64_t> starts(rank, 0), steps(rank, 1);
  for (int axis : normalise_axes(axes, a.rank(), "flip")) {
    const auto k = static_cast<std::size_t>(axis);
    if (a.shape()[axis] < 2) continue;
    starts[k] = a.shape()[axis] - 1;
    steps[k] = -1;
  }
  return slice_view(a, a.shape(), starts, steps, caller_of(x));
}

Array broadcast_to(Operand x, const Shape& shape) {
  const Array a = to_array(x);
  shape.elements();  // refuses negative extents
  bool fits = a.rank() <= shape.rank();
  for (int back = 1; fits && back <= a.rank(); ++back) {
    const std::int64_t extent = a.shape()[a.rank() - back];
    fits = extent == 1 || extent == shape[shape.rank() - back];
  }
  if (!fits) {
    throw ShapeError(fmt::format(
        "[broadcast_to] shape {} does not broadcast to {}: counted from the last, each axis must "
        "have the same extent there, or 1; new axes come first (use expand_dims to put them "
        "elsewhere)",
        to_string(a.shape()), to_string(shape)));
  }
  return broadcast_view(a, shape, caller_of(x));
}

Array concatenate(const std::vector<Array>& arrays, int axis) {
  if (arrays.empty()) {
    throw ShapeError("[concatenate] needs at least one array: an empty list has no shape");
  }
  const CallerScope scope(arrays[0] ? arrays[0].node()->file : nullptr,
                          arrays[0] ? arrays[0].node()->line : 0);
  Shape shape = arrays[0].shape();
  const int along = normalise_axis(axis, shape.rank(), "concatenate");
  DType dtype = arrays[0].dtype();
  for (std::size_t i = 1; i < arrays.size(); ++i) {
    const Shape& next = arrays[i].shape();
    dtype = promote(dtype, arrays[i].dtype());
    bool fits = next.rank() == shape.rank();
    for (int k = 0; fits && k < shape.rank(); ++k) fits = k == along || next[k] == shape[k];
    if (!fits) {
      throw ShapeError(fmt::format(
          "[concatenate] array {} has shape {}, the first {}: along axis {} all other extents must "
          "be the same",
          i, to_string(next), to_string(arrays[0].shape()), along));
    }
    if (__builtin_add_overflow(shape[along], next[along], &shape[along])) {
      throw ShapeError("[concatenate] the result has more than 2^63 - 1 elements");
    }
  }
  std::vector<Array> inputs;
  for (const Array& array : arrays) inputs.push_back(cast(array, dtype, {}));
  if (inputs.size() == 1) return inputs[0];
  return make_node({.kind = NodeKind::concatenate,
                    .dtype = dtype,
                    .shape = shape,
                    .inputs = inputs,
                    .attributes = AxesAttributes{{along}}});
}

Array stack(const std::vector<Array>& arrays, int axis) {
  if (arrays.empty()) {
    throw ShapeError("[stack] needs at least one array: an empty list has no shape");
  }
  std::vector<Array> expanded;
  const int along = normalise_axis(axis, arrays[0].rank() + 1, "stack");
  for (const Array& array : arrays) {
    if (!(array.shape() == arrays[0].shape())) {
      throw ShapeError(
          fmt::format("[stack] array {} has shape {}, the first {}: all must have the same shape",
                      expanded.size(), to_string(array.shape()), to_string(arrays[0].shape())));
    }
    expanded.push_back(expand_dims(array, along));
  }
  return concatenate(expanded, along);
}

Array repeat(Operand x, std::int64_t count, int axis) {
  const CallerScope scope(x.file(), x.line());
  const Array a = to_array(x);
  const int along = normalise_axis(axis, a.rank(), "repeat");
  if (count < 0) {
    throw ValueError(fmt::format("[repeat] a count of {}: counts are 0 or more", count));
  }
  Shape wide = a.shape(), result = a.shape();
  if (__builtin_mul_overflow(result[along], count, &result[along])) {
    throw ShapeError("[repeat] the result has more than 2^63 - 1 elements");
  }
  wide.insert(along + 1, 1);
  const Array column = reshape_view(a, wide, {});
  wide[along + 1] = count;
  return reshape_view(broadcast_view(column, wide, {}), result, {});
}

Array roll(Operand x, const std::vector<std::int64_t>& shifts, const std::vector<int>& axes) {
  const Array a = to_array(x);
  if (shifts.size() != axes.size()) {
    throw ShapeError(fmt::format("[roll] {} shifts for {} axes: give one shift for each axis",
                                 shifts.size(), axes.size()));
  }
  RollAttributes total{std::vector<std::int64_t>(static_cast<std::size_t>(a.rank()), 0)};
  bool moves = false;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const int axis = normalise_axis(axes[i], a.rank(), "roll");
    const std::int64_t extent = a.shape()[axis];
    if (extent == 0) continue;
    std::int64_t& shift = total.shifts[static_cast<std::size_t>(axis)];
    shift = ((shift + shifts[i] % extent) % extent + extent) % extent;
    moves = true;
  }
  // A shift of zero makes a node as any other: plans must not depend on it.
  if (!moves) return a;
  return make_node({.kind = NodeKind::roll,
                    .dtype = a.dtype(),
                    .shape = a.shape(),
                    .inputs = {&a, 1},
                    .attributes = std::move(total),
                    .file = x.file(),
                    .line = x.line()});
}

Array roll(Operand x, std::int64_t shift, int axis) {
  return roll(std::move(x), std::vector<std::int64_t>{shift}, std::vector<int>{axis});
}

}  // namespace noyau
