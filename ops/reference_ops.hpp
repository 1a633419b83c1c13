// What the files of the reference evaluator share: one function for each kind of node.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "ops/reference.hpp"

namespace noyau::reference {

using Inputs = std::span<const Value* const>;

/// `value` as a number of `dtype`.
inline double rounded(double value, DType dtype, Rounding rounding) {
  if (is_half(dtype) && rounding == Rounding::each_operation) {
    return Scalar::of(value).as(dtype).to_double();
  }
  return dtype == float32 && rounding == Rounding::each_operation
             ? static_cast<double>(static_cast<float>(value))
             : value;
}
inline double rounded(long double value, DType dtype, Rounding rounding) {
  return dtype == float32 && rounding == Rounding::each_operation
             ? static_cast<double>(static_cast<float>(value))
             : static_cast<double>(value);
}

/// The position after `index` in row-major order; stops at the end of `shape` by wrapping to zeros.
inline void advance(Shape& index, const Shape& shape) {
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    if (++index[axis] < shape[axis]) return;
    index[axis] = 0;
  }
}
/// sum of index[k] * strides[k]
inline std::int64_t dot(const Shape& index, const Shape& strides) {
  std::int64_t sum = 0;
  for (int axis = 0; axis < index.rank(); ++axis) sum += index[axis] * strides[axis];
  return sum;
}
/// Calls f(index, number) for each element of `shape` in row-major order.
template <class F>
void for_each_index(const Shape& shape, F f) {
  Shape index = Shape::filled(shape.rank(), 0);
  const std::int64_t count = shape.elements();
  for (std::int64_t i = 0; i < count; ++i, advance(index, shape)) {
    f(static_cast<const Shape&>(index), static_cast<std::size_t>(i));
  }
}

Value scalar_value(Scalar scalar);
Value convert(const Value& x, DType dtype, Rounding rounding);

Value iota(const Node& node, Rounding rounding);
Value elementwise(const Node& node, Inputs inputs, Rounding rounding);
Value moved(const Node& node, Inputs inputs);  ///< see sources()
Value reduce(const Node& node, const Value& x, Rounding rounding);
Value arg_reduce(const Node& node, const Value& x);
Value random(const Node& node, Rounding rounding);
Value matmul(const Node& node, const Value& a, const Value& b, Rounding rounding);
Value convolution(const Node& node, const Value& x, const Value& weights, Rounding rounding);
Value convolution_input_gradient(const Node& node, const Value& dy, const Value& weights,
                                 Rounding rounding);
Value convolution_weight_gradient(const Node& node, const Value& x, const Value& dy,
                                  Rounding rounding);
std::vector<Value> max_pool(const Node& node, const Value& x);
Value max_pool_gradient(const Node& node, const Value& dy, const Value& indices, Rounding rounding);
Value avg_pool(const Node& node, const Value& x, Rounding rounding);
Value avg_pool_gradient(const Node& node, const Value& dy, Rounding rounding);

}  // namespace noyau::reference
