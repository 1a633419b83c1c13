// The reference meaning of reductions.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "noyau/error.hpp"
#include "ops/reference_ops.hpp"

namespace noyau::reference {
namespace {

/// For each element of the reduced array, the numbers of the elements that it comes from, in
/// row-major order.
std::vector<std::vector<std::size_t>> groups(const Shape& shape, const std::vector<int>& axes) {
  std::vector<bool> reduced(static_cast<std::size_t>(shape.rank()), false);
  for (int axis : axes) reduced[static_cast<std::size_t>(axis)] = true;
  Shape kept = shape;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (reduced[static_cast<std::size_t>(axis)]) kept[axis] = 1;
  }
  Shape strides = kept.dense_strides();
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (reduced[static_cast<std::size_t>(axis)]) strides[axis] = 0;
  }
  std::vector<std::vector<std::size_t>> result(static_cast<std::size_t>(kept.elements()));
  for_each_index(shape, [&](const Shape& index, std::size_t i) {
    result[static_cast<std::size_t>(dot(index, strides))].push_back(i);
  });
  return result;
}

bool precedes(const Value& x, std::size_t a, std::size_t b) {  // x[a] < x[b], numbers only
  if (x.is_real()) return x.reals[a] < x.reals[b];
  if (is_signed_integer(x.dtype)) {
    return static_cast<std::int64_t>(x.integers[a]) < static_cast<std::int64_t>(x.integers[b]);
  }
  return x.integers[a] < x.integers[b];
}

/// The first extreme of `group`, as a position in it; NaN is more extreme than any number.
std::size_t extreme(const Value& x, const std::vector<std::size_t>& group, bool largest) {
  std::size_t best = 0;
  for (std::size_t k = 0; k < group.size(); ++k) {
    if (x.is_real() && std::isnan(x.reals[group[k]])) return k;
    if (largest ? precedes(x, group[best], group[k]) : precedes(x, group[k], group[best])) best = k;
  }
  return best;
}

double real_result(ReduceOp op, const Value& x, const std::vector<std::size_t>& group) {
  switch (op) {
    case ReduceOp::sum: {
      long double sum = 0;
      for (std::size_t i : group) sum += x.reals[i];
      return static_cast<double>(sum);
    }
    case ReduceOp::product: {
      long double product = 1;
      for (std::size_t i : group) product *= x.reals[i];
      return static_cast<double>(product);
    }
    default: {  // as a chain of maximum, which orders -0 below +0
      const auto combine =
          op == ReduceOp::maximum ? ops::ElementwiseOp::maximum : ops::ElementwiseOp::minimum;
      double result = op == ReduceOp::maximum ? -std::numeric_limits<double>::infinity()
                                              : std::numeric_limits<double>::infinity();
      for (std::size_t i : group) result = real_operation(combine, result, x.reals[i], 0.0);
      return result;
    }
  }
}

std::uint64_t integer_result(ReduceOp op, const Value& x, const std::vector<std::size_t>& group) {
  std::uint64_t result = op == ReduceOp::product ? 1 : 0;
  switch (op) {
    case ReduceOp::sum:
      for (std::size_t i : group) result += x.integers[i];
      return result;
    case ReduceOp::product:
      for (std::size_t i : group) result *= x.integers[i];
      return result;
    default:
      if (group.empty()) throw InternalError("an extreme of no elements");
      return x.integers[group[extreme(x, group, op == ReduceOp::maximum)]];
  }
}

}  // namespace

Value reduce(const Node& node, const Value& input, Rounding rounding) {
  const auto op = static_cast<ReduceOp>(node.code);
  const auto& axes = std::get<AxesAttributes>(node.attributes).axes;
  Value result(node.dtype, node.shape);
  const auto all_groups = groups(input.shape, axes);
  const bool logical = op == ReduceOp::any || op == ReduceOp::all;
  const Value x =
      logical || input.dtype == node.dtype ? input : convert(input, node.dtype, rounding);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::vector<std::size_t>& group = all_groups[i];
    const auto truth = [&x](std::size_t k) { return x.is_true(k); };
    if (op == ReduceOp::any) {
      result.integers[i] = std::any_of(group.begin(), group.end(), truth);
    } else if (op == ReduceOp::all) {
      result.integers[i] = std::all_of(group.begin(), group.end(), truth);
    } else if (x.is_real()) {
      result.reals[i] = rounded(real_result(op, x, group), node.dtype, rounding);
    } else {
      result.integers[i] = wrap(node.dtype, integer_result(op, x, group));
    }
  }
  return result;
}

Value arg_reduce(const Node& node, const Value& x) {
  const bool largest = static_cast<ReduceOp>(node.code) == ReduceOp::maximum;
  Value result(node.dtype, node.shape);
  const auto all_groups = groups(x.shape, std::get<AxesAttributes>(node.attributes).axes);
  for (std::size_t i = 0; i < result.size(); ++i) {
    result.integers[i] = extreme(x, all_groups[i], largest);
  }
  return result;
}

}  // namespace noyau::reference
