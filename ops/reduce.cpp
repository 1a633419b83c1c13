// Reductions: sums, products, extremes and what is built from them.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/build.hpp"

namespace noyau::ops {
namespace {

std::int64_t reduced_count(const Shape& shape, const std::vector<int>& axes) {
  Shape reduced;
  for (int axis : axes) reduced.push_back(shape[axis]);
  return reduced.elements();
}

/// What a reduction of no elements gives.
Scalar identity(ReduceOp op, DType dtype) {
  return Scalar::of(op == ReduceOp::product || op == ReduceOp::all ? 1 : 0).as(dtype);
}

void require_elements(const Array& x, const std::vector<int>& axes, const Shape& result,
                      std::string_view operation) {
  if (reduced_count(x.shape(), axes) > 0 || result.elements() == 0) return;
  throw ShapeError(fmt::format(
      "[{}] an array of shape {} has no elements along the axes ({}), and the {} of nothing is "
      "undefined; test size() first, or concatenate a bound",
      operation, to_string(x.shape()), fmt::join(axes, ", "), operation));
}

/// The extreme of bool is any or all.
Array extreme(ReduceOp op, const Operand& operand, const Axes& axes, ReduceOptions options,
              std::string_view operation) {
  const CallerScope scope(operand.file(), operand.line());
  const Array x = to_array(operand);
  const std::vector<int> list = normalise_axes(axes, x.rank(), operation);
  require_elements(x, list, reduced_shape(x.shape(), list, options.keepdims), operation);
  if (x.dtype() == bool_) op = op == ReduceOp::minimum ? ReduceOp::all : ReduceOp::any;
  return reduce_node(op, x, list, options.keepdims, x.dtype(), {});
}

Array accumulate(ReduceOp op, const Operand& operand, const Axes& axes, ReduceOptions options,
                 std::string_view operation) {
  const CallerScope scope(operand.file(), operand.line());
  const Array x = to_array(operand);
  const DType dtype = is_floating(x.dtype())           ? x.dtype()
                      : is_unsigned_integer(x.dtype()) ? uint64
                                                       : int64;
  return reduce_node(op, x, normalise_axes(axes, x.rank(), operation), options.keepdims, dtype, {});
}

Array truth(ReduceOp op, const Operand& operand, const Axes& axes, ReduceOptions options,
            std::string_view operation) {
  const CallerScope scope(operand.file(), operand.line());
  const Array x = to_array(operand);
  return reduce_node(op, x, normalise_axes(axes, x.rank(), operation), options.keepdims, bool_, {});
}

Array position(ReduceOp op, const Operand& operand, const Axes& axes, ReduceOptions options,
               std::string_view operation) {
  const CallerScope scope(operand.file(), operand.line());
  Array x = to_array(operand);
  const std::vector<int> list = normalise_axes(axes, x.rank(), operation);
  if (!axes.all() && list.size() != 1) {
    throw ShapeError(fmt::format(
        "[{}] given {} axes: the position is found along one axis, or over all elements in "
        "row-major order; reshape to merge axes",
        operation, list.size()));
  }
  const Shape shape = reduced_shape(x.shape(), list, options.keepdims);
  require_elements(x, list, shape, operation);
  if (reduced_count(x.shape(), list) <= 1) {
    return constant(Scalar::of(std::int64_t{0}), shape, x.device(), {});
  }
  x = cast(x, x.dtype() == bool_ ? uint8 : computed_in(x.dtype()), {});
  return make_node({.kind = NodeKind::arg_reduce,
                    .code = static_cast<std::uint8_t>(op),
                    .dtype = int64,
                    .shape = shape,
                    .inputs = {&x, 1},
                    .attributes = AxesAttributes{list, options.keepdims}});
}

/// What mean, var and logsumexp compute in: integers and halves as wider floats.
Array floating(const Operand& operand) {
  const Array x = to_array(operand);
  if (is_floating(x.dtype())) return cast(x, computed_in(x.dtype()), {});
  return cast(x, size_of(x.dtype()) <= 2 ? float32 : float64, {});
}

/// What was computed from `given` by way of floating(): of halves, rounded to them.
Array narrowed(const Array& computed, const Operand& given) {
  const DType dtype = given.is_scalar() ? computed.dtype() : given.array().dtype();
  return is_half(dtype) ? cast(computed, dtype, {}) : computed;
}

}  // namespace

Shape reduced_shape(const Shape& shape, const std::vector<int>& axes, bool keepdims) {
  Shape result;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (!std::binary_search(axes.begin(), axes.end(), axis)) result.push_back(shape[axis]);
    else if (keepdims) result.push_back(1);
  }
  return result;
}

