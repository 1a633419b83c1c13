// Creation, views, roll, pad, concatenate and set, against the reference; their results are exact.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "core/plan_counters.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class Movement : public DeviceTest {
 protected:
  Array make(const Shape& shape, DType dtype = float32) {
    return random_array(numbers_, dtype, shape, -99, 99);
  }
  Numbers numbers_{21};
};

TEST_P(Movement, Creation) {
  EXPECT_EQ(arange(5).to_vector<int>(), (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(arange(5, -4, -3).to_vector<int>(), (std::vector<int>{5, 2, -1}));
  EXPECT_EQ(eye(2, 3).to_vector<float>(), (std::vector<float>{1, 0, 0, 0, 1, 0}));
  for (DType dtype : all_dtypes) {
    std::vector<Array> results = {zeros({3, 4}, dtype), ones({}, dtype), full({0, 2}, 1, dtype),
                                  full({7}, 1, dtype)};
    if (dtype != bool_) results.push_back(arange(0, 100, 3, dtype));
    if (is_floating(dtype)) results.push_back(linspace(-1, 3, 1001, dtype));
    EXPECT_TRUE(all_agree(results)) << name(dtype);
  }
  const std::vector<double> line = linspace(0.1, 0.7, 11, float64).to_vector<double>();
  EXPECT_EQ(line.front(), 0.1);
  EXPECT_EQ(line.back(), 0.7);
}

/// What comes of every slice of one axis, also combined with steps on another.
TEST_P(Movement, Slices) {
  const Array x = make({7, 9});
  std::vector<Array> results;
  for (std::int64_t step : {1, 2, 3, 8, -1, -2, -7}) {
    for (std::optional<std::int64_t> start : {std::optional<std::int64_t>{}, {2}, {-3}}) {
      for (std::optional<std::int64_t> stop : {std::optional<std::int64_t>{}, {6}, {-1}, {0}}) {
        const Array part = x[{slice(start, stop, step), slice(std::nullopt, std::nullopt, -2)}];
        results.push_back(part);
        results.push_back(part + 1.0);
      }
    }
  }
  for (const Array& r : {x[3], x[{-1, 2}], x[{slice(), -4}], x[{newaxis, slice(), newaxis, 0}]}) {
    results.push_back(r);
  }
  EXPECT_TRUE(all_agree(results));
}

TEST_P(Movement, ViewsOfViews) {
  for (DType dtype : all_dtypes) {
    const Array x = make({4, 6, 5}, dtype);
    const Array odd = permute(x, {2, 0, 1})[{slice(4, 0, -2), slice(), slice(1, 6, 2)}];
    EXPECT_TRUE(all_agree(std::vector<Array>{
        odd, reshape(odd, {-1, 3}), flip(odd, {0, 2}), transpose(flip(odd)), swap_axes(x, 0, -1),
        expand_dims(odd, 1), squeeze(x[{slice(0, 1)}]),
        broadcast_to(x[{slice(), slice(2, 3)}], {2, 4, 6, 5}),
        reshape(broadcast_to(x[{0, 0}], {3, 5}), {15}), reshape(transpose(x), {20, 6}),
        repeat(x, 3, 1),
        outer(x[{0, 0}], x[{1, slice(), 0}])[{slice(), slice(std::nullopt, std::nullopt, -1)}]}))
        << name(dtype);
  }
}

TEST_P(Movement, RollPadConcatenate) {
  for (DType dtype : {bool_, int8, int64, float32, float64, float16, bfloat16}) {
    const Array x = make({5, 7}, dtype), y = make({5, 2}, dtype);
    std::vector<Array> results;
    for (std::int64_t shift : {0, 1, -1, 6, 7, -15, 100}) results.push_back(roll(x, shift, 1));
    results.push_back(roll(x, {2, -3}, {0, 1}));
    results.push_back(roll(x[{slice(), slice(0, 0)}], 3, 0));
    for (Pad mode : {Pad::constant, Pad::edge, Pad::reflect}) {
      results.push_back(pad(x, {{0, 0}, {1, 2}}, mode));
      results.push_back(pad(transpose(x), {{6, 3}, {0, 4}}, mode));
    }
    results.push_back(pad(x, {{2, 0}, {0, 3}}, Pad::constant, 1));
    results.push_back(concatenate({x, y, x[{slice(), slice(6, 0, -2)}]}, 1));
    results.push_back(concatenate({transpose(x), transpose(y)}, 0) ==
                      concatenate({x, y}, -1)[0][0]);
    results.push_back(stack({x, flip(x)}, 1));
    results.push_back(concatenate({x, x[slice(0, 0)]}, 0));
    EXPECT_TRUE(all_agree(results)) << name(dtype);
  }
  EXPECT_TRUE(agrees(pad(make({0, 3}), {{1, 1}, {1, 0}}, Pad::constant, 2.5)));
}

TEST_P(Movement, MovesFuseWithArithmetic) {
  const Array x = make({23, 19});
  const Array laplacian = roll(x, 1, 0) + roll(x, -1, 0) + roll(x, 1, 1) + roll(x, -1, 1) - 4.0 * x;
  EXPECT_TRUE(agrees(laplacian));
  EXPECT_TRUE(agrees(pad(x * 2.0, {{1, 1}, {1, 1}}, Pad::reflect) + 1.0));
  EXPECT_TRUE(agrees(sum(pad(x, {{1, 1}, {1, 1}}, Pad::edge), 0)));
  EXPECT_TRUE(agrees(concatenate({x + 1.0, x * 2.0}, 1) - 3.0));
  EXPECT_TRUE(agrees(sum(concatenate({x, exp(x * 0.01)}, 0), 1)));
}

// Values that could be computed again by their reader, read in ways that only memory allows.
TEST_P(Movement, SlicesAcrossTheAxesOfProducers) {
  const Array x = make({3, 5, 2}), s = make({1})[0];
  EXPECT_TRUE(agrees(reshape((x * s)[slice(1, 3)], {20})));
  EXPECT_TRUE(agrees(reshape((x * s)[slice(1, 3)], {20}) + 1.0));
  EXPECT_TRUE(agrees(relu(reshape(flip(x, 2) * 2.0, {30}))[slice(10, 30)]));
  EXPECT_TRUE(agrees(relu(reshape(flip(x, 2) * 2.0, {30}))[slice(5, 25)] + 1.0));
  EXPECT_TRUE(agrees(reshape(flip(exp(x), 2), {30})[slice(5, 25)] + 1.0));
}

TEST_P(Movement, ConcatenatesSets) {
  const Array x = make({3, 4, 5});
  const Array y = set(x, {2, slice(3, 0, -2)}, 7), z = set(flip(x), {slice(), 1}, x[{slice(), 0}]);
  EXPECT_TRUE(agrees(concatenate({y, z}, 1)));
  EXPECT_TRUE(agrees(concatenate({z, y, z}, 2)));
  EXPECT_TRUE(agrees(stack({y, x}, 3)));
}

TEST_P(Movement, Set) {
  for (DType dtype : all_dtypes) {
    SCOPED_TRACE(name(dtype));
    const Array x = make({6, 8}, dtype), v = make({3, 8}, dtype);
    EXPECT_TRUE(all_agree(std::vector<Array>{
        set(x, 2, v[0]), set(x, slice(0, 6, 2), v),
        set(x, {slice(5, std::nullopt, -2), slice()}, v), set(x, {slice(), 3}, 1),
        set(x, {-1, -1}, 0), set(x, slice(2, 2), v[slice(0, 0)]),
        set(transpose(x), {slice(1, 7, 3), slice(0, 3)}, v[{slice(), slice(0, 2)}][0][0]),
        set(set(x, 0, v[1]), 1, v[2]), set(x, slice(), x + x)}));
    const reference::Value before = reference::computed(x);
    set(x, 0, 1).eval();
    EXPECT_TRUE(same_bits(before, reference::computed(x)));
  }
}

// A buffer that is given on to `set` is written in place; a copy of it that is still held is not.
TEST_P(Movement, SetInALoopAndOldValuesHeld) {
  Array x = zeros({100}), held;
  for (int i = 0; i < 100; ++i) {
    x = set(x, i, static_cast<float>(i) * 2);
    if (i == 49) held = x + 0.0;
    x.eval();
  }
  std::vector<float> wanted(100), half(100);
  for (std::size_t i = 0; i < 100; ++i) wanted[i] = 2 * static_cast<float>(i);
  std::copy_n(wanted.begin(), 50, half.begin());
  EXPECT_EQ(x.to_vector<float>(), wanted);
  EXPECT_EQ(held.to_vector<float>(), half);
}

// The result's shape and the operand's strides are the same each time: only its extent is not.
TEST_P(Movement, ViewsOfOtherExtentsAreOtherPlans) {
  Numbers numbers(77);
  const Array x = random_array(numbers, float32, {5, 10}), y = random_array(numbers, float32, {10});
  eval({x, y});
  for (std::int64_t width : {3, 4, 7}) {
    const Array part = x[{slice(), slice(0, width)}];
    EXPECT_TRUE(agrees(sum(part, 1))) << width;
    EXPECT_TRUE(agrees(argmax(part, 1))) << width;
    EXPECT_TRUE(agrees(matmul(part, y[slice(0, width)]))) << width;
  }
}

// A part that a product reads in another shape cannot lie inside of the whole.
TEST_P(Movement, PartsReadInAnotherShape) {
  Numbers numbers(78);
  const Array x = random_array(numbers, float32, {4, 6}),
              y = random_array(numbers, float32, {4, 3}),
              w = random_array(numbers, float32, {24, 5});
  const auto plain = [] { return plan_counters().made_plain.load(); };
  const auto before = plain();
  const Array part = x * y[{slice(), slice(0, 1)}];
  EXPECT_TRUE(
      all_agree(std::vector<Array>{concatenate({part, y}, 1), matmul(reshape(part, {1, 24}), w)}));
  EXPECT_EQ(plain(), before);
}

NOYAU_FOR_EACH_DEVICE(Movement);

}  // namespace
}  // namespace noyau::test
