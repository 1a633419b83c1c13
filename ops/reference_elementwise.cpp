// The reference meaning of elementwise operations and casts, one element at a time.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "noyau/error.hpp"
#include "ops/reference_ops.hpp"

namespace noyau::reference {
namespace {

using ops::ElementwiseOp;

template <class T>
T larger(T x, T y) {  // NaN wins, and -0 is below +0
  if (std::isnan(x) || std::isnan(y)) return std::numeric_limits<T>::quiet_NaN();
  if (x == y) return std::signbit(x) ? y : x;
  return x > y ? x : y;
}
template <class T>
T smaller(T x, T y) {
  return -larger(-x, -y);
}
/// Division rounded towards minus infinity and its remainder, which has the sign of y, as NumPy and
/// Python do it: from the exact remainder, so that no rounded quotient jumps to the next integer.
template <class T>
struct Division {
  T quotient, remainder;
};
template <class T>
Division<T> divide_reals(T x, T y) {
  T remainder = std::fmod(x, y);
  if (y == 0) return {x / y, remainder};
  T quotient = (x - remainder) / y;
  if (remainder == 0) {
    remainder = std::copysign(T{0}, y);
  } else if ((remainder < 0) != (y < 0)) {
    remainder += y;
    quotient -= 1;
    if (remainder == 0) remainder = std::copysign(T{0}, y);  // rounded to a multiple of y
  }
  if (quotient == 0) return {std::copysign(T{0}, x / y), remainder};
  T whole = std::floor(quotient);
  if (quotient - whole > T(0.5)) whole += 1;
  return {whole, remainder};
}
/// A type in which the C library's functions are accurate beyond T.
template <class T>
using Wider = std::conditional_t<std::is_same_v<T, float>, double, long double>;

template <class T>
T transcendental(ElementwiseOp op, Wider<T> x, Wider<T> y) {
  const auto result = [&]() -> Wider<T> {
    switch (op) {
      case ElementwiseOp::power:
        return std::pow(x, y);
      case ElementwiseOp::exp:
        return std::exp(x);
      case ElementwiseOp::exp2:
        return std::exp2(x);
      case ElementwiseOp::expm1:
        return std::expm1(x);
      case ElementwiseOp::log:
        return std::log(x);
      case ElementwiseOp::log2:
        return std::log2(x);
      case ElementwiseOp::log10:
        return std::log10(x);
      case ElementwiseOp::log1p:
        return std::log1p(x);
      case ElementwiseOp::sin:
        return std::sin(x);
      case ElementwiseOp::cos:
        return std::cos(x);
      case ElementwiseOp::tan:
        return std::tan(x);
      case ElementwiseOp::asin:
        return std::asin(x);
      case ElementwiseOp::acos:
        return std::acos(x);
      case ElementwiseOp::atan:
        return std::atan(x);
      case ElementwiseOp::atan2:
        return std::atan2(x, y);
      case ElementwiseOp::sinh:
        return std::sinh(x);
      case ElementwiseOp::cosh:
        return std::cosh(x);
      case ElementwiseOp::tanh:
        return std::tanh(x);
      case ElementwiseOp::erf:
        return std::erf(x);
      default:
        throw InternalError("the reference evaluator lacks a real operation");
    }
  }();
  return static_cast<T>(result);
}

template <class T>
bool compare(ElementwiseOp op, T x, T y) {
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
    default:
      return x >= y;
  }
}

/// Operations whose result is bool whatever their inputs are.
bool to_bool(ElementwiseOp op, Inputs in, std::size_t i) {
  const Value& x = *in[0];
  switch (op) {
    case ElementwiseOp::logical_and:
      return x.is_true(i) && in[1]->is_true(i);
    case ElementwiseOp::logical_or:
      return x.is_true(i) || in[1]->is_true(i);
    case ElementwiseOp::logical_xor:
      return x.is_true(i) != in[1]->is_true(i);
    case ElementwiseOp::logical_not:
      return !x.is_true(i);
    case ElementwiseOp::isnan:
      return x.is_real() && std::isnan(x.reals[i]);
    case ElementwiseOp::isinf:
      return x.is_real() && std::isinf(x.reals[i]);
    case ElementwiseOp::isfinite:
      return !x.is_real() || std::isfinite(x.reals[i]);
    default:
      break;
  }
  if (x.is_real()) return compare(op, x.reals[i], in[1]->reals[i]);
  if (is_signed_integer(x.dtype)) {
    return compare(op, static_cast<std::int64_t>(x.integers[i]),
                   static_cast<std::int64_t>(in[1]->integers[i]));
  }
  return compare(op, x.integers[i], in[1]->integers[i]);
}

/// Division of integers of `dtype`, rounded towards minus infinity, and its remainder; by zero both
/// are 0.
struct Quotient {
  std::uint64_t quotient, remainder;
};
Quotient divide_integers(DType dtype, std::uint64_t x, std::uint64_t y) {
  if (y == 0) return {0, 0};
  if (!is_signed_integer(dtype)) return {x / y, x % y};
  const auto a = static_cast<std::int64_t>(x), b = static_cast<std::int64_t>(y);
  if (b == -1) return {0 - x, 0};  // the one that would overflow
  std::int64_t quotient = a / b, remainder = a % b;
  if (remainder != 0 && (remainder < 0) != (b < 0)) {
    --quotient;
    remainder += b;
  }
  return {static_cast<std::uint64_t>(quotient), static_cast<std::uint64_t>(remainder)};
}

std::uint64_t shift(ElementwiseOp op, DType dtype, std::uint64_t x, std::uint64_t n) {
  const bool left = op == ElementwiseOp::left_shift;
  const bool negative = is_signed_integer(dtype) && static_cast<std::int64_t>(x) < 0;
  // A negative n is a huge unsigned number: more than the width, like any other.
  if (n >= 8 * size_of(dtype)) return !left && negative ? ~std::uint64_t{0} : 0;
  if (left) return x << n;
  return negative ? ~(~x >> n) : x >> n;
}

std::uint64_t integer_power(DType dtype, std::uint64_t x, std::uint64_t n) {
  if (is_signed_integer(dtype) && static_cast<std::int64_t>(n) < 0) {  // 1 / x^-n, truncated
    const auto base = static_cast<std::int64_t>(x);
    if (base == 1) return 1;
    if (base == -1) return n % 2 == 0 ? 1 : ~std::uint64_t{0};
    return 0;
  }
  std::uint64_t result = 1;
  for (; n != 0; n >>= 1, x *= x) {
    if (n & 1) result *= x;
  }
  return result;
}

bool less_integer(DType dtype, std::uint64_t x, std::uint64_t y) {
  return is_signed_integer(dtype) ? static_cast<std::int64_t>(x) < static_cast<std::int64_t>(y)
                                  : x < y;
}

}  // namespace

