// OpenCL devices with memory of their own, on a fake driver: handles and offsets, blocks, failures.
// SPDX-License-Identifier: Apache-2.0
#include "core/device.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <CL/cl.h>
#include <algorithm>
#include <cerrno>

#include "core/graph.hpp"
#include "core/memory.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/message_of.hpp"
#include "tests/opencl/fake/control.hpp"

namespace noyau::test {
namespace {

/// What the fake compiler makes has no place in anybody's cache.
const bool no_cache = setenv("NOYAU_CACHE", "0", 1) == 0;

class OpenCl : public ::testing::Test {
 protected:
  void SetUp() override { fake_opencl::forget(); }
  void TearDown() override {
    for (const char* call : {"clBuildProgram", "clEnqueueNDRangeKernel", "run", "clCreateBuffer",
                             "clEnqueueReadBuffer"})
      fake_opencl::fail(call, 0);
    fake_opencl::limit(std::size_t{1} << 30);
  }
  const Device device_ = device("opencl:0");
  const DeviceScope scope_{device_};
};

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

std::int64_t count(const std::string& call) {
  const auto calls = fake_opencl::calls();
  return std::count(calls.begin(), calls.end(), call);
}

TEST_F(OpenCl, ValuesGoThereAndBack) {
  const std::vector<float> values = {1, 2, 3, 4, 5};
  const Array x = array(values);
  EXPECT_EQ(x.to_vector<float>(), values);
  EXPECT_EQ(x[slice(1, 4)].to_vector<float>(), (std::vector<float>{2, 3, 4}));
  EXPECT_EQ(static_cast<const float*>(x.data())[4], 5);
  EXPECT_EQ(count("write 20"), 1);
  EXPECT_EQ(count("read 20"), 2);
  EXPECT_EQ(count("read 12"), 1);
}

TEST_F(OpenCl, KernelsGetBuffersAndOffsets) {
  const Array x = array(std::vector<float>(1000, 1.0f));
  fake_opencl::forget();
  (x[slice(17, 1000)] * 3.0).wait();
  EXPECT_EQ(count("argument 0: buffer"), 1);
  EXPECT_EQ(count("argument 1: 17"), 1) << "elements from the block's beginning";
  EXPECT_EQ(count("argument 2: buffer"), 1);
  EXPECT_EQ(count("argument 3: 0"), 1);
}

TEST_F(OpenCl, BlocksAreAsLargeAsTheDeviceTakes) {
  const Array x = array(std::vector<float>(100'000, 1.0f));
  fake_opencl::forget();
  (x - 7.0).wait();
  const auto calls = fake_opencl::calls();
  const auto is_of_64 = [](const std::string& c) { return c.ends_with(" of 64x1x1"); };
  EXPECT_EQ(std::count_if(calls.begin(), calls.end(), is_of_64), 1)
      << "at most 96, and a power of two";
}

TEST_F(OpenCl, FullMemoryIsNoticedAtOnceAndTrimmed) {
  memory::trim(device_.backend());
  const int before = fake_opencl::live_buffers();
  { const Array pooled = array(std::vector<float>(1 << 20, 1.0f)); }
  EXPECT_EQ(fake_opencl::live_buffers(), before + 1) << "kept for reuse";
  fake_opencl::limit(9 << 20);
  const Array x = array(std::vector<float>(2 << 20, 1.0f));
  EXPECT_EQ(fake_opencl::live_buffers(), before + 1) << "what was pooled made room";
  const std::string words =
      message_of<OutOfMemory>([] { (void)array(std::vector<float>(1 << 20, 1.0f)); });
  EXPECT_SAYS(words, "opencl:0 cannot give 4194304 bytes: 8388608 bytes are in use");
  EXPECT_SAYS(words, "one buffer at most 268435456");
  EXPECT_EQ(fake_opencl::live_buffers(), before + 1);
  EXPECT_EQ(x[5].item<float>(), 1.0f);
}

TEST_F(OpenCl, OneBufferHasALimitOfItsOwn) {
  const Array x = zeros({int64_t{70} << 20}, float32);
  EXPECT_SAYS(message_of<OutOfMemory>([&] { x.wait(); }), "one buffer at most 268435456");
}

TEST_F(OpenCl, WhatTheCompilerRefusesComesWithItsLogAndTheSource) {
  fake_opencl::fail("clBuildProgram", CL_BUILD_PROGRAM_FAILURE);
  const Array x = array({1.0f, 2.0f});
  const std::string words = message_of<CompileError>([&] { (x * x - 4.0).wait(); });
  EXPECT_SAYS(words, "opencl:0 refused kernel '");
  EXPECT_SAYS(words, "-11 (CL_BUILD_PROGRAM_FAILURE)");
  EXPECT_SAYS(words, "line 3: the fake compiler does not like this");
  EXPECT_SAYS(words, "   2 #pragma OPENCL FP_CONTRACT OFF");
}

TEST_F(OpenCl, Float64IsRefusedWithARemedy) {
  const Array x = array(std::vector<double>{1, 2});
  EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{1, 2})) << "it may be kept and copied";
  for (const Array& y : {x + 1.0, astype(exp(astype(array({1.0f}), float64)), float32)}) {
    const std::string words = message_of<NotImplemented>([&] { y.wait(); });
    for (const char* part : {"float64", "opencl:0", "cl_khr_fp64", "astype(x, float32)"})
      EXPECT_SAYS(words, part);
  }
  // Random numbers of float32 need none.
  random::Generator generator(1);
  generator.normal({8}).wait();
  generator.uniform({8}).wait();
}

TEST_F(OpenCl, LaunchesThatFailSayWhy) {
  const Array x = array({1.0f, 2.0f});
  fake_opencl::fail("clEnqueueNDRangeKernel", CL_INVALID_WORK_GROUP_SIZE);
  EXPECT_SAYS(message_of<LaunchError>([&] { (x + 1.0).wait(); }), "fewer threads a block");
  fake_opencl::fail("clEnqueueNDRangeKernel", CL_MEM_OBJECT_ALLOCATION_FAILURE);
  EXPECT_SAYS(message_of<OutOfMemory>([&] { (x + 1.0).wait(); }), "smaller pieces");
  fake_opencl::fail("clEnqueueNDRangeKernel", 0);
  fake_opencl::fail("run", CL_INVALID_COMMAND_QUEUE);
  const Array y = (x + 1.0).eval();
  for (int k = 0; k < 2; ++k)
    EXPECT_SAYS(message_of<LaunchError>([&] { y.wait(); }), "the device is lost");
  fake_opencl::fail("run", 0);
  (x + 1.0).wait();
}

TEST_F(OpenCl, CopiesThatFailSayWhy) {
  const Array x = array({1.0f, 2.0f});
  fake_opencl::fail("clEnqueueReadBuffer", CL_DEVICE_NOT_AVAILABLE);
  const std::string words = message_of<DeviceError>([&] { (void)x.to_vector<float>(); });
  EXPECT_SAYS(words, "opencl:0: clEnqueueReadBuffer failed: -2 (CL_DEVICE_NOT_AVAILABLE)");
  EXPECT_SAYS(words, "the device is lost");
}

TEST_F(OpenCl, TheHostCannotTouchItsMemory) {
  const Array x = array({1.0f, 2.0f});
  x.wait();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(write(ends[1], x.node()->storage.at(0).buffer->data, 1), -1);
  EXPECT_EQ(errno, EFAULT);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace noyau::test
