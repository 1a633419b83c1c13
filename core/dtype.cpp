// Names of dtypes, their promotion, and conversions of single values.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/dtype.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>

#include "noyau/error.hpp"

namespace noyau {
namespace {

/// A 16-bit float: sign, exponent, `fraction` bits; the least normal number is 2^`least`.
struct HalfFormat {
  int fraction, least;
  std::uint64_t infinity() const { return 0x7fffu >> fraction << fraction; }
};
constexpr HalfFormat format_of(DType half) {
  return half == float16 ? HalfFormat{10, -14} : HalfFormat{7, -126};
}

double half_value(DType type, std::uint64_t bits) {
  const HalfFormat f = format_of(type);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  const auto exponent = static_cast<int>((bits & 0x7fff) >> f.fraction);
  const std::uint64_t one = std::uint64_t{1} << f.fraction, fraction = bits & (one - 1);
  if ((bits & f.infinity()) == f.infinity()) {
    if (fraction == 0) return sign * std::numeric_limits<double>::infinity();
    // The same NaN, as far as conversions keep it.
    const auto nan =
        (bits & 0x8000) << 48 | std::uint64_t{0x7ff} << 52 | fraction << (52 - f.fraction);
    return std::bit_cast<double>(nan | std::uint64_t{1} << 51);
  }
  const std::uint64_t digits = exponent == 0 ? fraction : fraction + one;
  return sign *
         std::ldexp(static_cast<double>(digits), std::max(exponent - 1, 0) + f.least - f.fraction);
}

/// The half nearest to magnitude * 2^exponent, ties to even; infinity past the greatest.
std::uint64_t half_bits(DType type, bool negative, std::uint64_t magnitude, int exponent) {
  const HalfFormat f = format_of(type);
  const std::uint64_t sign = negative ? 0x8000 : 0;
  if (magnitude == 0) return sign;
  const int leading = exponent + static_cast<int>(std::bit_width(magnitude)) - 1;
  if (leading > 1 - f.least + 1) return sign | f.infinity();
  const int binade = std::max(leading, f.least);  // subnormals share the least
  const int dropped = binade - f.fraction - exponent;
  std::uint64_t digits = 0;
  if (dropped <= 0) {
    digits = magnitude << -dropped;
  } else if (dropped <= 64) {
    const std::uint64_t kept = dropped == 64 ? 0 : magnitude >> dropped;
    const std::uint64_t rest = magnitude << (64 - dropped), tie = std::uint64_t{1} << 63;
    digits = kept + (rest > tie || (rest == tie && (kept & 1) != 0) ? 1 : 0);
  }
  // A carry out of the digits is one into the exponent, up to infinity.
  const std::uint64_t bits = (static_cast<std::uint64_t>(binade - f.least) << f.fraction) + digits;
  return sign | std::min(bits, f.infinity());
}

std::uint64_t half_bits(DType type, double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const HalfFormat f = format_of(type);
  if (std::isnan(value)) {
    const std::uint64_t fraction = bits << 12 >> (64 - f.fraction);
    return bits >> 63 << 15 | f.infinity() | fraction | std::uint64_t{1} << (f.fraction - 1);
  }
  if (std::isinf(value)) return bits >> 63 << 15 | f.infinity();
  int exponent = 0;
  const double fraction = std::frexp(std::abs(value), &exponent);
  return half_bits(type, std::signbit(value), static_cast<std::uint64_t>(std::ldexp(fraction, 53)),
                   exponent - 53);
}

template <class T>
T read(const Scalar& s) {
  T value;
  std::memcpy(&value, &s.bits, sizeof(T));
  return value;
}

/// Calls f with the value in its own type.
template <class F>
auto visit(const Scalar& s, F f) {
  switch (s.dtype) {
    case bool_:
      return f(s.bits != 0);
    case int8:
      return f(read<std::int8_t>(s));
    case int16:
      return f(read<std::int16_t>(s));
    case int32:
      return f(read<std::int32_t>(s));
    case int64:
      return f(read<std::int64_t>(s));
    case uint8:
      return f(read<std::uint8_t>(s));
    case uint16:
      return f(read<std::uint16_t>(s));
    case uint32:
      return f(read<std::uint32_t>(s));
    case uint64:
      return f(read<std::uint64_t>(s));
    case float32:
      return f(read<float>(s));
    case float64:
      return f(read<double>(s));
    case float16:
    case bfloat16:
      return f(half_value(s.dtype, s.bits));
  }
  throw InternalError("a Scalar has a dtype that does not exist");
}

/// astype's conversion: integers wrap, floats truncate and saturate, NaN gives 0, bool is x != 0.
template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(value)) return 0;
    // Both limits below are powers of two (or 0), hence exact in From.
    constexpr From above = static_cast<From>(To{1} << (std::numeric_limits<To>::digits - 1)) * 2;
    constexpr From below = static_cast<From>(std::numeric_limits<To>::min());
    if (value >= above) return std::numeric_limits<To>::max();
    if (value <= below) return std::numeric_limits<To>::min();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

template <class From>
Scalar to_half(DType type, From value) {
  if constexpr (std::is_floating_point_v<From>) {
    return {type, half_bits(type, static_cast<double>(value))};
  } else {
    const bool negative = std::is_signed_v<From> && value < From{0};
    const auto magnitude = static_cast<std::uint64_t>(value);
    return {type, half_bits(type, negative, negative ? 0 - magnitude : magnitude, 0)};
  }
}

DType signed_of_bytes(std::size_t bytes) {
  return bytes == 1 ? int8 : bytes == 2 ? int16 : bytes == 4 ? int32 : int64;
}

}  // namespace