template <class T>
T real_operation(ElementwiseOp op, T x, T y, T z) {
  switch (op) {
    case ElementwiseOp::add:
      return x + y;
    case ElementwiseOp::subtract:
      return x - y;
    case ElementwiseOp::multiply:
      return x * y;
    case ElementwiseOp::divide:
      return x / y;
    case ElementwiseOp::multiply_no_nan:
      return y == 0 ? 0 : x * y;
    case ElementwiseOp::floor_divide:
      return divide_reals(x, y).quotient;
    case ElementwiseOp::remainder:
      return divide_reals(x, y).remainder;
    case ElementwiseOp::negative:
      return -x;
    case ElementwiseOp::abs:
      return std::fabs(x);
    case ElementwiseOp::sign:
      return std::isnan(x) || x == 0 ? x : std::copysign(T{1}, x);
    case ElementwiseOp::square:
      return x * x;
    case ElementwiseOp::sqrt:
      return std::sqrt(x);
    case ElementwiseOp::rsqrt:
      return 1 / std::sqrt(x);
    case ElementwiseOp::reciprocal:
      return 1 / x;
    case ElementwiseOp::maximum:
      return larger(x, y);
    case ElementwiseOp::minimum:
      return smaller(x, y);
    case ElementwiseOp::fma:
      return std::fma(x, y, z);
    case ElementwiseOp::floor:
      return std::floor(x);
    case ElementwiseOp::ceil:
      return std::ceil(x);
    case ElementwiseOp::trunc:
      return std::trunc(x);
    case ElementwiseOp::round:
      return std::nearbyint(x);
    case ElementwiseOp::relu:
      return larger(x, T{0});
    case ElementwiseOp::sigmoid:  // as its row says: 0 where exp overflows in T
      return 1 / (1 + transcendental<T>(ElementwiseOp::exp, -x, 0));
    case ElementwiseOp::copy:
      return x;
    default:
      return transcendental<T>(op, x, y);
  }
}
template float real_operation(ElementwiseOp, float, float, float);
template double real_operation(ElementwiseOp, double, double, double);

std::uint64_t wrap(DType dtype, std::uint64_t value) {
  switch (dtype) {
    case bool_:
      return value != 0;
    case int8:
      return static_cast<std::uint64_t>(static_cast<std::int8_t>(value));
    case int16:
      return static_cast<std::uint64_t>(static_cast<std::int16_t>(value));
    case int32:
      return static_cast<std::uint64_t>(static_cast<std::int32_t>(value));
    case uint8:
      return value & 0xff;
    case uint16:
      return value & 0xffff;
    case uint32:
      return value & 0xffffffff;
    default:
      return value;
  }
}

