// The CUDA backend on a fake driver whose kernels run on the host: memory, copies, order, failures.
// SPDX-License-Identifier: Apache-2.0
#include "core/device.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>

#include "core/memory.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/interpreter_device.hpp"
#include "tests/common/spawn.hpp"
#include "tests/common/temporary_directory.hpp"
#include "tests/cuda/fake/control.hpp"

namespace noyau::test {
namespace {

/// What the fake compiler makes has no place in anybody's cache, but for that of a child below.
const bool no_cache = setenv("NOYAU_CACHE", "0", 0) == 0;

class Cuda : public ::testing::Test {
 protected:
  void SetUp() override { fake_cuda::forget(); }
  void TearDown() override {
    fake_cuda::hold(false);
    for (const char* call : {"cuLaunchKernel", "cuEventQuery", "cuMemAlloc"})
      fake_cuda::fail(call, 0);
    fake_cuda::limit(std::size_t{1} << 33);
  }
  const Device device_ = device("cuda:0");
  const DeviceScope scope_{device_};
};

std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t k = 0; k < count; ++k) values[k] = static_cast<float>(k) * 0.5f - 3;
  return values;
}

TEST_F(Cuda, ValuesGoThereAndBack) {
  const std::vector<float> values = ramp(3 << 20);  // 12 MiB: three pieces
  const Array x = array(values);
  EXPECT_EQ(x.device(), device_);
  EXPECT_EQ(x.to_vector<float>(), values);
  const auto calls = fake_cuda::calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "to device 4194304"), 3);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "to host 4194304"), 3);
  const auto* seen = static_cast<const float*>(x.data());
  EXPECT_TRUE(std::equal(values.begin(), values.end(), seen));
}

TEST_F(Cuda, CopiesBetweenDevicesArePeerToPeer) {
  const std::vector<float> values = ramp(3 << 20);
  const Array x = array(values), there = x.to(device("cuda:1"));
  fake_cuda::forget();
  there.eval();
  EXPECT_EQ(there.device().name(), "cuda:1");
  // After what the source was asked for; and before what it is asked for next.
  const std::vector<std::string> wanted = {"record", "wait", "peer copy 12582912", "record",
                                           "wait"};
  std::vector<std::string> calls = fake_cuda::calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "peer"), 1);
  std::erase_if(calls, [](const std::string& c) { return c == "peer" || c == "context 1"; });
  EXPECT_EQ(calls, wanted);
  EXPECT_EQ(there.to_vector<float>(), values);
  // The fake GPUs reach each other in one direction alone: in the other the driver goes its own
  // way.
  fake_cuda::forget();
  EXPECT_EQ(sum((there * 2.0f).to(device_) - x).to_vector<float>(), sum(x).to_vector<float>());
  calls = fake_cuda::calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "peer"), 0);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "peer copy 12582912"), 1);
}

TEST_F(Cuda, AContextIsMadeWhenTheDeviceIsUsed) {
  const Device other = device("cuda:2");
  const auto contexts = [] {
    const auto calls = fake_cuda::calls();
    return std::count(calls.begin(), calls.end(), "context 2");
  };
  EXPECT_EQ(other.description().find("Fake GPU"), 0u);
  EXPECT_EQ(contexts(), 0);
  const DeviceScope scope(other);
  EXPECT_EQ((array({1.0f, 2.0f}) + 1.0f).to_vector<float>(), (std::vector<float>{2, 3}));
  EXPECT_EQ(contexts(), 1);
}

TEST_F(Cuda, KernelsGiveWhatTheInterpreterGives) {
  const std::vector<float> values = ramp(6 * 35);
  const auto results = [&](const Device& on) {
    const DeviceScope scope(on);
    const Array x = array(values, {6, 35});
    std::vector<std::vector<float>> all;
    for (const Array& r :
         {exp(x * 0.1f) + permute(reshape(x, {35, 6}), {1, 0}), sum(x, {1}), softmax(x, 1), max(x),
          matmul(x, permute(x, {1, 0})), concatenate({x, x[slice(0, 2)]}, 0)})
      all.push_back(r.to_vector<float>());
    return all;
  };
  const auto here = results(device_), there = results(interpreter_device());
  for (std::size_t k = 0; k < here.size(); ++k) EXPECT_EQ(here[k], there[k]) << k;
}

