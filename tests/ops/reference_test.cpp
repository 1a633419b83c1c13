// The reference evaluator itself, against numbers worked out by hand, NumPy's and the papers'.
// SPDX-License-Identifier: Apache-2.0
#include "ops/reference.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "noyau/noyau.hpp"

namespace noyau::reference {
namespace {

using Reals = std::vector<double>;

std::vector<std::int64_t> whole(const Value& value) {
  return {value.integers.begin(), value.integers.end()};
}
std::vector<std::int64_t> whole(const Array& array) { return whole(evaluate(array)); }

// The known answers of Random123, kat_vectors: philox4x32 10.
TEST(Reference, PhiloxKnownAnswers) {
  const auto check = [](PhiloxWords counter, std::uint32_t key0, std::uint32_t key1,
                        PhiloxWords want) {
    const PhiloxWords got = philox(counter, key0, key1);
    for (int k = 0; k < 4; ++k) EXPECT_EQ(got.word[k], want.word[k]);
  };
  check({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  check({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  check({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
        {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST(Reference, IntegersWrapAndDivideTowardsMinusInfinity) {
  const Array x = array(std::vector<std::int8_t>{7, -7, 7, -7, 5, -128, 127});
  const Array y = array(std::vector<std::int8_t>{2, 2, -2, -2, 0, -1, 1});
  using W = std::vector<std::int64_t>;
  EXPECT_EQ(whole(floor_divide(x, y)), (W{3, -4, -4, 3, 0, -128, 127}));
  EXPECT_EQ(whole(remainder(x, y)), (W{1, 1, -1, -1, 0, 0, 0}));
  EXPECT_EQ(whole(x + y), (W{9, -5, 5, -9, 5, 127, -128}));
  EXPECT_EQ(whole(abs(x)), (W{7, 7, 7, 7, 5, -128, 127}));
  EXPECT_EQ(
      whole(array(std::vector<std::uint8_t>{200, 3}) << array(std::vector<std::uint8_t>{1, 8})),
      (W{144, 0}));
  EXPECT_EQ(
      whole(array(std::vector<std::int8_t>{-128, -1}) >> array(std::vector<std::int8_t>{7, -1})),
      (W{-1, -1}));
}

TEST(Reference, ConversionsTruncateAndSaturate) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Array x = array(std::vector<double>{2.9, -2.9, 300, -300, 1e30, -1e30, nan, 0.5});
  using W = std::vector<std::int64_t>;
  EXPECT_EQ(whole(astype(x, int8)), (W{2, -2, 127, -128, 127, -128, 0, 0}));
  EXPECT_EQ(whole(astype(x, uint8)), (W{2, 0, 255, 0, 255, 0, 0, 0}));
  EXPECT_EQ(whole(astype(x, int64))[4], INT64_MAX);
  EXPECT_EQ(whole(astype(x, bool_)), (W{1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(whole(astype(array({300, -1}), uint8)), (W{44, 255}));
}

TEST(Reference, RoundsFloat32WhenAsked) {
  const Array x = array({0.1f}) + array({0.2f});
  EXPECT_EQ(evaluate(x, Rounding::each_operation).reals[0], static_cast<double>(0.1f + 0.2f));
  EXPECT_EQ(evaluate(x).reals[0], static_cast<double>(0.1f) + static_cast<double>(0.2f));
}

TEST(Reference, ReductionsNaNAndTies) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Array x = array({{1.f, 5.f, 5.f}, {2.f, nan, 0.f}});
  EXPECT_EQ(whole(argmax(x, 1)), (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ(whole(argmin(x, 0)), (std::vector<std::int64_t>{0, 1, 1}));
  EXPECT_TRUE(std::isnan(evaluate(max(x)).reals[0]));
  EXPECT_EQ(evaluate(sum(x, 1)).reals[0], 11);
  EXPECT_EQ(evaluate(var(array({1.f, 2.f, 3.f, 4.f}))).reals[0], 1.25);
  EXPECT_EQ(evaluate(sum(zeros({0, 2}), 0)).reals, (Reals{0, 0}));
  EXPECT_EQ(evaluate(prod(zeros({0}))).reals, (Reals{1}));
}

TEST(Reference, Movement) {
  const Array x = reshape(arange(6), {2, 3});
  using W = std::vector<std::int64_t>;
  EXPECT_EQ(whole(transpose(x)), (W{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(whole(x[{slice(), slice(std::nullopt, std::nullopt, -2)}]), (W{2, 0, 5, 3}));
  EXPECT_EQ(whole(roll(x, 1, 1)), (W{2, 0, 1, 5, 3, 4}));
  EXPECT_EQ(whole(pad(x[0], {{2, 2}}, Pad::reflect)), (W{2, 1, 0, 1, 2, 1, 0}));
  EXPECT_EQ(whole(pad(x[0], {{1, 2}}, Pad::edge)), (W{0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(whole(pad(x[0], {{1, 0}}, Pad::constant, 9)), (W{9, 0, 1, 2}));
  EXPECT_EQ(whole(concatenate({x, x[{slice(), slice(0, 1)}]}, 1)), (W{0, 1, 2, 0, 3, 4, 5, 3}));
  EXPECT_EQ(whole(set(x, {slice(), 1}, 7)), (W{0, 7, 2, 3, 7, 5}));
}

TEST(Reference, ProductsConvolutionsAndPools) {
  const Array a = reshape(arange(6), {2, 3});
  EXPECT_EQ(whole(matmul(a, transpose(a))), (std::vector<std::int64_t>{5, 14, 14, 50}));
  const Array image = reshape(astype(arange(9), float32), {1, 1, 3, 3});
  const Array kernel = array(std::vector<float>{1, 0, 0, 10}, {1, 1, 2, 2});
  EXPECT_EQ(evaluate(conv2d(image, kernel)).reals, (Reals{40, 51, 73, 84}));
  EXPECT_EQ(evaluate(conv2d(image, kernel, {.stride = 2, .padding = 1})).reals,
            (Reals{0, 20, 60, 84}));
  EXPECT_EQ(evaluate(max_pool2d(image, 2)).reals, (Reals{4}));
  EXPECT_EQ(evaluate(max_pool2d(image, 2, {.ceil_mode = true})).reals, (Reals{4, 5, 7, 8}));
  EXPECT_EQ(evaluate(avg_pool2d(image, 2, {.ceil_mode = true})).reals, (Reals{2, 3.5, 6.5, 8}));
  EXPECT_EQ(evaluate(avg_pool2d(image, 2, {.padding = 1})).reals, (Reals{0, 0.75, 2.25, 6}));
}

TEST(Reference, ALongChainNeedsNoStack) {
  Array x = array({1.f});
  for (int i = 0; i < 100000; ++i) x = x + 1.0;
  EXPECT_EQ(evaluate(x).reals[0], 100001);
}

}  // namespace
}  // namespace noyau::reference
