// float16 and bfloat16 as single values: every pattern, every rounding.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "core/convert.hpp"
#include "noyau/array.hpp"
#include "noyau/ops.hpp"
#include "tests/common/halves.hpp"

namespace noyau::test {
namespace {

class Halves : public ::testing::TestWithParam<DType> {
 protected:
  const DType type_ = GetParam();
  template <class T>
  void expect_rounded(T value) const {
    const auto got = static_cast<std::uint16_t>(Scalar::of(value).as(type_).bits);
    const std::uint16_t want = nearest_half(type_, static_cast<long double>(value));
    EXPECT_TRUE(same_half(type_, got, want))
        << name(type_) << ' ' << value << ": " << std::hex << got << " instead of " << want;
  }
};

TEST_P(Halves, EveryPatternWidensAndComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Scalar half{type_, bits};
    const double want = half_value(type_, static_cast<std::uint16_t>(bits));
    const double got = half.to_double();
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(got)) << bits;
      EXPECT_TRUE(std::isnan(half.as(float32).as(type_).to_double())) << bits;
      continue;
    }
    EXPECT_EQ(got, want) << bits;
    EXPECT_EQ(std::signbit(got), std::signbit(want)) << bits;
    EXPECT_EQ(half.as(float32).as(type_), half) << bits;
    EXPECT_EQ(half.as(float64).as(type_), half) << bits;
  }
}

TEST_P(Halves, RoundToTheNearestOnce) {
  for (float v : floats_to_round(1 << 16)) expect_rounded(v);
  for (double v : doubles_to_round(type_)) expect_rounded(v);
  for (std::int64_t v : integers_to_round()) {
    expect_rounded(v);
    expect_rounded(static_cast<std::uint64_t>(v));
    expect_rounded(static_cast<std::int32_t>(v));
    expect_rounded(static_cast<std::uint32_t>(v));
    expect_rounded(static_cast<std::int16_t>(v));
  }
  EXPECT_EQ(Scalar::of(true).as(type_).to_double(), 1);
}

TEST_P(Halves, BecomeIntegersAsOtherFloatsDo) {
  EXPECT_EQ(Scalar::of(-2.75).as(type_).to_int64(), -2);
  EXPECT_EQ(Scalar::of(300.0).as(type_).as(uint8), Scalar::of(std::uint8_t{255}));
  EXPECT_EQ(Scalar::of(std::nan("")).as(type_).as(int32), Scalar::of(0));
  EXPECT_EQ(Scalar::of(-0.0).as(type_).as(bool_), Scalar::of(false));
  EXPECT_EQ(Scalar::of(std::nan("")).as(type_).as(bool_), Scalar::of(true));
}

TEST_P(Halves, AreReadAndWrittenAsCppTypes) {
  const std::vector<double> values = {0.0, -1.5, 0.1, 1e9, -1e-9, 65519.999, 3};
  std::vector<std::uint16_t> halves(values.size());
  const auto n = static_cast<std::int64_t>(values.size());
  convert_values(values.data(), float64, halves.data(), type_, n);
  std::vector<float> floats(values.size());
  convert_values(halves.data(), type_, floats.data(), float32, n);
  for (std::size_t k = 0; k < values.size(); ++k) {
    EXPECT_EQ(halves[k], nearest_half(type_, values[k]));
    EXPECT_EQ(floats[k], half_value(type_, halves[k]));
  }
  int three = 0;
  convert_values(&halves.back(), type_, &three, int32, 1);
  EXPECT_EQ(three, 3);
  std::vector<int> integers(values.size());
  try {
    convert_values(halves.data(), type_, integers.data(), int32, n);
    ADD_FAILURE() << "-1.5 was read as an integer";
  } catch (const DtypeError& e) {
    const std::string message = e.what();
    EXPECT_NE(message.find("element 1 is -1.5"), std::string::npos) << message;
    EXPECT_NE(message.find(name(type_)), std::string::npos) << message;
  }
}

INSTANTIATE_TEST_SUITE_P(both, Halves, ::testing::Values(float16, bfloat16),
                         [](const auto& p) { return std::string(name(p.param)); });

}  // namespace
}  // namespace noyau::test
