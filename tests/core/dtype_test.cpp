// Dtypes: names, the promotion table as a whole, conversions of single values.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/dtype.hpp"
#include "tests/common/values.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace noyau {
namespace {

using test::all_dtypes;

TEST(DType, NamesAreNumPys) {
  const char* expected[dtype_count] = {"bool",    "int8",    "int16",   "int32",  "int64",
                                       "uint8",   "uint16",  "uint32",  "uint64", "float32",
                                       "float64", "float16", "bfloat16"};
  for (DType t : all_dtypes) {
    std::ostringstream out;
    out << t;
    EXPECT_EQ(name(t), expected[static_cast<int>(t)]);
    EXPECT_EQ(out.str(), expected[static_cast<int>(t)]);
  }
}

// The array API standard 2023.12 (its two integer tables and its floating table), written out; the
// mixed cells it leaves open (bool with others, integer with float, int64 with uint64) as NumPy 2.
TEST(DType, PromotionTable) {
  const char* rows[] = {//     bool i8  i16 i32 i64 u8  u16 u32 u64 f32 f64 f16 bfloat16
                        "b     b   i1  i2  i4  i8  u1  u2  u4  u8  f4  f8  f2  bf",
                        "i1    i1  i1  i2  i4  i8  i2  i4  i8  f8  f4  f8  f2  bf",
                        "i2    i2  i2  i2  i4  i8  i2  i4  i8  f8  f4  f8  f4  f4",
                        "i4    i4  i4  i4  i4  i8  i4  i4  i8  f8  f8  f8  f8  f8",
                        "i8    i8  i8  i8  i8  i8  i8  i8  i8  f8  f8  f8  f8  f8",
                        "u1    u1  i2  i2  i4  i8  u1  u2  u4  u8  f4  f8  f2  bf",
                        "u2    u2  i4  i4  i4  i8  u2  u2  u4  u8  f4  f8  f4  f4",
                        "u4    u4  i8  i8  i8  i8  u4  u4  u4  u8  f8  f8  f8  f8",
                        "u8    u8  f8  f8  f8  f8  u8  u8  u8  u8  f8  f8  f8  f8",
                        "f4    f4  f4  f4  f8  f8  f4  f4  f8  f8  f4  f8  f4  f4",
                        "f8    f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  f8",
                        "f2    f2  f2  f4  f8  f8  f2  f4  f8  f8  f4  f8  f2  f4",
                        "bf    bf  bf  f4  f8  f8  bf  f4  f8  f8  f4  f8  f4  bf"};
  const std::vector<std::string> codes = {"b",  "i1", "i2", "i4", "i8", "u1", "u2",
                                          "u4", "u8", "f4", "f8", "f2", "bf"};
  for (std::size_t i = 0; i < codes.size(); ++i) {
    std::istringstream row(rows[i]);
    std::string cell;
    row >> cell;
    ASSERT_EQ(cell, codes[i]);
    for (std::size_t j = 0; j < codes.size(); ++j) {
      row >> cell;
      DType promoted = promote(static_cast<DType>(i), static_cast<DType>(j));
      EXPECT_EQ(codes[static_cast<std::size_t>(promoted)], cell)
          << codes[i] << " with " << codes[j];
      EXPECT_EQ(promoted, promote(static_cast<DType>(j), static_cast<DType>(i)));
    }
  }
}

TEST(DType, DtypeOfEveryArithmeticType) {
  EXPECT_EQ(dtype_of<bool>(), bool_);
  EXPECT_EQ(dtype_of<char>(), std::is_signed_v<char> ? int8 : uint8);
  EXPECT_EQ(dtype_of<signed char>(), int8);
  EXPECT_EQ(dtype_of<short>(), int16);
  EXPECT_EQ(dtype_of<int>(), int32);
  EXPECT_EQ(dtype_of<long>(), sizeof(long) == 8 ? int64 : int32);
  EXPECT_EQ(dtype_of<long long>(), int64);
  EXPECT_EQ(dtype_of<unsigned>(), uint32);
  EXPECT_EQ(dtype_of<unsigned long long>(), uint64);
  EXPECT_EQ(dtype_of<float>(), float32);
  EXPECT_EQ(dtype_of<double>(), float64);
  EXPECT_EQ(Scalar::of(1.5L), Scalar::of(1.5));
}

template <class T>
void expect_saturating(DType type) {
  const double inf = std::numeric_limits<double>::infinity();
  const Scalar least = Scalar::of(std::numeric_limits<T>::min()),
               most = Scalar::of(std::numeric_limits<T>::max());
  for (double huge : {1e30, inf, static_cast<double>(std::numeric_limits<T>::max()) + 1}) {
    EXPECT_EQ(Scalar::of(huge).as(type), most) << name(type) << ' ' << huge;
    EXPECT_EQ(Scalar::of(-2 * huge).as(type), least) << name(type) << ' ' << -2 * huge;
    EXPECT_EQ(Scalar::of(static_cast<float>(2 * huge)).as(type), most) << name(type);
  }
  EXPECT_EQ(Scalar::of(std::nan("")).as(type), Scalar::of(T{0}));
  EXPECT_EQ(Scalar::of(std::nanf("")).as(type), Scalar::of(T{0}));
  EXPECT_EQ(Scalar::of(100.99).as(type), Scalar::of(T{100}));
  EXPECT_EQ(Scalar::of(-0.99).as(type), Scalar::of(T{0}));
  if (is_signed(type)) {
    EXPECT_EQ(Scalar::of(-100.99).as(type).to_int64(), -100);
  } else {
    EXPECT_EQ(Scalar::of(-1.5).as(type).to_int64(), 0);
  }
}

TEST(Scalar, FloatsToIntegersTruncateAndSaturate) {
  expect_saturating<std::int8_t>(int8);
  expect_saturating<std::int16_t>(int16);
  expect_saturating<std::int32_t>(int32);
  expect_saturating<std::int64_t>(int64);
  expect_saturating<std::uint8_t>(uint8);
  expect_saturating<std::uint16_t>(uint16);
  expect_saturating<std::uint32_t>(uint32);
  expect_saturating<std::uint64_t>(uint64);
  EXPECT_EQ(Scalar::of(2147483647.0).as(int32).to_int64(), 2147483647);
  EXPECT_EQ(Scalar::of(9223372036854774784.0).as(int64).to_int64(), 9223372036854774784);
  EXPECT_EQ(Scalar::of(18446744073709549568.0).as(uint64).bits, 18446744073709549568u);
}

TEST(Scalar, IntegersWrap) {
  EXPECT_EQ(Scalar::of(257).as(uint8), Scalar::of(std::uint8_t{1}));
  EXPECT_EQ(Scalar::of(-1).as(uint64).bits, ~0ull);
  EXPECT_EQ(Scalar::of(128).as(int8).to_int64(), -128);
  EXPECT_EQ(Scalar::of(-1).as(uint16).bits, 0xffffu);
}

TEST(Scalar, UnusedBitsAreZero) {
  for (DType t : all_dtypes) {
    std::uint64_t bits = Scalar::of(-1).as(t).bits;
    if (size_of(t) == 8) continue;
    EXPECT_EQ(bits >> (8 * size_of(t)), 0u) << name(t);
  }
}

TEST(Scalar, ToBoolIsNotZero) {
  EXPECT_EQ(Scalar::of(0.25).as(bool_), Scalar::of(true));
  EXPECT_EQ(Scalar::of(-0.0f).as(bool_), Scalar::of(false));
  EXPECT_EQ(Scalar::of(std::nan("")).as(bool_), Scalar::of(true));
  EXPECT_EQ(Scalar::of(256).as(bool_), Scalar::of(true));
  EXPECT_EQ(Scalar::of(true).as(float32), Scalar::of(1.0f));
}

TEST(Scalar, FloatsRoundOnce) {
  // 2^24 + 1 + 2^-29 rounds to 2^24 + 2 as float, from a double; int64 to float32 must not go
  // through double: 2^53 + 2^29 + 1 is above the tie.
  EXPECT_EQ(Scalar::of(std::int64_t{(1ll << 53) + (1ll << 29) + 1}).as(float32),
            Scalar::of(9007200328482816.0f));
  EXPECT_EQ(Scalar::of(1e300).as(float32), Scalar::of(std::numeric_limits<float>::infinity()));
  EXPECT_EQ(Scalar::of(0.1f).to_double(), static_cast<double>(0.1f));
  EXPECT_TRUE(std::signbit(Scalar::of(-0.0).as(float32).to_double()));
}

TEST(Scalar, ToInt64Saturates) {
  EXPECT_EQ(Scalar::of(~0ull).to_int64(), INT64_MAX);
  EXPECT_EQ(Scalar::of(1e19).to_int64(), INT64_MAX);
  EXPECT_EQ(Scalar::of(-1e19f).to_int64(), INT64_MIN);
  EXPECT_EQ(Scalar::of(std::nan("")).to_int64(), 0);
  EXPECT_EQ(Scalar::of(true).to_int64(), 1);
}

}  // namespace
}  // namespace noyau
