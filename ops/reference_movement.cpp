// The reference meaning of nodes that make or move elements: iota, views, roll, pad, concatenate,
// set. SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "noyau/error.hpp"
#include "ops/reference_ops.hpp"

namespace noyau::reference {
namespace {

/// The element of an axis of `extent` that position `i` of its padded form shows, or -1: the
/// constant.
std::int64_t padded_source(PadMode mode, std::int64_t i, std::int64_t extent) {
  if (i >= 0 && i < extent) return i;
  switch (mode) {
    case PadMode::constant:
      return -1;
    case PadMode::edge:
      return i < 0 ? 0 : extent - 1;
    case PadMode::reflect:
      return i < 0 ? -i : 2 * (extent - 1) - i;
  }
  throw InternalError("a pad mode that does not exist");
}

}  // namespace

Value iota(const Node& node, Rounding rounding) {
  const auto& a = std::get<IotaAttributes>(node.attributes);
  Value result(node.dtype, node.shape);
  const Value start = scalar_value(a.start.as(node.dtype)),
              step = scalar_value(a.step.as(node.dtype));
  for_each_index(node.shape, [&](const Shape& index, std::size_t i) {
    const std::int64_t k = index[a.axis];
    if (a.last && k == node.shape[a.axis] - 1) {
      result.copy_element(i, scalar_value(a.last->as(node.dtype)), 0);
    } else if (!result.is_real()) {
      result.integers[i] =
          wrap(node.dtype, start.integers[0] + step.integers[0] * static_cast<std::uint64_t>(k));
    } else if (node.dtype == float32 && rounding == Rounding::each_operation) {
      result.reals[i] = std::fma(static_cast<float>(step.reals[0]), static_cast<float>(k),
                                 static_cast<float>(start.reals[0]));
    } else {
      result.reals[i] = std::fma(step.reals[0], static_cast<double>(k), start.reals[0]);
    }
  });
  return result;
}

Value view(const Node& node, const Value& base) {
  const auto& a = std::get<ViewAttributes>(node.attributes);
  Value result(node.dtype, node.shape);
  for_each_index(node.shape, [&](const Shape& index, std::size_t i) {
    const std::int64_t from = a.offset + dot(index, a.strides);
    if (from < 0 || static_cast<std::size_t>(from) >= base.size()) {
      throw InternalError("a view reaches outside of its base");
    }
    result.copy_element(i, base, static_cast<std::size_t>(from));
  });
  return result;
}

Value roll(const Node& node, const Value& x) {
  const auto& a = std::get<RollAttributes>(node.attributes);
  Value result(node.dtype, node.shape);
  const Shape strides = node.shape.dense_strides();
  for_each_index(node.shape, [&](const Shape& index, std::size_t i) {
    Shape from = index;
    for (int axis = 0; axis < from.rank(); ++axis) {
      const std::int64_t extent = node.shape[axis];
      from[axis] =
          (from[axis] - a.shifts[static_cast<std::size_t>(axis)] % extent + extent) % extent;
    }
    result.copy_element(i, x, static_cast<std::size_t>(dot(from, strides)));
  });
  return result;
}

Value pad(const Node& node, const Value& x) {
  const auto& a = std::get<PadAttributes>(node.attributes);
  Value result(node.dtype, node.shape);
  const Shape strides = x.shape.dense_strides();
  const Value filler = a.mode == PadMode::constant ? scalar_value(a.value.as(node.dtype)) : Value();
  for_each_index(node.shape, [&](const Shape& index, std::size_t i) {
    std::int64_t from = 0;
    bool inside = true;
    for (int axis = 0; axis < index.rank(); ++axis) {
      const std::int64_t k =
          padded_source(a.mode, index[axis] - a.low[static_cast<std::size_t>(axis)], x.shape[axis]);
      inside = inside && k >= 0;
      from += k * strides[axis];
    }
    if (inside) result.copy_element(i, x, static_cast<std::size_t>(from));
    else result.copy_element(i, filler, 0);
  });
  return result;
}

Value concatenate(const Node& node, Inputs inputs) {
  const int axis = std::get<AxesAttributes>(node.attributes).axes.at(0);
  Value result(node.dtype, node.shape);
  const Shape strides = node.shape.dense_strides();
  std::int64_t begin = 0;
  for (const Value* input : inputs) {
    for_each_index(input->shape, [&](const Shape& index, std::size_t i) {
      const std::int64_t to = dot(index, strides) + begin * strides[axis];
      result.copy_element(static_cast<std::size_t>(to), *input, i);
    });
    begin += input->shape[axis];
  }
  return result;
}

Value set(const Node& node, const Value& x, const Value& value) {
  const auto& a = std::get<ViewAttributes>(node.attributes);
  Value result = x;
  result.shape = node.shape;
  for_each_index(value.shape, [&](const Shape& index, std::size_t i) {
    const std::int64_t to = a.offset + dot(index, a.strides);
    result.copy_element(static_cast<std::size_t>(to), value, i);
  });
  return result;
}

}  // namespace noyau::reference
