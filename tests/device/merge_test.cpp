// Common subexpressions: what is written twice is computed once, by plans and by values.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <regex>

#include "core/eval.hpp"
#include "core/graph.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class Merge : public DeviceTest {};

/// How plans were before: everything is computed where it is written.
jit::PlanOptions unmerged() {
  jit::PlanOptions options;
  options.merge = false;
  return options;
}

/// How many operations of that name the kernels of the plan of `arrays` have.
std::ptrdiff_t operations(const std::string& name, const std::vector<Array>& arrays) {
  const std::string text = explain(arrays);
  const std::regex line("%[0-9]+ = " + name + " ");
  return std::distance(std::sregex_iterator(text.begin(), text.end(), line), {});
}

struct Counts {
  int kernels = 0, library_calls = 0;
  bool operator==(const Counts&) const = default;
};
Counts evaluated(const std::vector<Array>& arrays) {
  const LaunchLog log;
  eval(arrays);
  return {log.kernels(), log.library_calls()};
}
int steps(const std::vector<Array>& arrays) {
  const Counts counts = evaluated(arrays);
  return counts.kernels + counts.library_calls;
}

TEST_P(Merge, ElementwiseOperations) {
  Numbers numbers(51);
  const Array x = random_array(numbers, float32, {50, 40});
  const auto twice = [&] { return exp(x) + exp(x); };
  EXPECT_EQ(operations("exp", {twice()}), 1);
  {
    const PlanScope scope(unmerged());
    EXPECT_EQ(operations("exp", {twice()}), 2);
    EXPECT_TRUE(agrees(twice()));
  }
  EXPECT_TRUE(agrees(twice()));
  EXPECT_EQ(operations("exp", {exp(transpose(x)) + exp(transpose(x))}), 1);
  EXPECT_EQ(operations("exp", {exp(x) + exp(flip(x))}), 2);
  EXPECT_EQ(operations("sin", {sin(arange(0.0f, 40.0f)) * sin(arange(0.0f, 40.0f))}), 1);
  EXPECT_EQ(operations("sin", {sin(arange(0.0f, 40.0f)) * sin(arange(1.0f, 41.0f))}), 2);
}

TEST_P(Merge, Scalars) {
  Numbers numbers(52);
  const Array x = random_array(numbers, float32, {64});
  const auto f = [&](double a, double b) { return exp(x * a) - exp(x * b); };
  EXPECT_EQ(operations("exp", {f(0.5, 0.5)}), 1);
  EXPECT_EQ(operations("exp", {f(0.5, 0.25)}), 2);
  for (double b : {0.5, 0.25, 0.5, -1.0}) EXPECT_TRUE(agrees(f(0.5, b))) << b;
}

TEST_P(Merge, Reductions) {
  Numbers numbers(53);
  const Array x = random_array(numbers, float32, {30, 40});
  const auto f = [&] { return sum(x * x, 1) / (mean(x * x, 1) + 1.0); };
  EXPECT_EQ(operations("reduce", {f()}), 1);
  EXPECT_TRUE(agrees(f()));
  EXPECT_EQ(operations("reduce", {sum(x, 1) - sum(x, 1, {.keepdims = true})[{slice(), 0}]}), 1);
  EXPECT_EQ(operations("arg_reduce", {argmax(x, 0) + argmax(x, 0)}), 1);
  EXPECT_EQ(operations("arg_reduce", {argmax(x, 0) + argmin(x, 0)}), 2);
}

TEST_P(Merge, Products) {
  Numbers numbers(54);
  const Array a = random_array(numbers, float32, {40, 30}),
              b = random_array(numbers, float32, {30, 20});
  EXPECT_EQ(steps({matmul(a, b), matmul(a, b)}), 1);
  EXPECT_EQ(steps({matmul(a, b) + exp(matmul(a, b))}), 2);
  EXPECT_TRUE(agrees(matmul(a, b) + exp(matmul(a, b))));
  const Array x = random_array(numbers, float32, {2, 8, 10, 10}),
              w = random_array(numbers, float32, {8, 8, 3, 3});
  EXPECT_EQ(steps({conv2d(x, w, {.padding = 1}), conv2d(x, w, {.padding = 1})}), 1);
  EXPECT_EQ(steps({conv2d(x, w, {.padding = 1}), conv2d(x, w)}), 2);
  EXPECT_TRUE(agrees(conv2d(x, w) * conv2d(x, w)));
}

