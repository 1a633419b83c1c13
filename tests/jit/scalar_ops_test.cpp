// The meaning of each arithmetic instruction at the edges of its domain.
// SPDX-License-Identifier: Apache-2.0
#include "jit/scalar_ops.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
const float nan = std::numeric_limits<float>::quiet_NaN();

template <class T>
T value_of(std::uint64_t bits) {
  T value;
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}

template <class T, class... Rest>
std::uint64_t bits(Opcode op, DType type, T first, Rest... rest) {
  const std::uint64_t operands[] = {Scalar::of(first).bits,
                                    Scalar::of(static_cast<T>(rest)).bits...};
  return evaluate(op, type, dtype_of<T>(), operands);
}
template <class T, class... Rest>
T of(Opcode op, T first, Rest... rest) {
  return value_of<T>(bits(op, dtype_of<T>(), first, rest...));
}
template <class To, class From>
To convert(From value) {
  return value_of<To>(bits(Opcode::convert, dtype_of<To>(), value));
}

template <class T>
class Integers : public ::testing::Test {};
using IntegerTypes = ::testing::Types<std::int8_t, std::int16_t, std::int32_t, std::int64_t,
                                      std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(Integers, IntegerTypes);

TYPED_TEST(Integers, wrap_and_divide_totally) {
  using T = TypeParam;
  constexpr T least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
  EXPECT_EQ(of<T>(Opcode::add, most, 1), least);
  EXPECT_EQ(of<T>(Opcode::subtract, least, 1), most);
  EXPECT_EQ(of<T>(Opcode::multiply, most, most), T{1});
  EXPECT_EQ(of<T>(Opcode::divide, T{7}, 0), T{0});
  EXPECT_EQ(of<T>(Opcode::remainder, T{7}, 0), T{0});
  EXPECT_EQ(of<T>(Opcode::divide, T{7}, 2), T{3});
  EXPECT_EQ(of<T>(Opcode::remainder, T{7}, 4), T{3});
  EXPECT_EQ(of<T>(Opcode::minimum, least, most), least);
  EXPECT_EQ(of<T>(Opcode::maximum, least, most), most);
  EXPECT_EQ(of<T>(Opcode::negate, T{1}), static_cast<T>(-1));
  EXPECT_EQ(of<T>(Opcode::bit_not, T{0}), static_cast<T>(-1));
  EXPECT_EQ(of<T>(Opcode::bit_xor, T{6}, 3), T{5});
  if (std::is_signed_v<T>) {
    EXPECT_EQ(of<T>(Opcode::divide, least, static_cast<T>(-1)), least);
    EXPECT_EQ(of<T>(Opcode::remainder, least, static_cast<T>(-1)), T{0});
    EXPECT_EQ(of<T>(Opcode::divide, static_cast<T>(-7), 2), static_cast<T>(-3));
    EXPECT_EQ(of<T>(Opcode::remainder, static_cast<T>(-7), 4), static_cast<T>(-3));
    EXPECT_EQ(of<T>(Opcode::absolute, least), least);
    EXPECT_EQ(of<T>(Opcode::absolute, static_cast<T>(-5)), T{5});
  }
}

TYPED_TEST(Integers, shift_by_anything) {
  using T = TypeParam;
  constexpr int width = 8 * sizeof(T);
  const T top = static_cast<T>(T{1} << (width - 1));
  EXPECT_EQ(of<T>(Opcode::shift_left, T{1}, width - 1), top);
  EXPECT_EQ(of<T>(Opcode::shift_left, T{1}, width), T{0});
  EXPECT_EQ(of<T>(Opcode::shift_left, T{1}, -1), T{0});
  EXPECT_EQ(of<T>(Opcode::shift_right, T{6}, 1), T{3});
  EXPECT_EQ(of<T>(Opcode::shift_right, T{6}, width), T{0});
  const T sign = std::is_signed_v<T> ? static_cast<T>(-1) : T{0};
  EXPECT_EQ(of<T>(Opcode::shift_right, top, width), sign);
  EXPECT_EQ(of<T>(Opcode::shift_right, top, -1), sign);
  EXPECT_EQ(of<T>(Opcode::shift_right, top, width - 1), std::is_signed_v<T> ? sign : T{1});
}

