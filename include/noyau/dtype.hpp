// The element types of arrays, as values.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <type_traits>

namespace noyau {

/// The type of an array's elements. A value, never a template parameter below the public headers.
enum class DType : std::uint8_t {
  boolean,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float32,
  float64,
  float16,   ///< IEEE 754 binary16
  bfloat16,  ///< the upper half of a float32
};
inline constexpr int dtype_count = 13;

inline constexpr DType bool_ = DType::boolean;
inline constexpr DType int8 = DType::int8;
inline constexpr DType int16 = DType::int16;
inline constexpr DType int32 = DType::int32;
inline constexpr DType int64 = DType::int64;
inline constexpr DType uint8 = DType::uint8;
inline constexpr DType uint16 = DType::uint16;
inline constexpr DType uint32 = DType::uint32;
inline constexpr DType uint64 = DType::uint64;
inline constexpr DType float32 = DType::float32;
inline constexpr DType float64 = DType::float64;
inline constexpr DType float16 = DType::float16;
inline constexpr DType bfloat16 = DType::bfloat16;

/// Bytes of one element.
constexpr std::size_t size_of(DType type) {
  constexpr std::uint8_t bytes[dtype_count] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 2, 2};
  return bytes[static_cast<int>(type)];
}
constexpr bool is_floating(DType t) { return t >= float32; }
/// float16 and bfloat16: stored in 16 bits, computed in float32, each operation rounded once.
constexpr bool is_half(DType t) { return t >= float16; }
constexpr bool is_signed_integer(DType t) { return t >= int8 && t <= int64; }
constexpr bool is_unsigned_integer(DType t) { return t >= uint8 && t <= uint64; }
constexpr bool is_integer(DType t) { return t >= int8 && t <= uint64; }
constexpr bool is_signed(DType t) { return is_floating(t) || is_signed_integer(t); }

/// "float32", "bool", ... as NumPy names them.
std::string_view name(DType type);
std::ostream& operator<<(std::ostream& out, DType type);

/// The common dtype of two arrays, by the promotion table of the Python array API standard
/// (2023.12), extended as NumPy does where the standard is silent: int64 with uint64 gives float64,
/// an integer with a float gives a float that holds all its values (float32 for 8- and 16-bit
/// integers with float32, float64 for wider ones; float16 and bfloat16 for 8-bit integers with
/// these, float32 for 16-bit ones, float64 for wider ones). float16 with bfloat16 gives float32.
DType promote(DType a, DType b);

/// The DType of a C++ arithmetic type.
template <class T>
requires std::is_arithmetic_v<T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, bool>) return bool_;
  else if constexpr (std::is_floating_point_v<T>) return sizeof(T) == 4 ? float32 : float64;
  else if constexpr (std::is_signed_v<T>)
    return sizeof(T) == 1 ? int8 : sizeof(T) == 2 ? int16 : sizeof(T) == 4 ? int32 : int64;
  else return sizeof(T) == 1 ? uint8 : sizeof(T) == 2 ? uint16 : sizeof(T) == 4 ? uint32 : uint64;
}

/// One value of some dtype, held in its widest form: what constants and parameters carry.
struct Scalar {
  DType dtype = float32;
  std::uint64_t bits = 0;  ///< the value's own representation, in the low size_of(dtype) bytes

  template <class T>
  requires std::is_arithmetic_v<T>
  static Scalar of(T value);
  /// Converts as astype does: floats to integers truncate and saturate (NaN gives 0), and what a
  /// float cannot hold is rounded once, to the nearest, ties to even.
  Scalar as(DType type) const;
  double to_double() const;
  std::int64_t to_int64() const;  ///< saturates; NaN gives 0
  bool operator==(const Scalar&) const = default;
};

template <class T>
requires std::is_arithmetic_v<T> Scalar Scalar::of(T value) {
  Scalar s{dtype_of<T>(), 0};
  if constexpr (sizeof(T) > 8) {
    return Scalar::of(static_cast<double>(value));
  } else {
    __builtin_memcpy(&s.bits, &value, sizeof(T));
    return s;
  }
}

}  // namespace noyau
