// How what a kernel prints is formatted.
// SPDX-License-Identifier: Apache-2.0
#include "jit/print_format.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace noyau::jit {
namespace {

std::string one(std::string_view format, Scalar value) { return format_print(format, {&value, 1}); }

TEST(PrintFormat, does_as_printf) {
  EXPECT_EQ(one("[%d]", Scalar::of(-5)), "[-5]");
  EXPECT_EQ(one("[%5d]", Scalar::of(-5)), "[   -5]");
  EXPECT_EQ(one("[%-5d]", Scalar::of(-5)), "[-5   ]");
  EXPECT_EQ(one("[%05d]", Scalar::of(-5)), "[-0005]");
  EXPECT_EQ(one("[%-05d]", Scalar::of(5)), "[5    ]");
  EXPECT_EQ(one("[%+d]", Scalar::of(5)), "[+5]");
  EXPECT_EQ(one("[%lld]", Scalar::of(std::int64_t{1} << 40)), "[1099511627776]");
  EXPECT_EQ(one("[%u]", Scalar::of(std::uint64_t{0} - 1)), "[18446744073709551615]");
  EXPECT_EQ(one("[%x]", Scalar::of(std::int8_t{-1})), "[ff]");
  EXPECT_EQ(one("[%#x]", Scalar::of(255)), "[0xff]");
  EXPECT_EQ(one("[%c]", Scalar::of(65)), "[A]");
  EXPECT_EQ(one("[%f]", Scalar::of(1.5f)), "[1.500000]");
  EXPECT_EQ(one("[%8.2f]", Scalar::of(-1.5)), "[   -1.50]");
  EXPECT_EQ(one("[%.0f]", Scalar::of(2.5)), "[2]");
  EXPECT_EQ(one("[%g]", Scalar::of(1e-10)), "[1e-10]");
  EXPECT_EQ(one("[%f]", Scalar::of(INFINITY)), "[inf]");
}

TEST(PrintFormat, values_convert_to_their_conversion) {
  EXPECT_EQ(one("%d", Scalar::of(2.9f)), "2");
  EXPECT_EQ(one("%.1f", Scalar::of(3)), "3.0");
  EXPECT_EQ(one("%d", Scalar::of(true)), "1");
}

TEST(PrintFormat, odd_formats_stay_as_they_are) {
  EXPECT_EQ(one("100%% %d %d", Scalar::of(1)), "100% 1 %d");
  EXPECT_EQ(one("%", Scalar::of(1)), "%");
  EXPECT_EQ(one("%q{}", Scalar::of(1)), "%q{}");
  EXPECT_EQ(one("%99999999d", Scalar::of(1)), "%99999999d");
  EXPECT_EQ(one("%1.2.3f", Scalar::of(1.0)), "%1.2.3f");
  EXPECT_EQ(format_print("{} %d", {}), "{} %d");
}

}  // namespace
}  // namespace noyau::jit
