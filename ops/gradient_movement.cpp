// The rules of movement: views, rolls, pads, joins, set.
// SPDX-License-Identifier: Apache-2.0
#include <numeric>

#include "ops/gradient_rules.hpp"

namespace noyau::ops {
namespace {

std::size_t at(int axis) { return static_cast<std::size_t>(axis); }

/// `x` between zeros along one axis.
Array between_zeros(const Array& x, int axis, std::int64_t before, std::int64_t after) {
  std::vector<PadWidths::Width> widths(at(x.rank()), {0, 0});
  widths[at(axis)] = {before, after};
  return pad(x, widths);
}

/// Elements start, start + 1, ... along one axis.
Array part(const Array& x, int axis, std::int64_t start, std::int64_t count) {
  Shape shape = x.shape();
  shape[axis] = count;
  std::vector<std::int64_t> starts(at(x.rank()), 0), steps(at(x.rank()), 1);
  starts[at(axis)] = start;
  return slice_view(x, shape, starts, steps, {});
}

/// Puts the cotangent of a slice where its elements came from, among zeros.
Array unsliced(const Array& cotangent, const Shape& shape, const ViewAttributes& slice) {
  if (cotangent.size() == 0) {
    return constant(Scalar::of(0).as(cotangent.dtype()), shape, cotangent.device(), {});
  }
  Array parts = cotangent;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t step = slice.steps[at(axis)];
    if (step != 1 && step != -1) {
      const Array zeros =
          constant(Scalar::of(0).as(cotangent.dtype()), shape, cotangent.device(), {});
      return set_region(zeros, cotangent, slice.starts, slice.steps);
    }
    if (step == -1) parts = flip(parts, axis);
  }
  std::vector<PadWidths::Width> widths;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t count = parts.shape()[axis];
    const std::int64_t first =
        slice.starts[at(axis)] - (slice.steps[at(axis)] == -1 ? count - 1 : 0);
    widths.emplace_back(first, shape[axis] - first - count);
  }
  return pad(parts, widths);
}

/// The gradient of an edge or reflect pad along one axis.
Array folded(const Array& padded, PadMode mode, int axis, std::int64_t low, std::int64_t high) {
  const std::int64_t extent = padded.shape()[axis] - low - high;
  Array total = part(padded, axis, low, extent);
  Array before = part(padded, axis, 0, low), after = part(padded, axis, low + extent, high);
  const std::int64_t inner = mode == PadMode::reflect ? 1 : 0;  // a reflection leaves the edge out
  if (low > 0) {
    before = mode == PadMode::edge ? sum(before, axis, {.keepdims = true}) : flip(before, axis);
    total = total + between_zeros(before, axis, inner, extent - inner - before.shape()[axis]);
  }
  if (high > 0) {
    after = mode == PadMode::edge ? sum(after, axis, {.keepdims = true}) : flip(after, axis);
    total = total + between_zeros(after, axis, extent - inner - after.shape()[axis], inner);
  }
  return total;
}

}  // namespace

void differentiate_view(Backward& b) {
  const auto& view = std::get<ViewAttributes>(b.node.attributes);
  const Shape& shape = b.node.inputs[0]->shape;
  switch (view.kind) {
    case ViewAttributes::Kind::reshape:
      b.cotangents[0] = reshape_view(b.cotangent, shape, {});
      return;
    case ViewAttributes::Kind::permute: {
      std::vector<int> inverse(view.axes.size());
      for (std::size_t k = 0; k < inverse.size(); ++k) {
        inverse[static_cast<std::size_t>(view.axes[k])] = static_cast<int>(k);
      }
      b.cotangents[0] = permute_view(b.cotangent, inverse, {});
      return;
    }
    case ViewAttributes::Kind::broadcast:
      b.cotangents[0] = sum_to_shape(b.cotangent, shape, {});
      return;
    case ViewAttributes::Kind::slice:
      b.cotangents[0] = unsliced(b.cotangent, shape, view);
      b.masks = true;
      return;
  }
}

void differentiate_roll(Backward& b) {
  RollAttributes back = std::get<RollAttributes>(b.node.attributes);
  for (std::size_t k = 0; k < back.shifts.size(); ++k) {
    const std::int64_t extent = b.node.shape[static_cast<int>(k)];
    if (back.shifts[k] != 0) back.shifts[k] = extent - back.shifts[k];
  }
  b.cotangents[0] = make_node({.kind = NodeKind::roll,
                               .dtype = b.cotangent.dtype(),
                               .shape = b.cotangent.shape(),
                               .inputs = {&b.cotangent, 1},
                               .attributes = std::move(back)});
}

void differentiate_pad(Backward& b) {
  const auto& attributes = std::get<PadAttributes>(b.node.attributes);
  Array total = b.cotangent;
  for (int axis = 0; axis < b.node.shape.rank(); ++axis) {
    const std::int64_t low = attributes.low[at(axis)], high = attributes.high[at(axis)];
    if (attributes.mode == PadMode::constant) {
      total = part(total, axis, low, b.node.inputs[0]->shape[axis]);
    } else {
      total = folded(total, attributes.mode, axis, low, high);
    }
  }
  b.cotangents[0] = total;
}

void differentiate_concatenate(Backward& b) {
  const int axis = std::get<AxesAttributes>(b.node.attributes).axes[0];
  std::int64_t start = 0;
  for (std::size_t i = 0; i < b.node.inputs.size(); ++i) {
    const std::int64_t count = b.node.inputs[i]->shape[axis];
    if (b.wanted[i]) b.cotangents[i] = part(b.cotangent, axis, start, count);
    start += count;
  }
}

void differentiate_set(Backward& b) {
  const auto& region = std::get<ViewAttributes>(b.node.attributes);
  const Shape& shape = b.node.inputs[1]->shape;
  if (b.wanted[0]) {
    const Array zeros = constant(Scalar::of(0).as(b.node.dtype), shape, b.node.device, {});
    b.cotangents[0] = set_region(b.cotangent, zeros, region.starts, region.steps);
    b.masks = true;
  }
  if (b.wanted[1]) {
    b.cotangents[1] = slice_view(b.cotangent, shape, region.starts, region.steps, {});
  }
}

}  // namespace noyau::ops