std::string_view name(DType type) {
  constexpr std::string_view names[dtype_count] = {
      "bool",   "int8",   "int16",   "int32",   "int64",   "uint8",   "uint16",
      "uint32", "uint64", "float32", "float64", "float16", "bfloat16"};
  return names[static_cast<int>(type)];
}

std::ostream& operator<<(std::ostream& out, DType type) { return out << name(type); }

DType promote(DType a, DType b) {
  if (a == b || b == bool_) return a;
  if (a == bool_) return b;
  if (is_floating(a) && is_floating(b)) {
    if (size_of(a) == size_of(b)) return float32;  // float16 and bfloat16
    return size_of(a) > size_of(b) ? a : b;
  }
  if (is_floating(a) || is_floating(b)) {
    DType floating = is_floating(a) ? a : b, integer = is_floating(a) ? b : a;
    if (is_half(floating) && size_of(integer) == 2) return float32;
    return size_of(integer) <= 2 ? floating : float64;
  }
  if (is_signed(a) == is_signed(b)) return size_of(a) > size_of(b) ? a : b;
  DType with_sign = is_signed(a) ? a : b, without = is_signed(a) ? b : a;
  if (size_of(with_sign) > size_of(without)) return with_sign;
  return without == uint64 ? float64 : signed_of_bytes(2 * size_of(without));
}

Scalar Scalar::as(DType type) const {
  return visit(*this, [type](auto v) -> Scalar {
    switch (type) {
      case bool_:
        return of(convert<bool>(v));
      case int8:
        return of(convert<std::int8_t>(v));
      case int16:
        return of(convert<std::int16_t>(v));
      case int32:
        return of(convert<std::int32_t>(v));
      case int64:
        return of(convert<std::int64_t>(v));
      case uint8:
        return of(convert<std::uint8_t>(v));
      case uint16:
        return of(convert<std::uint16_t>(v));
      case uint32:
        return of(convert<std::uint32_t>(v));
      case uint64:
        return of(convert<std::uint64_t>(v));
      case float32:
        return of(convert<float>(v));
      case float64:
        return of(convert<double>(v));
      case float16:
      case bfloat16:
        return to_half(type, v);
    }
    throw InternalError("conversion of a Scalar to a dtype that does not exist");
  });
}

double Scalar::to_double() const {
  return visit(*this, [](auto v) { return static_cast<double>(v); });
}

std::int64_t Scalar::to_int64() const {
  if (dtype == uint64 && bits > static_cast<std::uint64_t>(INT64_MAX)) return INT64_MAX;
  return visit(*this, [](auto v) { return convert<std::int64_t>(v); });
}

}  // namespace noyau