std::uint64_t integer_operation(ElementwiseOp op, DType dtype, std::uint64_t x, std::uint64_t y) {
  const auto result = [&]() -> std::uint64_t {
    switch (op) {
      case ElementwiseOp::add:
        return x + y;
      case ElementwiseOp::subtract:
        return x - y;
      case ElementwiseOp::multiply:
        return x * y;
      case ElementwiseOp::floor_divide:
        return divide_integers(dtype, x, y).quotient;
      case ElementwiseOp::remainder:
        return divide_integers(dtype, x, y).remainder;
      case ElementwiseOp::negative:
        return 0 - x;
      case ElementwiseOp::abs:
        return less_integer(dtype, x, 0) ? 0 - x : x;
      case ElementwiseOp::sign:
        return x == 0 ? 0 : less_integer(dtype, x, 0) ? ~std::uint64_t{0} : 1;
      case ElementwiseOp::square:
        return x * x;
      case ElementwiseOp::power:
        return integer_power(dtype, x, y);
      case ElementwiseOp::maximum:
        return less_integer(dtype, x, y) ? y : x;
      case ElementwiseOp::minimum:
        return less_integer(dtype, y, x) ? y : x;
      case ElementwiseOp::relu:
        return less_integer(dtype, x, 0) ? 0 : x;
      case ElementwiseOp::bitwise_and:
        return x & y;
      case ElementwiseOp::bitwise_or:
        return x | y;
      case ElementwiseOp::bitwise_xor:
        return x ^ y;
      case ElementwiseOp::bitwise_not:
        return dtype == bool_ ? x ^ 1 : ~x;
      case ElementwiseOp::left_shift:
      case ElementwiseOp::right_shift:
        return shift(op, dtype, x, y);
      case ElementwiseOp::floor:
      case ElementwiseOp::ceil:
      case ElementwiseOp::trunc:
      case ElementwiseOp::round:
      case ElementwiseOp::copy:
        return x;
      default:
        throw InternalError("the reference evaluator lacks an integer operation");
    }
  }();
  return wrap(dtype, result);
}

std::uint64_t to_integer(DType dtype, double value) {
  if (dtype == bool_) return value != 0;
  if (std::isnan(value)) return 0;
  const int bits = static_cast<int>(8 * size_of(dtype));
  const bool with_sign = is_signed_integer(dtype);
  const double above = std::ldexp(1.0, with_sign ? bits - 1 : bits);
  const double below = with_sign ? -above : 0;
  if (value >= above) {
    return with_sign ? (std::uint64_t{1} << (bits - 1)) - 1 : wrap(dtype, ~std::uint64_t{0});
  }
  if (value <= below) {
    return with_sign ? wrap(dtype, std::uint64_t{1} << (bits - 1)) : 0;
  }
  return with_sign ? static_cast<std::uint64_t>(static_cast<std::int64_t>(value))
                   : static_cast<std::uint64_t>(value);
}

Value convert(const Value& x, DType dtype, Rounding rounding) {
  Value result(dtype, x.shape);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!result.is_real()) {
      result.integers[i] = x.is_real() ? to_integer(dtype, x.reals[i]) : wrap(dtype, x.integers[i]);
    } else if (x.is_real()) {
      result.reals[i] = rounded(x.reals[i], dtype, rounding);
    } else if (is_half(dtype) && rounding == Rounding::each_operation) {
      result.reals[i] = Scalar{x.dtype, x.integers[i]}.as(dtype).to_double();
    } else if (dtype == float32 && rounding == Rounding::each_operation) {  // round once, not twice
      result.reals[i] = is_signed_integer(x.dtype)
                            ? static_cast<float>(static_cast<std::int64_t>(x.integers[i]))
                            : static_cast<float>(x.integers[i]);
    } else {
      result.reals[i] = x.to_double(i);
    }
  }
  return result;
}

Value elementwise(const Node& node, Inputs in, Rounding rounding) {
  const auto op = static_cast<ElementwiseOp>(node.code);
  const ops::TypeRule rule = ops::row(op).rule;
  Value result(node.dtype, node.shape);
  const bool in_float = node.dtype == float32 && rounding == Rounding::each_operation;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto real = [&](std::size_t k) { return k < in.size() ? in[k]->reals[i] : 0.0; };
    if (rule == ops::TypeRule::select) {
      result.copy_element(i, *in[in[0]->is_true(i) ? 1 : 2], i);
    } else if (rule == ops::TypeRule::comparison || rule == ops::TypeRule::logical ||
               rule == ops::TypeRule::predicate) {
      result.integers[i] = to_bool(op, in, i);
    } else if (!result.is_real()) {
      result.integers[i] = integer_operation(op, node.dtype, in[0]->integers[i],
                                             in.size() > 1 ? in[1]->integers[i] : 0);
    } else if (in_float) {
      result.reals[i] = real_operation(op, static_cast<float>(real(0)), static_cast<float>(real(1)),
                                       static_cast<float>(real(2)));
    } else {
      result.reals[i] = real_operation(op, real(0), real(1), real(2));
    }
  }
  return result;
}

}  // namespace noyau::reference
