// Groups: the results of one call are evaluated together, those that somebody still holds.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/graph.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class Groups : public DeviceTest {};

Array loss(const Array& x) { return sum(exp(x) * x); }

bool is_evaluated(const Array& x) { return x.node()->is_evaluated(); }

std::size_t launches(const std::vector<Array>& arrays) {
  const LaunchLog log;
  eval(arrays);
  return log.records().size();
}

TEST_P(Groups, ReadingTheValueEvaluatesTheGradient) {
  Numbers numbers(61);
  const Array x = random_array(numbers, float32, {40}, -2, 2);
  const auto [value, gradient] = value_and_grad(loss, x);
  const std::vector<Expected> wanted = expected(std::vector<Array>{value, gradient});
  value.eval();
  EXPECT_TRUE(is_evaluated(gradient));
  EXPECT_EQ(launches({gradient}), 0u);
  EXPECT_TRUE(agrees(reference::computed(value), wanted[0]));
  EXPECT_TRUE(agrees(reference::computed(gradient), wanted[1]));
  const auto [other, slope] = value_and_grad(loss, x);
  slope.eval();
  EXPECT_TRUE(is_evaluated(other));
}

TEST_P(Groups, AMemberInsideAPlanBringsTheOthers) {
  Numbers numbers(62);
  const Array x = random_array(numbers, float32, {40}, -2, 2);
  const auto [value, gradient] = value_and_grad(loss, x);
  const Array reader = value * 2.0 + 1.0;
  const Expected wanted = expected(gradient);
  reader.eval();
  EXPECT_TRUE(is_evaluated(value) && is_evaluated(gradient));
  EXPECT_TRUE(agrees(reference::computed(gradient), wanted));
}

TEST_P(Groups, WhatNobodyHoldsIsNotEvaluated) {
  Numbers numbers(63);
  const Array x = random_array(numbers, float32, {40, 30}, -2, 2);
  const auto f = [](const Array& a) { return sum(matmul(a, transpose(a))); };
  const std::size_t alone = launches({f(x)});
  const Array value = value_and_grad(f, x).first;
  EXPECT_EQ(launches({value}), alone);
  // Held from inside of the plan alone: computed, not stored.
  const Array joined = [&] {
    const Array a = x + 1.0, b = a * 2.0;
    detail::group_results(std::vector<Array>{a, b});
    return a * b;
  }();
  const LaunchLog log;
  joined.eval();
  ASSERT_EQ(log.records().size(), 1u);
  EXPECT_EQ(log.records()[0].bytes, 2 * 40 * 30 * 4);
}

TEST_P(Groups, AReaderThatIsHeldKeepsAMemberAlive) {
  Numbers numbers(64);
  const Array x = random_array(numbers, float32, {40}, -2, 2);
  Array value, next;
  {
    const auto [v, gradient] = value_and_grad(loss, x);
    value = v;
    next = x - gradient * 0.1;
  }
  const Expected wanted = expected(next);
  value.eval();
  EXPECT_TRUE(is_evaluated(next.node()->inputs.at(1)->inputs.at(0).array()));
  EXPECT_TRUE(agrees(reference::computed(next), wanted));
}

TEST_P(Groups, GroupsThatShareANodeAreOne) {
  Numbers numbers(65);
  const Array x = random_array(numbers, float32, {20}, -1, 1);
  Array inner;
  const auto outer = [&](const Array& a) {
    auto [value, gradient] = value_and_grad(loss, a);
    inner = gradient;
    return value;
  };
  const auto [value, gradient] = value_and_grad(outer, x);
  inner.eval();
  EXPECT_TRUE(is_evaluated(value) && is_evaluated(gradient));
}

TEST_P(Groups, AMemberThatReadsAnotherGroupBringsItToo) {
  Numbers numbers(66);
  const Array x = random_array(numbers, float32, {20}, -1, 1);
  const auto [first, first_gradient] = value_and_grad(loss, x);
  const Array scale = first;
  const auto [second, second_gradient] =
      value_and_grad([&](const Array& a) { return loss(a * scale); }, x);
  second_gradient.eval();
  EXPECT_TRUE(is_evaluated(first) && is_evaluated(first_gradient) && is_evaluated(second));
}

TEST_P(Groups, ViewsOfWhatIsThereStayViews) {
  const Array x = arange(0.0f, 10.0f);
  x.eval();
  const Array front = x[slice(0, 5)], y = x * 2.0;
  detail::group_results(std::vector<Array>{front, y});
  EXPECT_EQ(launches({y}), 1u);
  EXPECT_FALSE(is_evaluated(front));
  EXPECT_EQ(front.to_vector<float>()[4], 4.0f);
}

TEST_P(Groups, ThousandsOfGradients) {
  std::vector<Array> inputs;
  for (int i = 0; i < 3000; ++i) inputs.push_back(full({4}, 0.001 * i));
  eval(inputs);
  const auto f = [](std::span<const Array> in) {
    Array total = zeros({4});
    for (const Array& x : in) total = total + x * x;
    return sum(total);
  };
  auto [value, gradients] = value_and_grad(f, std::span<const Array>(inputs));
  gradients.resize(2000);
  value.eval();
  for (const Array& g : gradients) ASSERT_TRUE(is_evaluated(g));
  EXPECT_EQ(gradients[1000].to_vector<float>()[0], 2.0f);
}

// Members die in other threads while a plan looks at their group.
TEST_P(Groups, MembersMayBeDroppedMeanwhile) {
  Numbers numbers(67);
  const Array x = random_array(numbers, float32, {16}, -1, 1);
  for (int round = 0; round < 200; ++round) {
    auto [value, gradients] =
        value_and_grad([](std::span<const Array> in) { return loss(in[0]) * sum(in[1]); }, {x, x});
    std::atomic<bool> go{false};
    std::thread dropping([&] {
      while (!go) std::this_thread::yield();
      gradients.clear();
    });
    go = true;
    value.eval();
    dropping.join();
    ASSERT_TRUE(is_evaluated(value));
  }
}

NOYAU_FOR_EACH_DEVICE(Groups);

}  // namespace
}  // namespace noyau::test
