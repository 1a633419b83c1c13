// Constant folding: powers with special exponents, casts, arithmetic and comparisons of constants.
// SPDX-License-Identifier: Apache-2.0
#include "core/fold.hpp"

#include "ops/op_table.hpp"

namespace noyau {
namespace {

using ops::ElementwiseOp;

bool is_constant(const Array& array) { return array.node()->kind == NodeKind::constant; }
Scalar value_of(const Array& array) { return std::get<Scalar>(array.node()->attributes); }

Array constant_like(const NodeSpec& spec, Scalar value) {
  return make_node({.kind = NodeKind::constant,
                    .dtype = spec.dtype,
                    .shape = spec.shape,
                    .attributes = value,
                    .device = spec.inputs[0].node()->device,
                    .file = spec.file,
                    .line = spec.line});
}

/// x to the power of 2, 1, 0.5 or -1.
std::optional<Array> fold_power(const NodeSpec& spec) {
  const double exponent = value_of(spec.inputs[1]).to_double();
  NodeSpec cheaper = spec;
  cheaper.inputs = spec.inputs.first(1);
  if (exponent == 1) return spec.inputs[0];
  if (exponent == 2) {
    cheaper.code = static_cast<std::uint8_t>(ElementwiseOp::square);
  } else if (exponent == 0.5 && is_floating(spec.dtype)) {
    cheaper.code = static_cast<std::uint8_t>(ElementwiseOp::sqrt);
  } else if (exponent == -1 && is_floating(spec.dtype)) {
    cheaper.code = static_cast<std::uint8_t>(ElementwiseOp::reciprocal);
  } else {
    return std::nullopt;
  }
  return make_node(cheaper);
}

/// T is float, double or, for all integers (which wrap), std::uint64_t.
template <class T>
std::optional<T> compute(ElementwiseOp op, T x, T y) {
  switch (op) {
    case ElementwiseOp::add:
      return x + y;
    case ElementwiseOp::subtract:
      return x - y;
    case ElementwiseOp::multiply:
      return x * y;
    case ElementwiseOp::divide:
      if constexpr (std::is_floating_point_v<T>) return x / y;
      else return std::nullopt;
    case ElementwiseOp::negative:
      return -x;
    default:
      return std::nullopt;
  }
}

template <class T>
std::optional<Scalar> compute_in(ElementwiseOp op, Scalar x, Scalar y) {
  T a, b;
  __builtin_memcpy(&a, &x.bits, sizeof(T));
  __builtin_memcpy(&b, &y.bits, sizeof(T));
  const std::optional<T> result = compute(op, a, b);
  return result ? std::optional(Scalar::of(*result)) : std::nullopt;
}

std::optional<Array> fold_arithmetic(const NodeSpec& spec) {
  const auto op = static_cast<ElementwiseOp>(spec.code);
  const Scalar x = value_of(spec.inputs[0]), y = value_of(spec.inputs.back());
  std::optional<Scalar> result;
  if (spec.dtype == float32) result = compute_in<float>(op, x, y);
  else if (spec.dtype == float64) result = compute_in<double>(op, x, y);
  else if (is_integer(spec.dtype)) result = compute_in<std::uint64_t>(op, x.as(int64), y.as(int64));
  if (!result) return std::nullopt;
  return constant_like(spec, result->as(spec.dtype));
}

template <class T>
std::optional<bool> compare(ElementwiseOp op, Scalar a, Scalar b) {
  T x, y;
  __builtin_memcpy(&x, &a.bits, sizeof(T));
  __builtin_memcpy(&y, &b.bits, sizeof(T));
  switch (op) {
    case ElementwiseOp::equal:
      return x == y;
    case ElementwiseOp::not_equal:
      return x != y;
    case ElementwiseOp::less:
      return x < y;
    case ElementwiseOp::less_equal:
      return x <= y;
    case ElementwiseOp::greater:
      return x > y;
    case ElementwiseOp::greater_equal:
      return x >= y;
    default:
      return std::nullopt;
  }
}

std::optional<Array> fold_comparison(const NodeSpec& spec) {
  const auto op = static_cast<ElementwiseOp>(spec.code);
  const Scalar x = value_of(spec.inputs[0]), y = value_of(spec.inputs.back());
  std::optional<bool> result;
  if (x.dtype == float32) result = compare<float>(op, x, y);
  else if (x.dtype == float64) result = compare<double>(op, x, y);
  else if (x.dtype == uint64) result = compare<std::uint64_t>(op, x, y);
  else result = compare<std::int64_t>(op, x.as(int64), y.as(int64));
  if (!result) return std::nullopt;
  return constant_like(spec, Scalar::of(*result));
}

}  // namespace

std::optional<Array> fold(const NodeSpec& spec) {
  if (spec.kind == NodeKind::cast && is_constant(spec.inputs[0])) {
    return constant_like(spec, value_of(spec.inputs[0]).as(spec.dtype));
  }
  if (spec.kind != NodeKind::elementwise) return std::nullopt;
  if (!is_constant(spec.inputs.back())) return std::nullopt;
  if (static_cast<ElementwiseOp>(spec.code) == ElementwiseOp::power) {
    if (std::optional<Array> folded = fold_power(spec)) return folded;
  }
  for (const Array& input : spec.inputs) {
    if (!is_constant(input)) return std::nullopt;
  }
  return spec.dtype == bool_ ? fold_comparison(spec) : fold_arithmetic(spec);
}

}  // namespace noyau