TEST(ScalarOps, floats_follow_ieee_754) {
  EXPECT_EQ(of(Opcode::divide, 1.0f, 0.0f), inf);
  EXPECT_TRUE(std::isnan(of(Opcode::divide, 0.0f, 0.0f)));
  EXPECT_EQ(of(Opcode::multiply, 1e-30f, 1e-10f), 1e-30f * 1e-10f) << "denormals are kept";
  EXPECT_GT(of(Opcode::multiply, 1e-30f, 1e-10f), 0.0f);
  EXPECT_EQ(of(Opcode::fma, 1.0f + 0x1p-12f, 1.0f + 0x1p-12f, -1.0f), 0x1p-11f + 0x1p-24f);
  EXPECT_EQ(of(Opcode::remainder, -7.5f, 2.0f), -1.5f);
  EXPECT_TRUE(std::isnan(of(Opcode::remainder, 1.0f, 0.0f)));
  EXPECT_TRUE(std::isnan(of(Opcode::sqrt, -1.0f)));
  EXPECT_EQ(of(Opcode::rint, 2.5f), 2.0f);
  EXPECT_EQ(of(Opcode::rint, -3.5), -4.0);
  EXPECT_EQ(of(Opcode::trunc, -1.7), -1.0);
  EXPECT_EQ(of(Opcode::floor, -1.2), -2.0);
  EXPECT_EQ(of(Opcode::ceil, 1.2), 2.0);
  EXPECT_TRUE(std::signbit(of(Opcode::negate, 0.0f)));
  EXPECT_FALSE(std::signbit(of(Opcode::absolute, -0.0f)));
}

TEST(ScalarOps, minimum_and_maximum_keep_nan_and_order_zeros) {
  for (Opcode op : {Opcode::minimum, Opcode::maximum}) {
    EXPECT_TRUE(std::isnan(of(op, nan, 1.0f)));
    EXPECT_TRUE(std::isnan(of(op, 1.0f, nan)));
  }
  EXPECT_TRUE(std::signbit(of(Opcode::minimum, 0.0f, -0.0f)));
  EXPECT_TRUE(std::signbit(of(Opcode::minimum, -0.0f, 0.0f)));
  EXPECT_FALSE(std::signbit(of(Opcode::maximum, 0.0f, -0.0f)));
  EXPECT_FALSE(std::signbit(of(Opcode::maximum, -0.0f, 0.0f)));
  EXPECT_EQ(of(Opcode::maximum, -inf, 3.0f), 3.0f);
}

TEST(ScalarOps, comparisons_with_nan) {
  for (Opcode op :
       {Opcode::equal, Opcode::less, Opcode::less_equal, Opcode::greater, Opcode::greater_equal}) {
    EXPECT_EQ(bits(op, bool_, nan, nan), 0u) << name(op);
  }
  EXPECT_EQ(bits(Opcode::not_equal, bool_, nan, nan), 1u);
  EXPECT_EQ(bits(Opcode::equal, bool_, 0.0f, -0.0f), 1u);
  EXPECT_EQ(bits(Opcode::less, bool_, std::int8_t{-1}, 1), 1u);
  EXPECT_EQ(bits(Opcode::less, bool_, std::uint8_t{255}, 1), 0u);
  EXPECT_EQ(bits(Opcode::less, bool_, false, true), 1u);
}

TEST(ScalarOps, conversions_saturate) {
  EXPECT_EQ(convert<std::int32_t>(3e9f), std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(convert<std::int32_t>(-inf), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(convert<std::int32_t>(nan), 0);
  EXPECT_EQ(convert<std::uint8_t>(-3.0f), 0);
  EXPECT_EQ(convert<std::int64_t>(-2.9), -2);
  EXPECT_EQ(convert<std::int8_t>(std::int32_t{300}), 44);
  EXPECT_EQ(convert<float>(std::int32_t{16777217}), 16777216.0f);
  EXPECT_EQ(convert<bool>(nan), true);
  EXPECT_EQ(convert<bool>(0.25), true);
  EXPECT_EQ(convert<bool>(-0.0), false);
  EXPECT_EQ(convert<double>(true), 1.0);
}

TEST(ScalarOps, bits_and_choices) {
  EXPECT_EQ(bits(Opcode::bitcast, int32, 1.0f), 0x3f800000u);
  const std::uint64_t operands[] = {0, 3, 4};
  EXPECT_EQ(evaluate(Opcode::select, int32, int32, operands), 4u);
  EXPECT_EQ(of(Opcode::bit_not, true), false);
  EXPECT_EQ(of(Opcode::bit_xor, true, true), false);
  EXPECT_EQ(of(Opcode::bit_and, true, false), false);
}

TEST(ScalarOps, the_rest_has_no_meaning) {
  const std::uint64_t operands[] = {0, 3, 4};
  EXPECT_THROW(evaluate(Opcode::load, int32, int64, operands), InternalError);
  EXPECT_THROW(evaluate(Opcode::sqrt, int32, int32, operands), InternalError);
  EXPECT_THROW(evaluate(Opcode::bit_and, float32, float32, operands), InternalError);
  EXPECT_THROW(evaluate(Opcode::add, bool_, bool_, operands), InternalError);
}

}  // namespace
}  // namespace noyau::jit
