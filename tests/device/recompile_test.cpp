// Hot kernels of cpu:0 get the code of tier 1 while they run: the same bits, stored for the next
// process.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/device.hpp"
#include "jit/cache.hpp"
#include "jit/program.hpp"
#include "noyau/noyau.hpp"
#include "ops/math.hpp"
#include "tests/common/spawn.hpp"
#include "tests/common/temporary_directory.hpp"

namespace noyau {
namespace {

using jit::ExecutableCache;
using jit::Value;

constexpr std::int64_t width = 32 * 2500 + 5, height = 3;

/// z = log(tanh(x) + x): long enough for tier 1 to interleave gangs.
jit::Program long_program() {
  const jit::FunctionLibrary& library = ops::math_library();
  const DType types[] = {float32};
  jit::KernelBuilder b("long");
  const int in = b.buffer(float32, true, false), out = b.buffer(float32, false, true);
  b.program().memory[static_cast<std::size_t>(out)].streamed = true;
  const auto call = [&](const char* name, Value x) {
    const Value arguments[] = {x};
    return b.inline_function(library.program, library.find(name, types)->function, arguments)[0];
  };
  const Value row = b.binary(jit::Opcode::multiply, b.item(1), b.constant_i64(width));
  const Value at = b.binary(jit::Opcode::add, row, b.item(0));
  const Value x = b.load(in, at);
  b.store(out, at, call("log", b.binary(jit::Opcode::add, call("tanh", x), x)));
  return b.finish();
}

class Recompile : public ::testing::Test {
 protected:
  Recompile() {
    ::setenv("NOYAU_CACHE_DIR", (temporary_.path() / "cache").c_str(), 1);
    x_ = reinterpret_cast<float*>(cpu_.allocate(bytes));
    z_ = reinterpret_cast<float*>(cpu_.allocate(bytes));
    for (std::int64_t k = 0; k < width * height; ++k) {
      x_[k] = static_cast<float>((k * 7919) % 100003) * 1e-4f - 1.0f;
    }
  }
  ~Recompile() override {
    ::unsetenv("NOYAU_CACHE_DIR");
    cpu_.release(reinterpret_cast<std::byte*>(x_), bytes);
    cpu_.release(reinterpret_cast<std::byte*>(z_), bytes);
  }

  std::vector<std::uint32_t> run(const ExecutableRef& kernel) {
    LaunchStep step;
    step.executable = kernel.get();
    step.extent[0] = width;
    step.extent[1] = height;
    step.pointers = {reinterpret_cast<std::byte*>(x_), reinterpret_cast<std::byte*>(z_)};
    step.name = "long";
    Submission submission;
    submission.steps.push_back(std::move(step));
    submission.owner = kernel;
    cpu_.wait(cpu_.submit(std::move(submission)));
    std::vector<std::uint32_t> bits(static_cast<std::size_t>(width * height));
    std::memcpy(bits.data(), z_, bytes);
    return bits;
  }

  static constexpr std::size_t bytes = width * height * sizeof(float);
  test::TemporaryDirectory temporary_;
  DeviceBackend& cpu_ = device("cpu:0").backend();
  float *x_ = nullptr, *z_ = nullptr;
};

TEST_F(Recompile, HotKernelsAreMadeFasterAndStoredSo) {
  if (std::getenv("NOYAU_TIER") != nullptr) GTEST_SKIP() << "NOYAU_TIER forces a tier";
  const jit::Program program = long_program();
  std::vector<std::byte> quick, optimised;
  {
    ExecutableCache cache;
    const ExecutableRef kernel = cache.find_or_compile(cpu_, program);
    const std::vector<std::uint32_t> before = run(kernel);
    quick = kernel->object();
    while (kernel->object() == quick) run(kernel);
    optimised = kernel->object();
    EXPECT_EQ(run(kernel), before);
    EXPECT_EQ(cache.statistics(), (jit::CacheStatistics{1, 0, 0}));
    // It is stored after it came into use.
    while (ExecutableCache().find_or_compile(cpu_, program)->object() == quick) run(kernel);
  }
  ExecutableCache next_process;
  const ExecutableRef kernel = next_process.find_or_compile(cpu_, program);
  EXPECT_EQ(next_process.statistics(), (jit::CacheStatistics{0, 0, 1}));
  EXPECT_EQ(kernel->object(), optimised);
  for (int k = 0; k < 100; ++k) run(kernel);
  EXPECT_EQ(kernel->object(), optimised) << "it was compiled once more";
}

/// Makes a kernel hot and leaves, some milliseconds later, perhaps while it is compiled again.
TEST(RecompileWorker, DISABLED_Run) {
  const Array x = full({1 << 20}, 0.5, float32);
  const char* duration = std::getenv("NOYAU_TEST_DURATION");
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::milliseconds(duration != nullptr ? std::atoi(duration) : 60);
  while (std::chrono::steady_clock::now() < end) log(tanh(sin(x) + exp(x)) + erf(x)).wait();
}

TEST_F(Recompile, AProcessMayEndWhileItRuns) {
  for (int k = 0; k < 24; ++k) {
    const std::string cache = (temporary_.path() / std::to_string(k)).string();
    test::Process worker(
        {"/proc/self/exe", "--gtest_filter=RecompileWorker.DISABLED_Run",
         "--gtest_also_run_disabled_tests"},
        {{"NOYAU_CACHE_DIR", cache}, {"NOYAU_TEST_DURATION", std::to_string(30 + 2 * k)}});
    EXPECT_EQ(worker.wait(), 0) << worker.errors();
  }
}

TEST_F(Recompile, AForcedTierStays) {
  ::setenv("NOYAU_TIER", "0", 1);
  const ExecutableRef kernel = cpu_.compile(long_program());
  ::unsetenv("NOYAU_TIER");
  const std::vector<std::byte> object = kernel->object();
  for (int k = 0; k < 300; ++k) run(kernel);
  EXPECT_EQ(kernel->object(), object);
}

}  // namespace
}  // namespace noyau
