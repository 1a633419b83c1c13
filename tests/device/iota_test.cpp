// Ranges of float32, which are computed without float64, beside the formula in float64.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/graph.hpp"
#include "tests/common/devices.hpp"

namespace noyau::test {
namespace {

class Iota : public DeviceTest {};

/// Elements from, from + 1, ... of start, start + step, ...
std::vector<float> range(float start, float step, std::int64_t from, std::int64_t count) {
  const Array all = make_node({.kind = NodeKind::iota,
                               .dtype = float32,
                               .shape = {from + count},
                               .attributes = IotaAttributes{.start = Scalar::of(start).as(float32),
                                                            .step = Scalar::of(step).as(float32)}});
  return all[slice(from, from + count)].to_vector<float>();
}

float by_float64(float start, float step, std::int64_t index) {
  return static_cast<float>(
      std::fma(static_cast<double>(index), static_cast<double>(step), static_cast<double>(start)));
}

/// How many numbers of the dtype lie between them; NaN is one number.
std::int64_t distance(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : 1 << 30;
  const auto order = [](float x) {
    const auto bits = std::bit_cast<std::int32_t>(x);
    return static_cast<std::int64_t>(bits < 0 ? std::numeric_limits<std::int32_t>::min() - bits
                                              : bits);
  };
  return std::abs(order(a) - order(b));
}

constexpr std::int64_t window = 2000;
/// The last ones make indices that int32 does not hold.
constexpr std::int64_t windows[] = {0,          (1 << 24) - 1000,  (1 << 24) + 12345,
                                    0x7fff0000, 0x80000000 - 1000, std::int64_t{1} << 40};

TEST_P(Iota, IntegersAreTheNearest) {
  constexpr __int128 most = __int128{1} << 47;  // what the rounding leaves is below 2^24
  for (const std::int64_t start : {0, 1, -7, 16777211, -16777216, 1 << 30, -(1 << 30)}) {
    for (const std::int64_t step : {1, -1, 2, 3, -7, 255, 1000003, 16777215}) {
      for (const std::int64_t from : windows) {
        const std::vector<float> got =
            range(static_cast<float>(start), static_cast<float>(step), from, window);
        for (std::int64_t k = 0; k < window; ++k) {
          const __int128 exact = static_cast<__int128>(from + k) * step + start;
          const bool may_differ = exact > most || exact < -most;
          ASSERT_LE(distance(got[static_cast<std::size_t>(k)], static_cast<float>(exact)),
                    may_differ ? 1 : 0)
              << start << " + " << step << " * " << from + k;
        }
      }
    }
  }
}

TEST_P(Iota, OthersAreTheNearestButForOneInMillions) {
  std::uint64_t bits = 1;
  const auto number = [&](int least, int most) {  // 24 random bits, an exponent between the two
    bits = bits * 6364136223846793005u + 1442695040888963407u;
    const auto mantissa = static_cast<float>(static_cast<std::int32_t>(bits >> 39) | 1);
    const int exponent = least + static_cast<int>((bits >> 32) % 64) % (most - least + 1);
    return std::ldexp((bits >> 38) % 2 == 0 ? mantissa : -mantissa, exponent - 24);
  };
  std::int64_t others = 0;
  for (int k = 0; k < 60; ++k) {
    const float step = number(-20, 10), start = number(-10, 30);
    for (const std::int64_t from : windows) {
      const std::vector<float> got = range(start, step, from, window);
      for (std::int64_t i = 0; i < window; ++i) {
        const std::int64_t d =
            distance(got[static_cast<std::size_t>(i)], by_float64(start, step, from + i));
        ASSERT_LE(d, 1) << start << " + " << step << " * " << from + i;
        others += d;
      }
    }
  }
  EXPECT_LE(others, 1) << "of 720,000";
}

TEST_P(Iota, LargeSmallAndSpecialNumbers) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  constexpr float least = std::numeric_limits<float>::denorm_min();
  constexpr float most = std::numeric_limits<float>::max();
  const float starts[] = {0.0f, -0.0f, 1.0f,  inf,   -inf,   std::nanf(""),
                          most, -most, 3e38f, least, 1e-38f, 0x1p64f};
  const float steps[] = {0.0f,   -0.0f,  1.0f,  inf,    -inf,   std::nanf(""), 6e36f,
                         -6e36f, -1e38f, least, -least, 3e-45f, 1e-40f,        -1e-39f};
  for (const float start : starts) {
    for (const float step : steps) {
      const std::vector<float> got = range(start, step, 0, 200);
      for (std::int64_t i = 0; i < 200; ++i) {
        const float right = by_float64(start, step, i), found = got[static_cast<std::size_t>(i)];
        EXPECT_EQ(distance(found, right), 0)
            << start << " + " << step << " * " << i << ": " << found << ", not " << right;
        EXPECT_EQ(std::signbit(found) || std::isnan(found),
                  std::signbit(right) || std::isnan(right))
            << start << " + " << step << " * " << i;
      }
    }
  }
}

NOYAU_FOR_EACH_DEVICE(Iota);

}  // namespace
}  // namespace noyau::test