TEST_F(Cuda, StepsRunInOrderAndTicketsTellWhen) {
  const Array x = array(ramp(1000));
  (void)x.to_vector<float>();
  fake_cuda::forget();
  fake_cuda::hold(true);
  const Array y = x * 2.0f;
  y.eval();
  EXPECT_FALSE(y.is_ready());
  const auto calls = fake_cuda::calls();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0], "launch 4x1x1 of 256x1x1");
  EXPECT_EQ(calls[1], "record");
  fake_cuda::hold(false);
  EXPECT_TRUE(y.is_ready());
}

TEST_F(Cuda, ALaunchThatFailsPoisonsItsResult) {
  const Array x = array(ramp(100)), y = x * 3.0f;
  fake_cuda::fail("cuLaunchKernel", 701);
  y.eval();
  fake_cuda::fail("cuLaunchKernel", 0);
  for (int k = 0; k < 2; ++k) {
    try {
      (void)y.to_vector<float>();
      FAIL() << "a launch failed and nobody heard";
    } catch (const LaunchError& error) {
      EXPECT_NE(std::string(error.what()).find("cuda:0: launching kernel"), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("701 (CUDA_ERROR_FAKE"), std::string::npos);
    }
  }
  EXPECT_EQ((x * 3.0f).to_vector<float>()[2], -6.0f);
}

TEST_F(Cuda, AKernelThatFailsIsHeardOfAtTheFirstRead) {
  const Array x = array(ramp(100)), y = x + 7.0f;
  fake_cuda::fail("cuEventQuery", 700);
  y.eval();
  try {
    y.wait();
    FAIL() << "a kernel failed and nobody heard";
  } catch (const LaunchError& error) {
    EXPECT_NE(std::string(error.what()).find("CUDA_ERROR_ILLEGAL_ADDRESS"), std::string::npos);
  }
}

TEST_F(Cuda, NoMemoryLeft) {
  memory::trim(device_.backend());
  fake_cuda::limit(0);
  EXPECT_THROW((void)array(ramp(50000)), OutOfMemory);
  fake_cuda::limit(std::size_t{1} << 33);
  fake_cuda::fail("cuMemAlloc", 700);
  EXPECT_THROW((void)array(ramp(50001)), DeviceError);
  fake_cuda::fail("cuMemAlloc", 0);
  EXPECT_EQ(array(ramp(50002)).size(), 50002);
}

TEST_F(Cuda, MemoryGoesBack) {
  memory::trim(device_.backend());
  const int before = fake_cuda::live_blocks();
  { (void)array(ramp(1 << 20)).to_vector<float>(); }
  EXPECT_GT(fake_cuda::live_blocks(), before);
  memory::trim(device_.backend());
  EXPECT_EQ(fake_cuda::live_blocks(), before);
}

TEST_F(Cuda, MemoryIsHandedOnInTheOrderOfTheStream) {
  const Array x = array(ramp(5000));
  (x * 2.0f).eval();
  const int blocks = fake_cuda::live_blocks();
  fake_cuda::hold(true);  // nothing has run, and nobody waits for it
  for (int k = 0; k < 5; ++k) (x * static_cast<float>(k)).eval();
  EXPECT_EQ(fake_cuda::live_blocks(), blocks);
  fake_cuda::hold(false);
}

TEST_F(Cuda, RefusedTextIsShownWithNumbers) {
  setenv("NOYAU_FAKE_NVRTC", "refuse", 1);
  try {
    (void)(array(ramp(10)) * 5.0f - 11.0f).to_vector<float>();
    ADD_FAILURE() << "what NVRTC refused was run";
  } catch (const CompileError& error) {
    const std::string words = error.what();
    EXPECT_NE(words.find("NVRTC refused kernel 'multiply_subtract' for sm_90"), std::string::npos)
        << words;
    EXPECT_NE(words.find("kernel.cu(2): error: the fake compiler refuses"), std::string::npos);
    EXPECT_NE(words.find("   2 extern \"C\" __global__ void"), std::string::npos) << words;
  }
  unsetenv("NOYAU_FAKE_NVRTC");
}

TEST_F(Cuda, ObjectsLoadAgainAndDamagedOnesDoNot) {
  const jit::Program program = jit::parse_program(R"(program "twice"
items
buffer x: float32 read
buffer y: float32 written
%i = item 0
%v = load x[%i]
%w = add %v, %v
store y[%i], %w
)");
  DeviceBackend& backend = device_.backend();
  const std::vector<std::byte> object = backend.compile(program)->object();
  ASSERT_FALSE(object.empty());
  EXPECT_NE(backend.load(object, program), nullptr);
  std::vector<std::byte> damaged = object;
  damaged[0] = std::byte{0};
  EXPECT_EQ(backend.load(damaged, program), nullptr);
}

