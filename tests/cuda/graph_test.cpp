// Plans that come again run as CUDA graphs: what is counted, patched, and left when that fails.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/fault.hpp"
#include "core/plan_counters.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/interpreter_device.hpp"
#include "tests/cuda/fake/control.hpp"

namespace noyau::test {
namespace {

struct Counts {
  std::int64_t runs = plan_counters().graph_runs, patches = plan_counters().graph_patches,
               failures = plan_counters().graph_failures;
  std::int64_t runs_since() const { return plan_counters().graph_runs - runs; }
  std::int64_t patches_since() const { return plan_counters().graph_patches - patches; }
  std::int64_t failures_since() const { return plan_counters().graph_failures - failures; }
};

class CudaGraph : public ::testing::Test {
 protected:
  void SetUp() override { fake_cuda::forget(); }
  void TearDown() override {
    for (const char* call : {"cuGraphInstantiate", "cuGraphLaunch", "cuLaunchKernel",
                             "cuGraphExecKernelNodeSetParams"})
      fake_cuda::fail(call, 0);
  }
  static std::ptrdiff_t calls(const char* words) {
    const auto all = fake_cuda::calls();
    return std::count(all.begin(), all.end(), words);
  }
  const Device device_ = device("cuda:0");
  const DeviceScope scope_{device_};
};

/// A few steps: rows are reduced, used again, a region is set.
Array step(const Array& x, float scale) {
  const Array rows = softmax(x * scale, 1);
  const Array total = sum(rows * x, {0});
  return set(x + total, {slice(0, 2)}, total[slice()] * 2.0f);
}

std::vector<float> values(int seed) {
  std::vector<float> all(8 * 9);
  for (std::size_t k = 0; k < all.size(); ++k)
    all[k] = static_cast<float>((static_cast<int>(k) * 7 + seed) % 23) * 0.25f - 2;
  return all;
}

TEST_F(CudaGraph, ReplaysGiveWhatLaunchesGive) {
  const Counts before;
  std::vector<Array> kept;  // so that addresses change
  for (int k = 0; k < 5; ++k) {
    const float scale = 0.5f + static_cast<float>(k);
    const auto on = [&](const Device& device) {
      const DeviceScope scope(device);
      const Array x = array(values(k), {8, 9}), y = step(x, scale);
      kept.push_back(x);
      return y.to_vector<float>();
    };
    EXPECT_EQ(on(device("cuda:0")), on(interpreter_device())) << k;
  }
  EXPECT_EQ(before.runs_since(), 4);  // the first time it is launched
  EXPECT_GT(before.patches_since(), 0);
  EXPECT_EQ(before.failures_since(), 0);
  EXPECT_EQ(calls("instantiate"), 1);
  EXPECT_EQ(calls("graph"), 4);
}

TEST_F(CudaGraph, OnlyWhatChangedIsPatched) {
  const Array x = array(values(1), {8, 9});
  const auto run = [&](float scale) {
    const Array y = softmax(x * scale, 1), z = sum(y, {0});
    return z.to_vector<float>();
  };
  for (int k = 0; k < 4; ++k) (void)run(3);  // memory settles
  fake_cuda::forget();
  const Counts before;
  const auto same = run(3);
  EXPECT_EQ(before.runs_since(), 1);
  EXPECT_EQ(before.patches_since(), 0);
  EXPECT_EQ(calls("patch kernel"), 0);
  EXPECT_NE(run(4), same);
  EXPECT_EQ(before.patches_since(), 1);  // the kernel with the scalar alone
  EXPECT_EQ(calls("patch kernel"), 1);
  EXPECT_EQ(calls("instantiate"), 0);
}

TEST_F(CudaGraph, WhatTheDriverRefusesIsLaunched) {
  const Array x = array(values(2), {8, 9});
  const auto run = [&] { return (sum(softmax(x, 1) * x, {0}) + max(x)).to_vector<float>(); };
  const auto right = run();
  const Counts before;
  fake_cuda::fail("cuGraphInstantiate", 2);
  EXPECT_EQ(run(), right);
  EXPECT_EQ(before.failures_since(), 1);
  fake_cuda::fail("cuGraphInstantiate", 0);
  EXPECT_EQ(run(), right);  // and is not tried again
  EXPECT_EQ(before.runs_since(), 0);
  EXPECT_EQ(before.failures_since(), 1);
}

TEST_F(CudaGraph, APatchThatIsRefusedMakesAnotherGraph) {
  const Array x = array(values(3), {8, 9});
  const auto run = [&](float scale) {
    return sum(exp(softmax(x, 1) * scale), {0}).to_vector<float>();
  };
  (void)run(1);
  (void)run(1);
  const Counts before;
  const auto right = [&] {
    const DeviceScope scope(interpreter_device());
    return sum(exp(softmax(x.to(interpreter_device()), 1) * 2.0f), {0}).to_vector<float>();
  }();
  fake_cuda::fail("cuGraphExecKernelNodeSetParams", 1);
  EXPECT_EQ(run(2), right);
  EXPECT_EQ(before.runs_since(), 1);
  EXPECT_EQ(before.failures_since(), 0);
}

TEST_F(CudaGraph, FailuresStayWithTheirTicket) {
  const Array x = array(values(4), {8, 9});
  const auto make = [&](float scale) { return sum(sin(softmax(x, 1) * scale), {0}); };
  (void)make(1).to_vector<float>();
  const auto right = make(1).to_vector<float>();
  fake_cuda::fail("cuLaunchKernel", 701);  // in the graph, then when it is launched instead
  const Array bad = make(1);
  bad.eval();
  fake_cuda::fail("cuLaunchKernel", 0);
  for (int k = 0; k < 2; ++k) EXPECT_THROW((void)bad.to_vector<float>(), LaunchError);
  EXPECT_EQ(make(1).to_vector<float>(), right);
}

TEST_F(CudaGraph, AFaultPointFailsAReplay) {
  const Array x = array(values(5), {8, 9});
  const auto make = [&] { return sum(cos(softmax(x, 1)), {0}); };
  const auto right = make().to_vector<float>();
  EXPECT_EQ(make().to_vector<float>(), right);
  const Array bad = make();
  fault::arm("launch", 2);
  bad.eval();
  fault::disarm();
  EXPECT_THROW((void)bad.to_vector<float>(), LaunchError);
  EXPECT_EQ(make().to_vector<float>(), right);
}

}  // namespace
}  // namespace noyau::test
