// The reference meaning of nodes that make or move elements: iota, views, roll, pad, concatenate,
// set.
// SPDX-License-Identifier: Apache-2.0
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

/// From what the user asked for, not from offset and strides: those are what devices use.
std::vector<Source> sources_of_view(const Node& node, const Shape& x) {
  const auto& a = std::get<ViewAttributes>(node.attributes);
  const Shape strides = x.dense_strides();
  std::vector<Source> result;
  for_each_index(node.shape, [&](const Shape& index, std::size_t i) {
    std::int64_t from = a.kind == ViewAttributes::Kind::reshape ? static_cast<std::int64_t>(i) : 0;
    for (int axis = 0; axis < index.rank(); ++axis) {
      const auto k = static_cast<std::size_t>(axis);
      const int old = axis - (index.rank() - x.rank());  // of a broadcast
      switch (a.kind) {
        case ViewAttributes::Kind::reshape:
          break;
        case ViewAttributes::Kind::permute:
          from += index[axis] * strides[static_cast<int>(a.axes[k])];
          break;
        case ViewAttributes::Kind::slice:
          from += (a.starts[k] + index[axis] * a.steps[k]) * strides[axis];
          break;
        case ViewAttributes::Kind::broadcast:
          if (old >= 0 && x[old] != 1) from += index[axis] * strides[old];
          break;
      }
    }
    result.push_back({0, from});
  });
  return result;
}

std::vector<Source> sources_of_roll(const Node& node) {
  const auto& shifts = std::get<RollAttributes>(node.attributes).shifts;
  const Shape strides = node.shape.dense_strides();
  std::vector<Source> result;
  for_each_index(node.shape, [&](const Shape& index, std::size_t) {
    Shape from = index;
    for (int axis = 0; axis < from.rank(); ++axis) {
      const std::int64_t extent = node.shape[axis];
      const std::int64_t shift = shifts[static_cast<std::size_t>(axis)] % extent;
      from[axis] = (from[axis] - shift + extent) % extent;
    }
    result.push_back({0, dot(from, strides)});
  });
  return result;
}

std::vector<Source> sources_of_pad(const Node& node, const Shape& x) {
  const auto& a = std::get<PadAttributes>(node.attributes);
  const Shape strides = x.dense_strides();
  std::vector<Source> result;
  for_each_index(node.shape, [&](const Shape& index, std::size_t) {
    Source source{0, 0};
    for (int axis = 0; axis < index.rank(); ++axis) {
      const std::int64_t at = index[axis] - a.low[static_cast<std::size_t>(axis)];
      const std::int64_t k = padded_source(a.mode, at, x[axis]);
      if (k < 0) source.input = -1;
      source.element += k * strides[axis];
    }
    result.push_back(source);
  });
  return result;
}

std::vector<Source> sources_of_concatenate(const Node& node, Inputs inputs) {
  const int axis = std::get<AxesAttributes>(node.attributes).axes.at(0);
  std::vector<Source> result(static_cast<std::size_t>(node.shape.elements()));
  const Shape strides = node.shape.dense_strides();
  std::int64_t begin = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    for_each_index(inputs[k]->shape, [&](const Shape& index, std::size_t i) {
      const std::int64_t to = dot(index, strides) + begin * strides[axis];
      result[static_cast<std::size_t>(to)] = {static_cast<int>(k), static_cast<std::int64_t>(i)};
    });
    begin += inputs[k]->shape[axis];
  }
  return result;
}

std::vector<Source> sources_of_set(const Node& node, const Shape& value) {
  const auto& a = std::get<ViewAttributes>(node.attributes);
  const Shape strides = node.shape.dense_strides();
  std::vector<Source> result;
  for (std::int64_t i = 0; i < node.shape.elements(); ++i) result.push_back({0, i});
  for_each_index(value, [&](const Shape& index, std::size_t i) {
    std::int64_t to = 0;
    for (int axis = 0; axis < index.rank(); ++axis) {
      const auto k = static_cast<std::size_t>(axis);
      to += (a.starts[k] + index[axis] * a.steps[k]) * strides[axis];
    }
    result.at(static_cast<std::size_t>(to)) = {1, static_cast<std::int64_t>(i)};
  });
  return result;
}

std::vector<Source> sources_of_gather(const Node& node, const Value& x, const Value& indices) {
  const std::int64_t plane = x.shape[2] * x.shape[3];
  std::vector<Source> result;
  for_each_index(node.shape, [&](const Shape& out, std::size_t i) {
    const std::int64_t begin = (out[0] * x.shape[1] + out[1]) * plane;
    result.push_back({0, begin + static_cast<std::int64_t>(indices.integers[i])});
  });
  return result;
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
    } else {
      const double exact = std::fma(step.reals[0], static_cast<double>(k), start.reals[0]);
      result.reals[i] = rounded(exact, node.dtype, rounding);
    }
  });
  return result;
}

std::vector<Source> sources(const Node& node, Inputs inputs) {
  switch (node.kind) {
    case NodeKind::view:
      return sources_of_view(node, inputs[0]->shape);
    case NodeKind::roll:
      return sources_of_roll(node);
    case NodeKind::pad:
      return sources_of_pad(node, inputs[0]->shape);
    case NodeKind::concatenate:
      return sources_of_concatenate(node, inputs);
    case NodeKind::set:
      return sources_of_set(node, inputs[1]->shape);
    case NodeKind::max_pool_gather:
      return sources_of_gather(node, *inputs[0], *inputs[1]);
    default:
      throw InternalError("a node that does not move elements");
  }
}

Value moved(const Node& node, Inputs inputs) {
  Value result(node.dtype, node.shape);
  const std::vector<Source> from = sources(node, inputs);
  Value filler;
  if (const auto* a = std::get_if<PadAttributes>(&node.attributes)) {
    filler = scalar_value(a->value.as(node.dtype));
  }
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (from[i].input < 0) {
      result.copy_element(i, filler, 0);
      continue;
    }
    const Value& input = *inputs[static_cast<std::size_t>(from[i].input)];
    if (static_cast<std::size_t>(from[i].element) >= input.size()) {
      throw InternalError("a view or an index reaches outside of the array that it reads");
    }
    result.copy_element(i, input, static_cast<std::size_t>(from[i].element));
  }
  return result;
}

}  // namespace noyau::reference
