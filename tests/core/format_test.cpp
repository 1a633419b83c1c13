// Arrays as text; every expectation was printed by NumPy 2.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <clocale>
#include <cmath>
#include <string>

#include "noyau/array.hpp"

namespace noyau {
namespace {

class Format : public ::testing::Test {
 protected:
  DeviceScope scope_{device("null:0")};
  static std::string text(const std::vector<double>& values) { return to_string(array(values)); }
  static std::string text32(const std::vector<float>& values) { return to_string(array(values)); }
};

TEST_F(Format, FloatsShareTheirNotation) {
  EXPECT_EQ(text32({1, 2.5, -3}), "[ 1.   2.5 -3. ]");
  EXPECT_EQ(text32({0.001f, 10.f}), "[1.e-03 1.e+01]");
  EXPECT_EQ(text({1. / 3, 2. / 3}), "[0.33333333 0.66666667]");
  EXPECT_EQ(text32({1.f / 3, 2.f / 3}), "[0.33333334 0.6666667 ]");
  EXPECT_EQ(text({1e8, 1}), "[1.e+08 1.e+00]");
  EXPECT_EQ(text({1e-5, 1}), "[1.e-05 1.e+00]");
  EXPECT_EQ(text({1.23456789012345, 100.5}), "[  1.23456789 100.5       ]");
  EXPECT_EQ(text({1e-300, 1}), "[1.e-300 1.e+000]");
  EXPECT_EQ(text({1.5e10, -2.25e-3}), "[ 1.50e+10 -2.25e-03]");
  EXPECT_EQ(text({-0.0, 0.0}), "[-0.  0.]");
  EXPECT_EQ(text({12345678., 0.5}), "[1.2345678e+07 5.0000000e-01]");
  EXPECT_EQ(text({123456.789, 999.}), "[123456.789    999.   ]");
}

TEST_F(Format, WhatIsNotFinite) {
  EXPECT_EQ(text({NAN, 1, INFINITY}), "[nan  1. inf]");
  EXPECT_EQ(text({-INFINITY, 1.5}), "[-inf  1.5]");
  EXPECT_EQ(text({NAN}), "[nan]");
}

TEST_F(Format, LoneElements) {
  EXPECT_EQ(to_string(array(std::vector<double>{1.5}, {})), "1.5");
  EXPECT_EQ(to_string(array(std::vector<double>{3}, {})), "3.0");
  EXPECT_EQ(to_string(array(std::vector<double>{1e20}, {})), "1e+20");
  EXPECT_EQ(to_string(array(std::vector<double>{1e-7}, {})), "1e-07");
  EXPECT_EQ(to_string(array(std::vector<double>{1e15}, {})), "1000000000000000.0");
  EXPECT_EQ(to_string(array(std::vector<float>{0.1f}, {})), "0.1");
  EXPECT_EQ(to_string(array(std::vector<float>{1e16f}, {})), "1e+16");
  EXPECT_EQ(to_string(array(std::vector<std::int64_t>{3}, {})), "3");
  EXPECT_EQ(to_string(array(std::vector<bool>{true}, {})), "True");
}

// As few digits as tell a half from its neighbours; found by reading them, in every locale.
TEST_F(Format, Halves) {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  std::setlocale(LC_ALL, "de_DE.UTF-8");  // where it is installed
  const auto half = [](const std::vector<double>& v, const Shape& shape, DType dtype = float16) {
    return to_string(detail::make_array_checked(v.data(), v.size(), float64, shape, dtype));
  };
  EXPECT_EQ(half({0.1, 0.2, -3.14159}, {3}), "[ 0.1   0.2  -3.14]");
  EXPECT_EQ(half({6e-8, 1}, {2}), "[6.e-08 1.e+00]");
  EXPECT_EQ(half({INFINITY, -1.5, NAN}, {3}), "[ inf -1.5  nan]");
  EXPECT_EQ(half({0.1}, {}), "0.1");
  EXPECT_EQ(half({3.14}, {}, bfloat16), "3.14");
  EXPECT_EQ(half({-1e30}, {1}, bfloat16), "[-1.e+30]");
  std::setlocale(LC_ALL, before.c_str());
}

TEST_F(Format, IntegersBoolsAndNothing) {
  EXPECT_EQ(to_string(array({-1, 10, 100})), "[ -1  10 100]");
  EXPECT_EQ(to_string(array(std::vector<std::uint8_t>{7, 200})), "[  7 200]");
  EXPECT_EQ(to_string(array(std::vector<std::uint64_t>{UINT64_MAX})), "[18446744073709551615]");
  EXPECT_EQ(to_string(array(std::vector<bool>{true, false})), "[ True False]");
  EXPECT_EQ(to_string(array(std::vector<float>{}, {0, 3})), "[]");
}

TEST_F(Format, AxesLinesAndSummaries) {
  std::vector<std::int64_t> n(24);
  for (std::size_t i = 0; i < n.size(); ++i) n[i] = static_cast<std::int64_t>(i);
  EXPECT_EQ(to_string(array(n, {2, 3, 4})),
            "[[[ 0  1  2  3]\n  [ 4  5  6  7]\n  [ 8  9 10 11]]\n\n"
            " [[12 13 14 15]\n  [16 17 18 19]\n  [20 21 22 23]]]");
  std::vector<double> lines;
  for (int i = 0; i < 9; ++i) lines.push_back(i / 29.0);
  EXPECT_EQ(text(lines),
            "[0.         0.03448276 0.06896552 0.10344828 0.13793103 0.17241379\n"
            " 0.20689655 0.24137931 0.27586207]");
  n.resize(2000);
  for (std::size_t i = 0; i < n.size(); ++i) n[i] = static_cast<std::int64_t>(i);
  EXPECT_EQ(to_string(array(n)), "[   0    1    2 ... 1997 1998 1999]");
  std::vector<float> f(n.begin(), n.end());
  EXPECT_EQ(to_string(array(f, {2, 1000})),
            "[[0.000e+00 1.000e+00 2.000e+00 ... 9.970e+02 9.980e+02 9.990e+02]\n"
            " [1.000e+03 1.001e+03 1.002e+03 ... 1.997e+03 1.998e+03 1.999e+03]]");
  EXPECT_EQ(to_string(array(std::vector<float>(1100), {11, 100})).substr(0, 58),
            "[[0. 0. 0. ... 0. 0. 0.]\n [0. 0. 0. ... 0. 0. 0.]\n [0. 0. ");
  EXPECT_NE(to_string(array(std::vector<float>(1100), {11, 100})).find("]\n ...\n [0."),
            std::string::npos);
}

}  // namespace
}  // namespace noyau
