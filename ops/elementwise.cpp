// Elementwise operations: the public functions of ops.def, promotion and broadcasting.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/build.hpp"

namespace noyau::ops {
namespace {

/// Which dtypes take part in promotion: all operands, but the choices alone of where.
std::span<const Operand> promoted_operands(const OpRow& row, std::span<const Operand> operands) {
  return row.rule == TypeRule::select ? operands.subspan(1) : operands;
}

/// The common dtype. Scalars are weak: they count only by kind (bool, integer, real).
DType common_dtype(std::span<const Operand> operands) {
  std::optional<DType> arrays, scalars;
  for (const Operand& x : operands) {
    if (!x.is_scalar()) {
      arrays = arrays ? promote(*arrays, x.array().dtype()) : x.array().dtype();
      continue;
    }
    const DType given = x.scalar().dtype;
    const DType kind = is_floating(given) ? float32 : given == bool_ ? bool_ : int64;
    if (!scalars || is_floating(kind) || *scalars == bool_) scalars = kind;
  }
  if (!arrays) return *scalars;
  if (!scalars || *scalars == bool_ || is_floating(*arrays)) return *arrays;
  if (is_floating(*scalars) || *arrays == bool_) return *scalars;
  return *arrays;
}

[[noreturn]] void refuse(const OpRow& row, DType given, std::string_view rule,
                         std::string_view remedy) {
  throw DtypeError(fmt::format("[{}] means nothing for {}: it takes {}; {}", row.name, name(given),
                               rule, remedy));
}

/// The dtype to compute in, for inputs whose common dtype is `given`.
DType compute_dtype(const OpRow& row, DType given) {
  switch (row.rule) {
    case TypeRule::arithmetic:
    case TypeRule::rounding:
    case TypeRule::comparison:
    case TypeRule::predicate:
    case TypeRule::select:
      return given;
    case TypeRule::numeric:
      if (given != bool_) return given;
      refuse(row, given, "numbers",
             "convert with astype(x, noyau::int64), or use logical_xor or "
             "logical_not");
    case TypeRule::floating:
      if (is_floating(given)) return given;
      return size_of(given) <= 2 ? float32 : float64;
    case TypeRule::bitwise:
      if (!is_floating(given)) return given;
      refuse(row, given, "integers and bool",
             "convert with astype(x, noyau::int64), or use logical_and, logical_or, where");
    case TypeRule::shift:
      if (is_integer(given)) return given;
      refuse(row, given, "integers",
             "convert with astype(x, noyau::int64), or multiply by exp2(y)");
    case TypeRule::logical:
      return bool_;
  }
  throw InternalError("an operation without a dtype rule");
}

/// A weak scalar in the dtype that the arrays decided.
Scalar weak(const OpRow& row, Scalar scalar, DType dtype) {
  if (fits(scalar, dtype)) return scalar.as(dtype);
  throw DtypeError(fmt::format(
      "[{}] the number {} does not fit into {}, the dtype of the array beside it (numbers never "
      "widen an array); convert the array first with astype(x, noyau::{})",
      row.name, integer_text(scalar), name(dtype), dtype == int64 ? "float64" : "int64"));
}

Shape common_shape(const OpRow& row, std::span<const Operand> operands) {
  Shape shape;
  bool any = false;
  for (const Operand& x : operands) {
    if (x.is_scalar()) continue;
    if (!any) shape = x.array().shape();
    else if (!(shape == x.array().shape()))
      shape = broadcast_shapes(shape, x.array().shape(), row.name.data());
    any = true;
  }
  return shape;
}

Device common_device(std::span<const Operand> operands) {
  for (const Operand& x : operands) {
    if (!x.is_scalar()) return x.array().device();
  }
  return default_device();
}

/// Integers and bool are neither infinite nor rounded: there is nothing to compute.
std::optional<Array> without_computing(ElementwiseOp op, std::span<const Operand> operands,
                                       DType given, const Shape& shape, Device device) {
  const OpRow& r = row(op);
  if (is_floating(given)) return std::nullopt;
  if (r.rule == TypeRule::rounding) return to_array(operands[0]);
  if (r.rule == TypeRule::predicate) {
    return constant(Scalar::of(op == ElementwiseOp::isfinite), shape, device,
                    caller_of(operands[0]));
  }
  return std::nullopt;
}

bool is_negative(Scalar s) { return is_signed_integer(s.dtype) && s.to_int64() < 0; }

}  // namespace

bool fits(Scalar value, DType dtype) {
  if (!is_integer(value.dtype) || !is_integer(dtype)) return true;
  const Scalar converted = value.as(dtype);
  return is_negative(value) == is_negative(converted) && converted.as(value.dtype) == value;
}

std::string integer_text(Scalar value) {
  return is_negative(value) ? fmt::to_string(value.to_int64())
                            : fmt::to_string(value.as(uint64).bits);
}

Array constant(Scalar value, const Shape& shape, Device device, Caller caller) {
  return make_node({.kind = NodeKind::constant,
                    .dtype = value.dtype,
                    .shape = shape,
                    .attributes = value,
                    .device = device,
                    .file = caller.file,
                    .line = caller.line});
}

Array constant_like(double value, const Array& like) {
  return constant(Scalar::of(value).as(like.dtype()), like.shape(), like.device(), caller_of(like));
}

Array to_array(const Operand& x) {
  if (!x.is_scalar()) return x.array();
  return constant(x.scalar().as(common_dtype({&x, 1})), {}, default_device(), caller_of(x));
}

Array cast(const Array& x, DType dtype, Caller caller) {
  if (x.dtype() == dtype) return x;
  return make_node({.kind = NodeKind::cast,
                    .dtype = dtype,
                    .shape = x.shape(),
                    .inputs = {&x, 1},
                    .file = caller.file,
                    .line = caller.line});
}

DType result_dtype(const OpRow& r, DType compute) {
  const bool truth = r.rule == TypeRule::comparison || r.rule == TypeRule::logical ||
                     r.rule == TypeRule::predicate;
  return truth ? bool_ : compute;
}

Array elementwise(ElementwiseOp op, std::span<const Array> inputs, Caller caller) {
  return make_node({.kind = NodeKind::elementwise,
                    .code = static_cast<std::uint8_t>(op),
                    .dtype = result_dtype(row(op), inputs.back().dtype()),
                    .shape = inputs[0].shape(),
                    .inputs = inputs,
                    .file = caller.file,
                    .line = caller.line});
}

Array apply(ElementwiseOp op, std::span<const Operand> operands) {
  if (op == ElementwiseOp::bitwise_not && common_dtype(operands) == bool_) {
    op = ElementwiseOp::logical_not;  // the bits of a bool are one bit
  }
  const OpRow& r = row(op);
  const Caller caller = caller_of(operands[0]);
  const Shape shape = common_shape(r, operands);
  const Device device = common_device(operands);
  const DType given = common_dtype(promoted_operands(r, operands));
  const DType result = compute_dtype(r, given), compute = computed_in(result);
  if (auto known = without_computing(op, operands, given, shape, device)) return *known;

  Array inputs[3];
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const Operand& x = operands[i];
    const bool choice = r.rule == TypeRule::select && i == 0;
    const DType wanted = choice ? bool_ : compute;
    inputs[i] = x.is_scalar() ? constant(weak(r, x.scalar(), choice ? bool_ : result).as(wanted),
                                         shape, device, caller)
                              : broadcast_view(cast(x.array(), wanted, caller), shape, caller);
  }
  Array computed = elementwise(op, {inputs, operands.size()}, caller);
  if (is_half(result)) return cast(computed, result_dtype(r, result), caller);
  return computed;
}