TEST_P(Merge, NodesWithTwoOutputs) {
  Numbers numbers(55);
  const Array x = random_array(numbers, float32, {1, 3, 8, 8});
  const Array one = max_pool2d(x, 2), other = max_pool2d(x, 2);
  const auto loss = [](const Array& v) { return sum(max_pool2d(v, 2) * max_pool2d(v, 2)); };
  const Array gradient = grad(loss, x);
  const std::vector<Expected> wanted = expected(std::vector<Array>{one, other, gradient});
  EXPECT_EQ(steps({one, other}), 1);
  EXPECT_TRUE(agrees(reference::computed(other), wanted[1]));
  EXPECT_TRUE(agrees(reference::computed(gradient), wanted[2]));
}

TEST_P(Merge, EqualResultsShareMemoryThatNobodyChanges) {
  Numbers numbers(56);
  const Array x = random_array(numbers, float32, {33});
  Array one = exp(x), other = exp(x);
  EXPECT_EQ(steps({one, other}), 1);
  EXPECT_TRUE(one.node()->is_evaluated() && other.node()->is_evaluated());
  EXPECT_EQ(one.node()->storage[0].buffer->data, other.node()->storage[0].buffer->data);
  const std::vector<float> before = other.to_vector<float>();
  one = set(one, 3, -1.0);
  one = one * 2.0;
  EXPECT_EQ(one[3].item<float>(), -2.0f);
  EXPECT_EQ(other.to_vector<float>(), before);
}

TEST_P(Merge, AHeldReductionIsKept) {
  Numbers numbers(57);
  const Array x = random_array(numbers, float32, {20, 30});
  const Array early = sum(x, 1), late = sum(x, 1), later = early + sum(x, 1) * 2.0 + late;
  EXPECT_EQ(steps({later}), 1);
  EXPECT_EQ(steps({early, late}), 0);
  EXPECT_TRUE(same_bits(reference::computed(early), reference::computed(late)));
}

TEST_P(Merge, RandomNumbersOfTwoCallsStayTwo) {
  random::Generator generator(7), again(7);
  const Array sum = generator.uniform({100}) + generator.uniform({100});
  const std::vector<float> first = again.uniform({100}).to_vector<float>(),
                           second = again.uniform({100}).to_vector<float>();
  EXPECT_NE(first, second);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(sum.to_vector<float>()[i], first[i] + second[i]);
}

// Equal shifts today, others tomorrow: the plan is the same.
TEST_P(Merge, Rolls) {
  Numbers numbers(58);
  const Array x = random_array(numbers, float32, {16});
  for (std::int64_t shift : {1, 2, 1}) EXPECT_TRUE(agrees(roll(x, 1, 0) - roll(x, shift, 0) * 2.0));
}

/// Two layers, a pool, and what style transfer takes of them.
Array features(const Array& x, const Array& w, const Array& b) {
  const Array y = relu(conv2d(x, w, {.padding = 1}) + reshape(b, {1, b.shape()[0], 1, 1}));
  return max_pool2d(relu(conv2d(y, w, {.padding = 1}) + 1.0), 2);
}
Array gram(const Array& f) {
  const Array rows = reshape(f, {f.shape()[1], f.shape()[2] * f.shape()[3]});
  return matmul(rows, transpose(rows));
}

// Content and style are written as two functions of the picture, each with a forward pass.
TEST_P(Merge, ANetworkRunTwiceRunsOnce) {
  Numbers numbers(59);
  const Array x = random_array(numbers, float32, {1, 8, 16, 16}),
              w = random_array(numbers, float32, {8, 8, 3, 3}, -0.2, 0.2),
              b = random_array(numbers, float32, {8});
  const auto once = [&](const Array& image) {
    const Array f = features(image, w, b);
    return sum(f * f) + sum(gram(f));
  };
  const auto twice = [&](const Array& image) {
    const Array f = features(image, w, b), g = features(image, w, b);
    return sum(f * g) + sum(gram(features(image, w, b)));
  };
  EXPECT_EQ(evaluated({once(x)}), evaluated({twice(x)}));
  const Array value = value_and_grad(once, x).first, same = value_and_grad(twice, x).first;
  EXPECT_EQ(evaluated({value}), evaluated({same}));
  EXPECT_TRUE(same_bits(reference::computed(once(x)), reference::computed(twice(x))));
  const Array both[] = {grad(once, x), grad(twice, x)};
  for (const Array& gradient : both) {
    const Expected wanted = expected(gradient);
    EXPECT_TRUE(agrees(reference::computed(gradient), wanted));
  }
  const PlanScope scope(unmerged());
  EXPECT_GT(steps({twice(x)}), steps({once(x)}));
}

TEST_P(Merge, ALongChainOfPairs) {
  Array x = arange(0.0f, 16.0f);
  for (int i = 0; i < 100000; ++i) x = (x + 1.0) * 0.5 + (x + 1.0) * 0.5;
  EXPECT_EQ(x.to_vector<float>()[3], 100003.0f);
}

NOYAU_FOR_EACH_DEVICE(Merge);

}  // namespace
}  // namespace noyau::test
