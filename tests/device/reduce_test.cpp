// Reductions over every subset of axes, against the reference.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class Reduce : public DeviceTest {};

/// Each subset of the axes of a shape.
std::vector<std::vector<int>> subsets(int rank) {
  std::vector<std::vector<int>> result;
  for (int mask = 0; mask < 1 << rank; ++mask) {
    std::vector<int> axes;
    for (int axis = 0; axis < rank; ++axis) {
      if (mask >> axis & 1) axes.push_back(axis);
    }
    result.push_back(axes);
  }
  return result;
}

/// Whether min, max and mean have something to work on.
bool has_terms(const Shape& shape, const std::vector<int>& axes) {
  for (int axis : axes) {
    if (shape[axis] == 0) return false;
  }
  return true;
}

/// Every reduction that x's dtype has, over these axes.
std::vector<Array> reductions(const Array& x, const std::vector<int>& axes, bool keepdims) {
  const ReduceOptions options{.keepdims = keepdims};
  std::vector<Array> results = {sum(x, axes, options), prod(x, axes, options),
                                any(x, axes, options), all(x, axes, options)};
  if (!has_terms(x.shape(), axes)) return results;
  results.push_back(min(x, axes, options));
  results.push_back(max(x, axes, options));
  if (axes.size() == 1) {
    results.push_back(argmin(x, axes, options));
    results.push_back(argmax(x, axes, options));
  }
  if (is_floating(x.dtype())) {
    for (const Array& r :
         {mean(x, axes, options), var(x, axes, options), logsumexp(x, axes, options)}) {
      results.push_back(r);
    }
  }
  return results;
}

const Shape shapes[] = {{},        {1},       {5},          {257},    {3, 5},     {1, 7, 1},
                        {2, 3, 4}, {4, 1, 9}, {2, 3, 2, 5}, {0},      {0, 3},     {3, 0},
                        {2, 0, 3}, {3, 1000}, {1000, 3},    {64, 64}, {31, 33, 2}};

TEST_P(Reduce, EverySubsetOfAxes) {
  Numbers numbers(11);
  for (const Shape& shape : shapes) {
    for (const std::vector<int>& axes : subsets(shape.rank())) {
      SCOPED_TRACE(to_string(shape) + " over axes " + ::testing::PrintToString(axes));
      const Array x = random_array(numbers, float32, shape, -2, 2);
      EXPECT_TRUE(all_agree(reductions(x, axes, false)));
      EXPECT_TRUE(all_agree(reductions(x, axes, true)));
    }
  }
}

TEST_P(Reduce, EveryDtype) {
  Numbers numbers(12);
  for (DType dtype : all_dtypes) {
    SCOPED_TRACE(name(dtype));
    const Array x = random_array(numbers, dtype, {7, 13, 3}, -9, 9);
    for (const std::vector<int>& axes : subsets(3))
      EXPECT_TRUE(all_agree(reductions(x, axes, false)));
    EXPECT_TRUE(agrees(mean(x)));
  }
}

TEST_P(Reduce, SumsOfNarrowIntegersAreWide) {
  const Array x = full({1000}, 100, int8);
  EXPECT_EQ(sum(x).dtype(), int64);
  EXPECT_EQ(sum(x).item<int>(), 100000);
  EXPECT_EQ(sum(full({1000}, 200, uint8)).dtype(), uint64);
  EXPECT_EQ(sum(full({300}, true)).item<int>(), 300);
}

// NaN wins minima, maxima and their positions; of equal elements the first counts; -0 is below +0.
TEST_P(Reduce, SpecialValuesAndTies) {
  Numbers numbers(13);
  for (DType dtype : all_dtypes) {
    SCOPED_TRACE(name(dtype));
    const Array some = random_array(numbers, dtype, {41, 29}, -3, 3, 0.02);
    const Array ties = random_array(numbers, dtype, {41, 29}, 0, 1);
    for (const Array& x : {some, ties, astype(ties, dtype)}) {
      std::vector<Array> results = {argmin(x), argmax(x), min(x), max(x)};
      for (int axis : {0, 1}) {
        for (const Array& r : {min(x, axis), max(x, axis), argmin(x, axis), argmax(x, axis)}) {
          results.push_back(r);
        }
      }
      EXPECT_TRUE(all_agree(results));
    }
  }
}

TEST_P(Reduce, StridedInputs) {
  Numbers numbers(14);
  const Array x = random_array(numbers, float32, {12, 10, 14}, -2, 2);
  const Array views[] = {transpose(x),
                         flip(x),
                         x[{slice(1, std::nullopt, 3), slice(), slice(9, 2, -2)}],
                         permute(x, {1, 0, 2}),
                         broadcast_to(x[{slice(), slice(0, 1)}], {12, 10, 14}),
                         x[3]};
  for (const Array& view : views) {
    for (const std::vector<int>& axes : subsets(view.rank())) {
      EXPECT_TRUE(all_agree(reductions(view, axes, false))) << to_string(view.shape());
    }
  }
}

TEST_P(Reduce, LargeAndFusedWithWhatSurroundsIt) {
  Numbers numbers(15);
  const Array x = random_array(numbers, float32, {70001}, 0, 1);
  const Array rows = random_array(numbers, float32, {37, 1031}, -1, 1);
  EXPECT_TRUE(all_agree(std::vector<Array>{sum(x * x), mean(exp(x)), var(x), sqrt(sum(x)) + 1}));
  EXPECT_TRUE(agrees(softmax(rows)));
  EXPECT_TRUE(agrees(softmax(rows, 0)));
  EXPECT_TRUE(agrees(rows - mean(rows, 1, {.keepdims = true})));
  const Array centred = rows - mean(rows, 1, {.keepdims = true});
  EXPECT_TRUE(agrees(centred / sqrt(var(rows, 1, {.keepdims = true}) + 1e-5)));
  EXPECT_TRUE(agrees(sum(sum(rows, 1) * 2.0)));
  EXPECT_TRUE(
      all_agree(std::vector<Array>{sum(rows, 0), sum(rows, 1), max(rows, 0), max(rows, 1)}));
}

// The order of a sum is fixed: the same bits whatever else is in the plan, and each time.
TEST_P(Reduce, SumsAreReproducible) {
  Numbers numbers(16);
  const Array x = random_array(numbers, float32, {65537}, 0, 1);
  const Array alone = sum(x);
  const Array beside = sum(x), other = max(x), third = mean(x * 3.0);
  alone.eval();
  eval({beside, other, third});
  EXPECT_TRUE(same_bits(reference::computed(alone), reference::computed(beside)));
  EXPECT_TRUE(same_bits(reference::computed(alone), reference::computed(sum(x))));
  EXPECT_TRUE(same_bits(reference::computed(alone), reference::computed(sum(copy(x)))));
}

NOYAU_FOR_EACH_DEVICE(Reduce);

}  // namespace
}  // namespace noyau::test
