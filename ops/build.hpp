// What the files of ops/ share: the caller's line, scalars made arrays, casts, views, axes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph.hpp"
#include "noyau/grad.hpp"
#include "noyau/ops.hpp"
#include "ops/op_table.hpp"

namespace noyau::ops {

/// The user's line that an operation was called from.
struct Caller {
  const char* file = nullptr;
  int line = 0;
};
inline Caller caller_of(const Operand& x) { return {x.file(), x.line()}; }
inline Caller caller_of(const Array& x) { return {x.node()->file, x.node()->line}; }

/// Whether an integer keeps its value in an integer dtype; true where not both are integers.
bool fits(Scalar value, DType dtype);
/// The digits of an integer.
std::string integer_text(Scalar value);

/// A constant: one value for every element.
Array constant(Scalar value, const Shape& shape, Device device, Caller caller);
Array constant_like(double value, const Array& like);  ///< of its dtype, shape and device

/// The operand as an array: a scalar becomes a constant of shape () (an integer int64, a real
/// number float32, a bool bool).
Array to_array(const Operand& x);

/// `x` itself when it is of that dtype.
Array cast(const Array& x, DType dtype, Caller caller);
/// A view, or `x` itself when it has that shape. The shapes are known to broadcast.
Array broadcast_view(const Array& x, const Shape& shape, Caller caller);
/// A view of the same number of elements; copied first where strides cannot say it.
Array reshape_view(const Array& x, const Shape& shape, Caller caller);
Array permute_view(const Array& x, const std::vector<int>& axes, Caller caller);
/// Element i of axis k is element starts[k] + i * steps[k] of x's, i < shape[k].
Array slice_view(const Array& x, const Shape& shape, std::vector<std::int64_t> starts,
                 std::vector<std::int64_t> steps, Caller caller);

/// x with element starts[k] + i * steps[k] of each axis k replaced by element i of `values`, which
/// has x's dtype and as many axes.
Array set_region(const Array& x, const Array& values, std::vector<std::int64_t> starts,
                 std::vector<std::int64_t> steps);

/// The dtype that values of `dtype` are computed in: float16 and bfloat16 are only stored. Nodes
/// that compute are of this dtype, between casts; so an operation of halves is rounded once.
constexpr DType computed_in(DType dtype) { return is_half(dtype) ? float32 : dtype; }

/// What products of `dtype` may round their factors to: what the caller allows, and what loses
/// nothing. TF32 holds all of float16 and bfloat16.
inline AllowedPrecision product_precision(DType dtype) {
  const AllowedPrecision allowed = allowed_precision();
  return {.tf32 = allowed.tf32 || is_half(dtype), .bf16 = allowed.bf16 || dtype == bfloat16};
}

/// An elementwise node over inputs of one shape, already converted.
Array elementwise(ElementwiseOp op, std::span<const Array> inputs, Caller caller);
/// The dtype that a row gives for inputs that compute in `compute`.
DType result_dtype(const OpRow& row, DType compute);
/// The public operation on any number of operands: promotes, broadcasts, checks.
Array apply(ElementwiseOp op, std::span<const Operand> operands);

/// A reduction over sorted, non-negative axes.
Array reduce_node(ReduceOp op, const Array& x, const std::vector<int>& axes, bool keepdims,
                  DType dtype, Caller caller);
/// Sums `x` down to a shape that broadcasts to x's: the gradient of a broadcast.
Array sum_to_shape(const Array& x, const Shape& shape, Caller caller);

/// The axis as 0 ... rank - 1. ShapeError.
int normalise_axis(int axis, int rank, std::string_view operation);
/// Sorted, non-negative, without repeats. ShapeError.
std::vector<int> normalise_axes(const Axes& axes, int rank, std::string_view operation);
/// `shape` without the axes, or with extents of 1 there.
Shape reduced_shape(const Shape& shape, const std::vector<int>& axes, bool keepdims);

/// DtypeError unless x is floating.
void require_floating(const Array& x, std::string_view operation);

}  // namespace noyau::ops
