// What the tests of vendors' routines share: the same expression on the fake GPU and on the CPU.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/plan_counters.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/interpreter_device.hpp"
#include "tests/cuda/fake/control.hpp"

namespace noyau::test {

/// Small numbers, in no order.
inline Array filled(std::vector<std::int64_t> extents, int seed, DType dtype = float32) {
  std::int64_t count = 1;
  for (std::int64_t e : extents) count *= e;
  std::vector<float> all(static_cast<std::size_t>(count));
  for (std::size_t k = 0; k < all.size(); ++k)
    all[k] = static_cast<float>((static_cast<int>(k) * 5 + seed) % 17) * 0.25f - 2;
  return astype(array(all, Shape(extents)), dtype);
}

/// Checks, too, that no plan was made a second time, and that nothing was refused unless told so.
class VendorTest : public ::testing::Test {
 protected:
  void SetUp() override { fake_cuda::forget(); }
  void TearDown() override {
    EXPECT_EQ(plan_counters().made_plain, plain_);
    EXPECT_EQ(plan_counters().graph_failures, failures_);
    EXPECT_TRUE(told_ || refused_calls() == 0) << "a fake refused what nobody told it to";
    accept_all();
  }

  /// Makes the fake library refuse the launches named so, with this status of its own.
  void refuse(const std::string& launch, int status) {
    told_ = true;
    refused_.push_back(launch);
    fake_cuda::fail(launch, status);
  }
  void accept_all() {
    for (const std::string& launch : refused_) fake_cuda::fail(launch, 0);
    refused_.clear();
  }
  /// Plans given up for it in this test.
  std::int64_t refused_calls() const { return plan_counters().refused_calls - refusals_; }

  /// What the fake libraries were asked to run.
  static std::vector<std::string> routines() {
    std::vector<std::string> calls = fake_cuda::calls();
    std::erase_if(calls, [](const std::string& c) {
      return !c.starts_with("matmul ") && c.find(" algorithm ") == std::string::npos;
    });
    return calls;
  }
  static std::ptrdiff_t heuristics() {
    const auto calls = fake_cuda::calls();
    return std::count(calls.begin(), calls.end(), "heuristic");
  }

  /// The same as in the interpreter, within the rounding of sums; what the libraries were asked
  /// for.
  template <class Make>
  std::vector<std::string> same(Make make, double bound = 1e-5) {
    const auto on = [&](const Device& device) {
      const DeviceScope scope(device);
      return make().template to_vector<double>();
    };
    fake_cuda::forget();
    const auto here = on(device("cuda:0"));
    const auto calls = routines();
    const auto there = on(interpreter_device());
    EXPECT_EQ(here.size(), there.size());
    for (std::size_t k = 0; k < std::min(here.size(), there.size()); ++k) {
      if (std::isnan(there[k])) EXPECT_TRUE(std::isnan(here[k])) << k;
      else EXPECT_NEAR(here[k], there[k], bound * (1 + std::abs(there[k]))) << k;
    }
    return calls;
  }

 private:
  const std::int64_t plain_ = plan_counters().made_plain,
                     failures_ = plan_counters().graph_failures,
                     refusals_ = plan_counters().refused_calls;
  bool told_ = false;
  std::vector<std::string> refused_;
};

using Calls = std::vector<std::string>;

}  // namespace noyau::test
