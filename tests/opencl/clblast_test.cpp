// Products by CLBlast, on fakes of it and of the driver: what it refuses at a launch.
// SPDX-License-Identifier: Apache-2.0
#include <CL/cl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>

#include "core/plan_counters.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/message_of.hpp"
#include "tests/opencl/fake/control.hpp"

namespace noyau::test {
namespace {

/// What the fake compiler makes has no place in anybody's cache.
const bool no_cache = setenv("NOYAU_CACHE", "0", 1) == 0;

Array numbers(const Shape& shape) {
  std::vector<float> all(static_cast<std::size_t>(shape.elements()));
  for (std::size_t k = 0; k < all.size(); ++k) all[k] = static_cast<float>(k % 5);
  return array(all, shape);
}

class ClBlast : public ::testing::Test {
 protected:
  /// The first product tries whether CLBlast works on the device at all.
  void SetUp() override { matmul(numbers({2, 2}), numbers({2, 2})).wait(); }
  void TearDown() override {
    fake_opencl::fail("gemm", 0);
    fake_opencl::fail("clCreateBuffer", 0);
  }
  static std::int64_t count(const std::string& beginning) {
    const auto calls = fake_opencl::calls();
    return std::count_if(calls.begin(), calls.end(),
                         [&](const std::string& call) { return call.starts_with(beginning); });
  }
  /// Evaluates it; the kernels are the fake driver's, which do nothing.
  static void run(const Array& x) {
    fake_opencl::forget();
    x.wait();
  }
  std::int64_t refused_calls() const { return plan_counters().refused_calls - refusals_; }

  const DeviceScope scope_{device("opencl:0")};
  const std::int64_t refusals_ = plan_counters().refused_calls;
};

TEST_F(ClBlast, ProductsAreItsOwn) {
  const Array y = matmul(numbers({2, 3}), numbers({3, 2}));
  run(y);
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{10, 3, 8, 15}));
  EXPECT_EQ(count("gemm 2x2x3 batch 1"), 1);
  run(matmul(numbers({4, 2, 3}), numbers({4, 3, 2})));
  EXPECT_EQ(count("gemm 2x2x3 batch 4"), 1);
  run(matmul(numbers({40, 3}), numbers({3, 2})));  // large enough for a temporary
  EXPECT_EQ(count("gemm 40x2x3 batch 1"), 1);
}

TEST_F(ClBlast, WhatIsRefusedAtItsLaunchIsGenerated) {
  const auto product = [] { return matmul(numbers({5, 3}), numbers({3, 7})); };
  fake_opencl::fail("gemm", -2046);
  testing::internal::CaptureStderr();
  run(product());
  const std::string said = testing::internal::GetCapturedStderr();
  for (const char* part : {"clblast.matmul", "matmul of float32 (5, 3), float32 (3, 7)",
                           "-2046 (kInvalidLocalMemUsage)", "NOYAU_LIBRARIES=0"})
    EXPECT_NE(said.find(part), std::string::npos) << said;
  EXPECT_EQ(count("gemm 5x7x3"), 1);
  EXPECT_EQ(count("launch"), 1);
  EXPECT_EQ(refused_calls(), 1);
  fake_opencl::fail("gemm", 0);
  run(product() * 2.0f);
  EXPECT_EQ(count("gemm 5x7x3"), 0) << "it is remembered";
  run(matmul(numbers({5, 3}), numbers({3, 8})));
  EXPECT_EQ(count("gemm 5x8x3"), 1) << "of that call alone";
  EXPECT_EQ(refused_calls(), 1);
}

TEST_F(ClBlast, WithoutMemoryForATemporaryItIsGenerated) {
  const Array a = numbers({50, 3}).eval(), b = numbers({3, 2}).eval();
  // More rows than any product before had: the temporary that the queue may have is too small.
  { numbers({50, 2}).wait(); }  // what the pool hands on
  const Array y = matmul(a, b);
  fake_opencl::fail("clCreateBuffer", CL_MEM_OBJECT_ALLOCATION_FAILURE);
  run(y);
  EXPECT_EQ(count("gemm"), 0);
  EXPECT_EQ(count("launch"), 1);
  EXPECT_EQ(refused_calls(), 1);
}

TEST_F(ClBlast, ALostDeviceIsNoRefusal) {
  fake_opencl::fail("gemm", CL_INVALID_COMMAND_QUEUE);
  const Array y = matmul(numbers({6, 3}), numbers({3, 7}));
  const std::string said = message_of<LaunchError>([&] { y.wait(); });
  EXPECT_NE(said.find("the device is lost"), std::string::npos) << said;
  EXPECT_EQ(refused_calls(), 0);
}

}  // namespace
}  // namespace noyau::test
