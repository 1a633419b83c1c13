// What a device may answer: the reference's values, and how far from each it may be.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "ops/reference.hpp"

namespace noyau::test {

/// Reference values, each with the largest difference that rounding explains: 0 where the answer is
/// exact and must agree bit by bit, infinity where anything may come out (a comparison of two
/// results that rounding may have swapped).
struct Expected {
  reference::Value value;
  std::vector<double> error;
};

/// Errors start in operations that are not exactly rounded and are carried through the graph.
/// Evaluates nothing on a device; ask before anything is evaluated.
std::vector<Expected> expected(std::span<const Array> arrays);
Expected expected(const Array& array);

/// The largest error of an elementwise operation, in units in the last place; 0: exactly rounded.
double ulp_bound(ops::ElementwiseOp op, DType dtype);
/// The distance of neighbouring numbers of `dtype` around `value`; 0 for NaN and infinities.
double spacing(double value, DType dtype);

/// Whether `got` is what was expected; the message names the first element that is not.
::testing::AssertionResult agrees(const reference::Value& got, const Expected& expected);
/// Whether two computed values are the same bits (all NaN alike).
::testing::AssertionResult same_bits(const reference::Value& a, const reference::Value& b);
/// Works out what is expected, evaluates all `arrays` as one plan and compares.
::testing::AssertionResult all_agree(std::span<const Array> arrays);
::testing::AssertionResult agrees(const Array& array);

}  // namespace noyau::test
