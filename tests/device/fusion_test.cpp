// What becomes a kernel, what is compiled, and graphs that are long, deep or wide.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

#include "core/eval.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/kernel_counts.hpp"
#include "tests/common/small_stack.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class Fusion : public DeviceTest {};

struct Counts {
  int kernels = 0, copies = 0, compiled = 0;
};
/// What is submitted while f runs.
Counts counts_of(const std::function<void()>& f) {
  const LaunchLog log;
  f();
  return {log.kernels(), log.copies(), log.compiled()};
}

/// Each expression on each device.
class KernelCounts : public ::testing::TestWithParam<std::tuple<std::string, std::size_t>> {};

TEST_P(KernelCounts, AreAsPlanned) {
  const DeviceScope scope(device(std::get<0>(GetParam())));
  const KernelCount& count = kernel_counts()[std::get<1>(GetParam())];
  jit::PlanOptions options;
  options.library = false;
  const PlanScope plans(options);
  const std::vector<Array> arrays = count.make();
  const auto wanted = expected(arrays);
  EXPECT_EQ(counts_of([&] { eval(arrays); }).kernels, count.kernels) << explain(count.make());
  for (std::size_t k = 0; k < arrays.size(); ++k)
    EXPECT_TRUE(agrees(reference::computed(arrays[k]), wanted[k]));
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KernelCounts);
INSTANTIATE_TEST_SUITE_P(device, KernelCounts,
                         ::testing::Combine(::testing::ValuesIn(running_devices()),
                                            ::testing::Range(std::size_t{0},
                                                             kernel_counts().size())),
                         [](const auto& test) {
                           std::string name = std::get<0>(test.param) + '_';
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name + kernel_counts()[std::get<1>(test.param)].name;
                         });

TEST_P(Fusion, AThousandScalarsCompileOneKernel) {
  const Array x = ones({77});
  x.wait();
  (x * 0.5 + 3.25).eval();
  const Counts counts = counts_of([&] {
    for (int i = 0; i < 1000; ++i) (x * (1.0 + i) + 0.125 * i).eval();
  });
  EXPECT_EQ(counts.kernels, 1000);
  EXPECT_EQ(counts.compiled, 0);
}

// Lengths are parameters; only whether a vector width divides them is in the key.
TEST_P(Fusion, ANewLengthCompilesNothing) {
  const auto run = [](std::int64_t n) {
    const Array x = arange(0.0f, static_cast<float>(n));
    EXPECT_EQ(sum(x * 2.0 + 1.0).item<double>(), static_cast<double>(n * n));
    (exp(x * 1e-3) + x).eval();
  };
  run(1000);
  run(1003);
  const Counts counts = counts_of([&] {
    for (std::int64_t n : {1001, 997, 1016, 333, 504}) run(n);
  });
  EXPECT_EQ(counts.compiled, 0);
}

TEST_P(Fusion, ARollOrAGeneratorCallCompilesNothing) {
  Numbers numbers(43);
  const Array x = random_array(numbers, float32, {64});
  random::Generator generator(1);
  const auto run = [&](std::int64_t i) {
    (roll(x, i, 0) * 2.0).eval();
    (generator.uniform({64}) + x).eval();
  };
  run(1);
  const Counts counts = counts_of([&] {
    for (std::int64_t i = 2; i < 50; ++i) run(i);
  });
  EXPECT_EQ(counts.compiled, 0);
}

TEST_P(Fusion, ACounterAndItsReader) {
  const Array a = full({16}, 0.5);
  Array b = zeros({16}), c;
  const Counts counts = counts_of([&] {
    for (int i = 0; i < 1000; ++i) {
      b = b + 1.0;
      c = a + b;
      c.eval();
    }
  });
  EXPECT_LE(counts.compiled, 2);
  EXPECT_EQ(c.to_vector<float>(), std::vector<float>(16, 1000.5f));
  EXPECT_EQ(b.to_vector<float>(), std::vector<float>(16, 1000.0f));
}

// Evaluated one step a time, a loop does work that is linear in its length.
TEST_P(Fusion, NamedLocalsAreSummedWithoutBeingStored) {
  Numbers numbers(44);
  const Array x = random_array(numbers, float32, {1000});
  std::vector<Array> locals;
  Array total = zeros({1000});
  for (int i = 0; i < 50; ++i) {
    locals.push_back(x * (1.0 + i) + 2.0);
    total = total + locals.back();
  }
  const Expected wanted = expected(total);
  const Counts counts = counts_of([&] { total.eval(); });
  EXPECT_LE(counts.kernels, 4);
  EXPECT_TRUE(agrees(reference::computed(total), wanted));
  EXPECT_TRUE(agrees(reference::computed(locals[49]), expected(x * 50.0 + 2.0)));
}

TEST_P(Fusion, EqualSubexpressionsAreComputedOnce) {
  Numbers numbers(45);
  const Array x = random_array(numbers, float32, {50, 40});
  EXPECT_TRUE(agrees(sum(exp(x), 1) / sum(exp(x), 1)));
}

TEST_P(Fusion, MillionOperationsOnASmallStack) {
  with_small_stack([] {
    const DeviceScope scope(device(default_device().name()));
    Array x = arange(0.0f, 16.0f);
    for (int i = 0; i < 1000000; ++i) x = x + 1.0;
    EXPECT_EQ(sum(x).item<double>(), 16e6 + 120);
  });
}

TEST_P(Fusion, MillionOperationsNeverEvaluated) {
  with_small_stack([] {
    Array x = arange(0.0f, 16.0f);
    for (int i = 0; i < 1000000; ++i) x = -x;
  });
}

TEST_P(Fusion, AMillionOperationsDifferentiated) {
  with_small_stack([] {
    const auto chain = [](const Array& x) {
      Array y = x;
      for (int i = 0; i < 1000000; ++i) y = i % 2 == 0 ? y * -1.0 : y + 1.0;
      return sum(y);
    };
    EXPECT_EQ(grad(chain, arange(0.0f, 16.0f)).to_vector<float>(), std::vector<float>(16, 1.0f));
  });
}

TEST_P(Fusion, ADiamondOfDepth64) {
  Array x = full({8}, 1.0, float64);
  for (int i = 0; i < 64; ++i) x = x + x;
  EXPECT_EQ(x.to_vector<double>(), std::vector<double>(8, std::ldexp(1.0, 64)));
  Numbers numbers(46);
  Array y = random_array(numbers, float64, {8}, 1, 2);
  for (int i = 0; i < 64; ++i) y = (y + transpose(y)) * 0.5;
  EXPECT_TRUE(agrees(y));
}

TEST_P(Fusion, TwoThousandInputs) {
  std::vector<Array> inputs;
  Array total = zeros({33});
  for (int i = 0; i < 2000; ++i) {
    inputs.push_back(array(std::vector<float>(33, static_cast<float>(i))));
    total = total + inputs.back();
  }
  EXPECT_EQ(total.to_vector<float>(), std::vector<float>(33, 1999000.0f));
  EXPECT_EQ(sum(concatenate(inputs)).item<double>(), 33 * 1999000.0);
}

TEST_P(Fusion, ThousandOutputs) {
  const Array x = arange(0.0f, 100.0f);
  std::vector<Array> outputs;
  for (int i = 0; i < 1000; ++i) outputs.push_back(x + static_cast<double>(i));
  eval(outputs);
  EXPECT_EQ(outputs[999].to_vector<float>()[99], 1098.0f);
  EXPECT_EQ(outputs[0].to_vector<float>()[1], 1.0f);
}

NOYAU_FOR_EACH_DEVICE(Fusion);

}  // namespace
}  // namespace noyau::test
