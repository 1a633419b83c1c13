// Subscripts: what stands between brackets becomes a view; set replaces what they name.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/build.hpp"

namespace noyau {
namespace {

/// Subscripts of one array, worked out.
struct Region {
  std::vector<std::int64_t> starts, steps;  ///< for each axis of the array
  Shape shape;                              ///< for each axis of the array
  Shape result;                             ///< without numbered axes, with new ones
};

std::int64_t resolve_number(std::int64_t number, const Shape& shape, int axis,
                            std::string_view operation) {
  const std::int64_t extent = shape[axis];
  if (number >= -extent && number < extent) return number < 0 ? number + extent : number;
  throw IndexError(fmt::format("[{}] the subscript {} is out of range on axis {} of shape {}: {}",
                               operation, number, axis, to_string(shape),
                               extent == 0 ? "the axis has no elements"
                                           : fmt::format("its extent is {}, so it is in [{}, {}]",
                                                         extent, -extent, extent - 1)));
}

/// start and number of elements, by Python's rules.
void resolve_slice(const Slice& slice, std::int64_t extent, std::string_view operation,
                   std::int64_t* start, std::int64_t* count) {
  if (slice.step == 0 || slice.step == INT64_MIN) {
    throw ValueError(
        fmt::format("[{}] a slice with step {}: steps are not 0, and negative ones go backwards",
                    operation, slice.step));
  }
  const bool backwards = slice.step < 0;
  const std::int64_t lowest = backwards ? -1 : 0, highest = backwards ? extent - 1 : extent;
  const auto clip = [&](std::optional<std::int64_t> bound, std::int64_t otherwise) {
    if (!bound) return otherwise;
    std::int64_t value = *bound < 0 ? *bound + extent : *bound;
    return std::clamp(value, lowest, highest);
  };
  *start = clip(slice.start, backwards ? highest : lowest);
  const std::int64_t stop = clip(slice.stop, backwards ? lowest : highest);
  const std::int64_t distance = backwards ? *start - stop : stop - *start;
  const std::int64_t stride = backwards ? -slice.step : slice.step;
  *count = distance <= 0 ? 0 : (distance - 1) / stride + 1;
  if (*count == 0) *start = 0;
}

Region resolve(const Shape& shape, const Subscripts& subscripts, std::string_view operation) {
  Region region;
  int axis = 0;
  const auto add_axis = [&](std::int64_t start, std::int64_t step, std::int64_t count) {
    region.starts.push_back(start);
    region.steps.push_back(step);
    region.shape.push_back(count);
    ++axis;
  };
  for (const Index& index : subscripts.list()) {
    if (index.kind == Index::Kind::new_axis) {
      region.result.push_back(1);
      continue;
    }
    if (index.kind == Index::Kind::array) {
      throw NotImplemented(fmt::format(
          "[{}] subscripts that are arrays or masks are not there yet: use numbers and slices, or "
          "where(mask, x, y)",
          operation));
    }
    if (axis == shape.rank()) {
      throw IndexError(fmt::format(
          "[{}] too many subscripts for an array of shape {}: it has {} axes; newaxis adds one",
          operation, to_string(shape), shape.rank()));
    }
    if (index.kind == Index::Kind::number) {
      add_axis(resolve_number(index.number, shape, axis, operation), 1, 1);
      continue;
    }
    std::int64_t start = 0, count = 0;
    resolve_slice(index.range, shape[axis], operation, &start, &count);
    add_axis(start, count > 1 ? index.range.step : 1, count);
    region.result.push_back(count);
  }
  while (axis < shape.rank()) {
    region.result.push_back(shape[axis]);
    add_axis(0, 1, shape[axis]);
  }
  return region;
}

}  // namespace

Array ops::set_region(const Array& x, const Array& values, std::vector<std::int64_t> starts,
                      std::vector<std::int64_t> steps) {
  ViewAttributes region{.kind = ViewAttributes::Kind::slice};
  region.strides = x.shape().dense_strides();
  for (int axis = 0; axis < x.rank(); ++axis) {
    const auto k = static_cast<std::size_t>(axis);
    region.offset += starts[k] * region.strides[axis];
    region.strides[axis] *= steps[k];
  }
  region.starts = std::move(starts);
  region.steps = std::move(steps);
  const Array inputs[] = {x, values};
  return make_node({.kind = NodeKind::set,
                    .dtype = x.dtype(),
                    .shape = x.shape(),
                    .inputs = inputs,
                    .attributes = std::move(region)});
}

Array Array::operator[](const Subscripts& subscripts) const {
  const ops::Caller caller = (shape(), ops::caller_of(*this));
  Region region = resolve(shape(), subscripts, "index");
  const Array part = ops::slice_view(*this, region.shape, std::move(region.starts),
                                     std::move(region.steps), caller);
  return ops::reshape_view(part, region.result, caller);
}

Array set(Operand x, const Subscripts& where, Operand value) {
  const CallerScope scope(x.file(), x.line());
  const Array a = ops::to_array(x);
  Region region = resolve(a.shape(), where, "set");
  Array values;
  if (value.is_scalar()) {
    values = ops::constant(value.scalar().as(a.dtype()), region.shape, a.device(), {});
  } else {
    const Shape& given = value.array().shape();
    if (!(broadcast_shapes(given, region.result, "set") == region.result)) {
      throw ShapeError(fmt::format(
          "[set] a value of shape {} does not broadcast to {}, the shape of what the subscripts "
          "name in an array of shape {}",
          to_string(given), to_string(region.result), to_string(a.shape())));
    }
    values = ops::reshape_view(
        ops::broadcast_view(ops::cast(value.array(), a.dtype(), {}), region.result, {}),
        region.shape, {});
  }
  if (region.shape.elements() == 0) return a;

  return ops::set_region(a, values, std::move(region.starts), std::move(region.steps));
}

}  // namespace noyau