TEST_F(Cuda, MoreSharedMemoryThanUsualIsAskedFor) {
  // The bytes that are asked for, if any are.
  const auto run = [&](int columns) {
    const Array x = array(ramp(2 * static_cast<std::size_t>(columns)), {2, columns});
    fake_cuda::forget();
    const std::vector<float> found = softmax(x * 0.001f, 1).to_vector<float>();
    auto calls = fake_cuda::calls();
    std::erase_if(calls, [](const std::string& c) { return !c.starts_with("shared memory "); });
    const DeviceScope scope(interpreter_device());
    const Array there = array(ramp(2 * static_cast<std::size_t>(columns)), {2, columns});
    EXPECT_EQ(found, softmax(there * 0.001f, 1).to_vector<float>());
    return calls;
  };
  using Calls = std::vector<std::string>;
  EXPECT_EQ(run(4'000), Calls{});
  // A row fits into the usual 48 KiB alone, but not with what its sums declare.
  EXPECT_EQ(run(11'000), Calls{"shared memory 44000"});
  EXPECT_EQ(run(14'000), Calls{"shared memory 56000"});
}

/// Runs another test of this program in a process of its own; what that wrote to standard error.
std::string run_test(const std::string& name, std::map<std::string, std::string> environment) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  Process child({self, "--gtest_also_run_disabled_tests", "--gtest_filter=" + name},
                std::move(environment));
  EXPECT_EQ(child.wait(), 0) << name;
  return child.errors();
}

TEST_F(Cuda, DISABLED_OneDeviceTwice) {
  const std::vector<float> values = ramp(1000);
  const Array x = array(values), there = (x * 2.0f).to(device("cuda:3"));
  EXPECT_EQ(there.device().name(), "cuda:3");
  fake_cuda::forget();
  EXPECT_EQ(((there + 1.0f).to(device_) - x * 2.0f).to_vector<float>(),
            std::vector<float>(1000, 1.0f));
  const auto calls = fake_cuda::calls();  // no way but within the device
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "copy 4000"), 2);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "to host 4000"), 1);
  const Array a = array(ramp(64), {8, 8}).to(there.device());
  EXPECT_EQ(matmul(a, a).to(device_).to_vector<float>(),
            matmul(a.to(device_), a.to(device_)).to_vector<float>());
}

TEST_F(Cuda, DISABLED_WithoutLibraries) {
  LaunchLog log;
  const Array a = array(ramp(64), {8, 8});
  (matmul(a, a) + array(ramp(8))).wait();
  EXPECT_EQ(log.library_calls(), 0);
  EXPECT_GE(log.kernels(), 1);
}

TEST_F(Cuda, LibrariesMayBeSwitchedOff) {
  (void)run_test("*WithoutLibraries", {{"NOYAU_LIBRARIES", "0"}});
}

TEST_F(Cuda, ADeviceMayBeListedTwice) {
  (void)run_test("*OneDeviceTwice", {{"NOYAU_DEVICES", "cuda:0*2"}});
}

/// Run by the test below, in processes of its own.
TEST_F(Cuda, DISABLED_CompilesAndSays) {
  const Array x = array(ramp(60), {6, 10});
  (void)(softmax(x, 1) + 1.0f).to_vector<float>();
  (void)sum(exp(x), {0}).to_vector<float>();
  const Statistics s = statistics();
  fprintf(stderr, "compiled %d, from disk %d\n", static_cast<int>(s.kernels_compiled),
          static_cast<int>(s.disk_cache_hits));
}

TEST_F(Cuda, ASecondProcessCompilesNothing) {
  const TemporaryDirectory cache;
  std::filesystem::permissions(cache.path(), std::filesystem::perms::owner_all);
  const auto run = [&] {
    return run_test("*CompilesAndSays",
                    {{"NOYAU_CACHE", "1"}, {"NOYAU_CACHE_DIR", cache.path().string()}});
  };
  EXPECT_NE(run().find("compiled 2, from disk 0"), std::string::npos);
  EXPECT_NE(run().find("compiled 0, from disk 2"), std::string::npos);
}

TEST_F(Cuda, UseInAForkedChildThrows) {
  const Array x = array(ramp(10));
  EXPECT_EXIT(
      {
        try {
          (void)x.to_vector<float>();
        } catch (const DeviceError& error) {
          _exit(std::string(error.what()).find("cuda:0: used in a forked child") == 0 ? 7 : 8);
        }
        _exit(9);
      },
      ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace noyau::test
