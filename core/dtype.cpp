// Names of dtypes, their promotion, and conversions of single values.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/dtype.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>

#include "noyau/error.hpp"

namespace noyau {
namespace {

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

DType signed_of_bytes(std::size_t bytes) {
  return bytes == 1 ? int8 : bytes == 2 ? int16 : bytes == 4 ? int32 : int64;
}

}  // namespace

std::string_view name(DType type) {
  constexpr std::string_view names[dtype_count] = {"bool",   "int8",    "int16",  "int32",
                                                   "int64",  "uint8",   "uint16", "uint32",
                                                   "uint64", "float32", "float64"};
  return names[static_cast<int>(type)];
}

std::ostream& operator<<(std::ostream& out, DType type) { return out << name(type); }

DType promote(DType a, DType b) {
  if (a == b || b == bool_) return a;
  if (a == bool_) return b;
  if (is_floating(a) && is_floating(b)) return float64;
  if (is_floating(a) || is_floating(b)) {
    DType floating = is_floating(a) ? a : b, integer = is_floating(a) ? b : a;
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
