// The nearest float16 or bfloat16 by search among all of them: what conversions are tested against.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "noyau/dtype.hpp"

namespace noyau::test {

/// The values of all bit patterns without sign, from the definition of the format.
inline const std::vector<double>& halves_without_sign(DType half) {
  const auto make = [](DType type) {
    const int digits = type == float16 ? 10 : 7, bias = type == float16 ? 15 : 127;
    std::vector<double> values;
    for (int bits = 0; bits < 0x8000; ++bits) {
      const int exponent = bits >> digits, fraction = bits & ((1 << digits) - 1);
      if (exponent == 0x7fff >> digits) {
        values.push_back(fraction == 0 ? std::numeric_limits<double>::infinity()
                                       : std::numeric_limits<double>::quiet_NaN());
      } else if (exponent == 0) {
        values.push_back(fraction * std::pow(2.0, 1 - bias - digits));
      } else {
        values.push_back((1 + fraction * std::pow(2.0, -digits)) * std::pow(2.0, exponent - bias));
      }
    }
    return values;
  };
  static const std::vector<double> of_float16 = make(float16), of_bfloat16 = make(bfloat16);
  return half == float16 ? of_float16 : of_bfloat16;
}

inline double half_value(DType half, std::uint16_t bits) {
  return std::copysign(halves_without_sign(half)[bits & 0x7fff], (bits & 0x8000) != 0 ? -1.0 : 1.0);
}

/// Ties to even; a NaN gives a NaN. long double, so that every int64 is exact.
inline std::uint16_t nearest_half(DType half, long double value) {
  const std::vector<double>& all = halves_without_sign(half);
  const std::uint16_t infinity = half == float16 ? 0x7c00 : 0x7f80;
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return static_cast<std::uint16_t>(infinity + 1);
  const long double size = std::fabs(value);
  const auto last = all.begin() + infinity;  // the first infinity
  auto above = static_cast<std::size_t>(std::upper_bound(all.begin(), last, size) - all.begin());
  const std::size_t below = above - 1;
  // Infinity stands for the next number of a format without end.
  const long double next = above == infinity ? 2 * static_cast<long double>(all[above - 1]) -
                                                   static_cast<long double>(all[above - 2])
                                             : static_cast<long double>(all[above]);
  const long double middle = (static_cast<long double>(all[below]) + next) / 2;
  const bool up = size > middle || (size == middle && below % 2 == 1);
  return static_cast<std::uint16_t>(sign | (up ? above : below));
}

inline bool is_nan_half(DType half, std::uint16_t bits) {
  return (bits & 0x7fff) > (half == float16 ? 0x7c00 : 0x7f80);
}
/// Equal, or both NaN.
inline bool same_half(DType half, std::uint16_t a, std::uint16_t b) {
  return a == b || (is_nan_half(half, a) && is_nan_half(half, b));
}

/// Floats that try every decision of a rounding: each exponent and sign with fractions at the
/// boundaries of both formats, and `random` patterns more.
inline std::vector<float> floats_to_round(std::size_t random) {
  std::vector<std::uint32_t> patterns;
  for (std::uint32_t exponent = 0; exponent < 512; ++exponent) {  // with the sign
    for (std::uint32_t high : {0x000u, 0x001u, 0x002u, 0x07fu, 0x080u, 0x155u, 0x3feu, 0x3ffu}) {
      for (std::uint32_t low : {0x0000u, 0x0001u, 0x0fffu, 0x1000u, 0x1001u, 0x1fffu}) {
        patterns.push_back(exponent << 23 | high << 13 | low);  // around float16's last bit
      }
      for (std::uint32_t low : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
        patterns.push_back(exponent << 23 | (high & 0x7fu) << 16 | low);  // and bfloat16's
      }
    }
    for (int bit = 0; bit < 23; ++bit) {  // around each subnormal's
      patterns.push_back(exponent << 23 | 1u << bit);
      patterns.push_back(exponent << 23 | ((1u << bit) - 1));
      patterns.push_back(exponent << 23 | (0x7fffffu & ~((1u << bit) - 1)));
    }
  }
  std::uint64_t state = 1;
  for (std::size_t k = 0; k < random; ++k) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    patterns.push_back(static_cast<std::uint32_t>(state >> 32));
  }
  std::vector<float> floats(patterns.size());
  __builtin_memcpy(floats.data(), patterns.data(), patterns.size() * sizeof(float));
  return floats;
}

/// Doubles whose rounding to float and then to a half goes wrong: each half's ties with its
/// neighbour, a little more and a little less, and doubles past the ends.
inline std::vector<double> doubles_to_round(DType half) {
  const std::vector<double>& all = halves_without_sign(half);
  const std::size_t infinity = half == float16 ? 0x7c00 : 0x7f80;
  std::vector<double> doubles = {0.0,
                                 1e-320,
                                 1e-60,
                                 1e60,
                                 std::numeric_limits<double>::max(),
                                 std::numeric_limits<double>::infinity(),
                                 std::numeric_limits<double>::quiet_NaN()};
  for (std::size_t k = 0; k + 1 < infinity; k += k < 4096 || k + 300 > infinity ? 1 : 7) {
    const double middle = (all[k] + all[k + 1]) / 2;
    for (double relative : {0.0, 0x1p-52, -0x1p-53, 0x1p-30, -0x1p-30}) {
      doubles.push_back(middle + middle * relative);
    }
  }
  const double end = 2 * all[infinity - 1] - all[infinity - 2];
  for (double v :
       {end, (end + all[infinity - 1]) / 2, std::nextafter((end + all[infinity - 1]) / 2, 0.0)})
    doubles.push_back(v);
  for (std::size_t k = 0, n = doubles.size(); k < n; ++k) doubles.push_back(-doubles[k]);
  return doubles;
}

/// Integers of 64 bits around ties of every binade.
inline std::vector<std::int64_t> integers_to_round() {
  std::vector<std::int64_t> integers = {0,     INT64_MIN, INT64_MAX, INT64_MIN + 1,
                                        65519, 65520,     65521};
  for (int bits = 1; bits < 63; ++bits) {
    const std::int64_t top = std::int64_t{1} << bits;
    for (int lower = bits - 13; lower < bits; ++lower) {
      if (lower < 0) continue;
      for (std::int64_t last : {-1, 0, 1}) {
        const std::int64_t v = top + (std::int64_t{1} << lower) + last;
        integers.push_back(v);
        integers.push_back(-v);
      }
      if (lower > 0) integers.push_back(top + (std::int64_t{3} << (lower - 1)));
    }
  }
  return integers;
}

}  // namespace noyau::test