void require_floating(const Array& x, std::string_view operation) {
  if (is_floating(x.dtype())) return;
  throw DtypeError(
      fmt::format("[{}] means nothing for {}: it takes floats; convert with astype(x, "
                  "noyau::float32)",
                  operation, name(x.dtype())));
}

}  // namespace noyau::ops

namespace noyau {

using ops::apply;
using ops::ElementwiseOp;

#define NOYAU_DEFINE_1(name)                     \
  Array name(Operand x) {                        \
    const Operand operands[] = {std::move(x)};   \
    return apply(ElementwiseOp::name, operands); \
  }
#define NOYAU_DEFINE_2(name)                                 \
  Array name(Operand x, Operand y) {                         \
    const Operand operands[] = {std::move(x), std::move(y)}; \
    return apply(ElementwiseOp::name, operands);             \
  }
#define NOYAU_DEFINE_3(name)                                               \
  Array name(Operand x, Operand y, Operand z) {                            \
    const Operand operands[] = {std::move(x), std::move(y), std::move(z)}; \
    return apply(ElementwiseOp::name, operands);                           \
  }
#define NOYAU_OP(name, inputs, rule, meaning, dx, dy, dz, low, high) NOYAU_DEFINE_##inputs(name)
#include "noyau/ops.def"
#undef NOYAU_DEFINE_1
#undef NOYAU_DEFINE_2
#undef NOYAU_DEFINE_3

Array clamp(Operand x, Operand low, Operand high) {
  // x comes first: where it equals a bound, the gradient is its own.
  return maximum(minimum(std::move(x), std::move(high)), std::move(low));
}

Array softplus(Operand x) {
  // Choices rather than maximum and abs: their derivatives add up to 1/2 at zero.
  const CallerScope scope(x.file(), x.line());
  const Array a = ops::to_array(x);
  if (is_half(a.dtype())) return astype(softplus(astype(a, float32)), a.dtype());
  const Array positive = greater(a, 0);
  return where(positive, a, 0) + log1p(exp(where(positive, negative(a), a)));
}

Array astype(Operand x, DType dtype) {
  if (!x.is_scalar()) return ops::cast(x.array(), dtype, ops::caller_of(x));
  return ops::constant(x.scalar().as(dtype), {}, default_device(), ops::caller_of(x));
}

Array operator+(Operand x, Operand y) { return add(std::move(x), std::move(y)); }
Array operator-(Operand x, Operand y) { return subtract(std::move(x), std::move(y)); }
Array operator*(Operand x, Operand y) { return multiply(std::move(x), std::move(y)); }
Array operator/(Operand x, Operand y) { return divide(std::move(x), std::move(y)); }
Array operator%(Operand x, Operand y) { return remainder(std::move(x), std::move(y)); }
Array operator-(Operand x) { return negative(std::move(x)); }
Array operator+(Operand x) { return ops::to_array(x); }
Array operator==(Operand x, Operand y) { return equal(std::move(x), std::move(y)); }
Array operator!=(Operand x, Operand y) { return not_equal(std::move(x), std::move(y)); }
Array operator<(Operand x, Operand y) { return less(std::move(x), std::move(y)); }
Array operator<=(Operand x, Operand y) { return less_equal(std::move(x), std::move(y)); }
Array operator>(Operand x, Operand y) { return greater(std::move(x), std::move(y)); }
Array operator>=(Operand x, Operand y) { return greater_equal(std::move(x), std::move(y)); }
Array operator&(Operand x, Operand y) { return bitwise_and(std::move(x), std::move(y)); }
Array operator|(Operand x, Operand y) { return bitwise_or(std::move(x), std::move(y)); }
Array operator^(Operand x, Operand y) { return bitwise_xor(std::move(x), std::move(y)); }
Array operator~(Operand x) { return bitwise_not(std::move(x)); }
Array operator<<(Operand x, Operand y) { return left_shift(std::move(x), std::move(y)); }
Array operator>>(Operand x, Operand y) { return right_shift(std::move(x), std::move(y)); }

}  // namespace noyau