Array reduce_node(ReduceOp op, const Array& x, const std::vector<int>& axes, bool keepdims,
                  DType dtype, Caller caller) {
  const Shape shape = reduced_shape(x.shape(), axes, keepdims);
  const std::int64_t count = reduced_count(x.shape(), axes);
  if (count == 0 || shape.elements() == 0) {
    return constant(identity(op, dtype), shape, x.device(), caller);
  }
  if (is_half(dtype)) {
    return cast(reduce_node(op, x, axes, keepdims, float32, caller), dtype, caller);
  }
  const Array input = cast(x, dtype, caller);
  if (count == 1) return reshape_view(input, shape, caller);
  return make_node({.kind = NodeKind::reduce,
                    .code = static_cast<std::uint8_t>(op),
                    .dtype = dtype,
                    .shape = shape,
                    .inputs = {&input, 1},
                    .attributes = AxesAttributes{axes, keepdims},
                    .file = caller.file,
                    .line = caller.line});
}

Array sum_to_shape(const Array& x, const Shape& shape, Caller caller) {
  if (x.shape() == shape) return x;
  const int added = x.rank() - shape.rank();
  std::vector<int> axes;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (axis < added || (shape[axis - added] == 1 && x.shape()[axis] != 1)) axes.push_back(axis);
  }
  return reshape_view(reduce_node(ReduceOp::sum, x, axes, true, x.dtype(), caller), shape, caller);
}

}  // namespace noyau::ops

namespace noyau {

using namespace ops;

Array sum(Operand x, Axes axes, ReduceOptions options) {
  return accumulate(ReduceOp::sum, x, axes, options, "sum");
}
Array prod(Operand x, Axes axes, ReduceOptions options) {
  return accumulate(ReduceOp::product, x, axes, options, "prod");
}
Array min(Operand x, Axes axes, ReduceOptions options) {
  return extreme(ReduceOp::minimum, x, axes, options, "min");
}
Array max(Operand x, Axes axes, ReduceOptions options) {
  return extreme(ReduceOp::maximum, x, axes, options, "max");
}
Array any(Operand x, Axes axes, ReduceOptions options) {
  return truth(ReduceOp::any, x, axes, options, "any");
}
Array all(Operand x, Axes axes, ReduceOptions options) {
  return truth(ReduceOp::all, x, axes, options, "all");
}
Array argmin(Operand x, Axes axis, ReduceOptions options) {
  return position(ReduceOp::minimum, x, axis, options, "argmin");
}
Array argmax(Operand x, Axes axis, ReduceOptions options) {
  return position(ReduceOp::maximum, x, axis, options, "argmax");
}

Array mean(Operand x, Axes axes, ReduceOptions options) {
  const CallerScope scope(x.file(), x.line());
  const Array a = floating(x);
  const std::vector<int> list = normalise_axes(axes, a.rank(), "mean");
  return narrowed(reduce_node(ReduceOp::sum, a, list, options.keepdims, a.dtype(), {}) /
                      static_cast<double>(reduced_count(a.shape(), list)),
                  x);
}

Array var(Operand x, Axes axes, ReduceOptions options) {
  const CallerScope scope(x.file(), x.line());
  const Array a = floating(x);
  const Axes list(normalise_axes(axes, a.rank(), "var"));
  return narrowed(mean(square(a - mean(a, list, {.keepdims = true})), list, options), x);
}

Array logsumexp(Operand x, Axes axes, ReduceOptions options) {
  const CallerScope scope(x.file(), x.line());
  const Array a = floating(x);
  const std::vector<int> list = normalise_axes(axes, a.rank(), "logsumexp");
  // The result does not depend on what is subtracted, so neither does its gradient. An infinite
  // maximum subtracts nothing.
  if (reduced_count(a.shape(), list) == 0) {
    return narrowed(log(reduce_node(ReduceOp::sum, a, list, options.keepdims, a.dtype(), {})), x);
  }
  const Array largest = stop_gradient(max(a, Axes(list), {.keepdims = true}));
  const Array shift = where(isfinite(largest), largest, 0);
  const Array total = log(sum(exp(a - shift), Axes(list), {.keepdims = true})) + shift;
  return narrowed(reshape_view(total, reduced_shape(a.shape(), list, options.keepdims), {}), x);
}

Array softmax(Operand x, Axes axes) {
  const CallerScope scope(x.file(), x.line());
  Array a = to_array(x);
  require_floating(a, "softmax");
  a = floating(a);
  const Axes list(normalise_axes(axes, a.rank(), "softmax"));
  if (a.size() == 0) return narrowed(a, x);
  const Array e = exp(a - stop_gradient(max(a, list, {.keepdims = true})));
  return narrowed(e / sum(e, list, {.keepdims = true}), x);
}

}  // namespace noyau
