// Random numbers are the reference's, bit for bit where they are exact, and spread as they should.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class Random : public DeviceTest {};

TEST_P(Random, EqualsTheReference) {
  for (std::uint64_t seed :
       {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{0xfedcba9876543210}}) {
    random::Generator generator(seed);
    std::vector<Array> exact;
    for (DType dtype : {float32, float64}) {
      exact.push_back(generator.uniform({33, 7}, dtype));
      exact.push_back(generator.uniform({100}, -2.5, 4, dtype));
      EXPECT_TRUE(agrees(generator.normal({1001}, dtype))) << name(dtype);
    }
    for (DType dtype : {int8, int32, int64, uint8, uint32, uint64}) {
      exact.push_back(generator.integers(0, 100, {257}, dtype));
    }
    exact.push_back(generator.integers(-1000000007, std::int64_t{1} << 40, {99}));
    exact.push_back(generator.integers(INT64_MIN, INT64_MAX, {99}));
    exact.push_back(generator.uniform({0, 3}));
    EXPECT_TRUE(all_agree(exact)) << seed;
  }
}

TEST_P(Random, TheSameWheneverAndHoweverItIsEvaluated) {
  random::Generator a(5), b(5);
  const Array first = a.uniform({50}), second = a.uniform({50});
  const Array b_first = b.uniform({50}), b_second = b.uniform({50});
  const std::vector<float> late = second.to_vector<float>();
  EXPECT_EQ((b_first * 1.0).to_vector<float>(), first.to_vector<float>());
  EXPECT_EQ(b_second[slice(std::nullopt, std::nullopt, -1)].to_vector<float>(),
            std::vector<float>(late.rbegin(), late.rend()));
  EXPECT_NE(late, first.to_vector<float>());
}

TEST_P(Random, Moments) {
  random::Generator generator(3);
  const Array u = generator.uniform({100000}), n = generator.normal({100000});
  EXPECT_NEAR(mean(u).item<double>(), 0.5, 0.005);
  EXPECT_NEAR(var(u).item<double>(), 1.0 / 12, 0.001);
  EXPECT_NEAR(mean(n).item<double>(), 0, 0.02);
  EXPECT_NEAR(var(n).item<double>(), 1, 0.02);
  EXPECT_TRUE(all((u >= 0) & (u < 1)).item<bool>());
}

NOYAU_FOR_EACH_DEVICE(Random);

}  // namespace
}  // namespace noyau::test
