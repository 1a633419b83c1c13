// Kernels of an OpenCL device whose compiler is slow: compiled quickly, optimised when they have
// much to do, and stored so.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.hpp"
#include "jit/cache.hpp"
#include "jit/program.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/temporary_directory.hpp"

namespace noyau::test {
namespace {

using jit::ExecutableCache;

std::vector<std::string> opencl_devices() {
  std::vector<std::string> names = running_devices();
  std::erase_if(names, [](const std::string& name) { return !name.starts_with("opencl"); });
  return names;
}

/// Sums of rows whose length is a parameter: the optimised code of a CPU goes through them in
/// gangs.
constexpr const char* row_sums = R"(
parameter n: int64
buffer x: float32 read
buffer y: float32 written
%i = item 0
%zero: int64 = constant 0
%one: int64 = constant 1
%start: float32 = constant 1
%n = parameter n
%row = multiply %i, %n
%l = loop %zero, %start
  %k = loop_param
  %s = loop_param
  %c = less %k, %n
while %c
  %at = add %row, %k
  %v = load x[%at]
  %t = multiply %s, %v
  %u = add %t, %v
  %next = add %k, %one
  yield %next, %u
store y[%i], %s
)";

class OpenClTiers : public DeviceTest {
 protected:
  OpenClTiers() {
    ::setenv("NOYAU_CACHE_DIR", (temporary_.path() / "cache").c_str(), 1);
    x_ = backend_.allocate(bytes);
    y_ = backend_.allocate(bytes);
    auto* x = reinterpret_cast<float*>(x_);
    for (std::int64_t k = 0; k < elements; ++k) {
      x[k] = static_cast<float>((k * 7919) % 10007) * 1e-4f - 0.5f;
    }
  }
  ~OpenClTiers() override {
    ::unsetenv("NOYAU_CACHE_DIR");
    backend_.release(x_, bytes);
    backend_.release(y_, bytes);
  }

  std::vector<std::uint32_t> run(const ExecutableRef& kernel, std::int64_t rows) {
    LaunchStep step;
    step.executable = kernel.get();
    step.extent[0] = rows;
    step.parameters = {static_cast<std::uint64_t>(elements / rows)};
    step.pointers = {x_, y_};
    step.name = "row_sums";
    Submission submission;
    submission.steps.push_back(std::move(step));
    submission.owner = kernel;
    backend_.wait(backend_.submit(std::move(submission)));
    std::vector<std::uint32_t> bits(static_cast<std::size_t>(rows));
    std::memcpy(bits.data(), y_, bits.size() * sizeof bits[0]);
    return bits;
  }

  static constexpr std::int64_t elements = 1 << 20;
  static constexpr std::size_t bytes = elements * sizeof(float);
  DeviceBackend& backend_ = device_.backend();
  TemporaryDirectory temporary_;
  std::byte *x_ = nullptr, *y_ = nullptr;
};

TEST_P(OpenClTiers, WhatHasMuchToDoIsOptimisedAndStoredSo) {
  if (std::getenv("NOYAU_TIER") != nullptr) GTEST_SKIP() << "NOYAU_TIER forces a tier";
  const jit::Program program = jit::parse_program(row_sums);
  ExecutableCache cache;
  const ExecutableRef kernel = cache.find_or_compile(backend_, program);
  const std::vector<std::byte> quick = kernel->object();
  const std::vector<std::uint32_t> before = run(kernel, 1001);
  EXPECT_EQ(kernel->object(), quick) << "optimised for little work";
  for (int k = 0; k < 100; ++k) run(kernel, 1001);
  const std::vector<std::byte> optimised = kernel->object();
  EXPECT_NE(optimised, quick);
  EXPECT_EQ(run(kernel, 1001), before) << "the tiers differ";
  EXPECT_EQ(cache.statistics(), (jit::CacheStatistics{1, 0, 0}));

  ExecutableCache next_process;
  const ExecutableRef found = next_process.find_or_compile(backend_, program);
  EXPECT_EQ(next_process.statistics(), (jit::CacheStatistics{0, 0, 1}));
  EXPECT_EQ(found->object(), optimised);
  EXPECT_EQ(run(found, 1001), before);
}

TEST_P(OpenClTiers, AForcedTierStays) {
  const jit::Program program = jit::parse_program(row_sums);
  ::setenv("NOYAU_TIER", "0", 1);
  const ExecutableRef quick = backend_.compile(program);
  ::setenv("NOYAU_TIER", "1", 1);
  const ExecutableRef optimised = backend_.compile(program);
  ::unsetenv("NOYAU_TIER");
  const std::vector<std::byte> object = quick->object();
  for (int k = 0; k < 100; ++k) run(quick, 1001);
  EXPECT_EQ(quick->object(), object);
  EXPECT_NE(optimised->object(), object);
  EXPECT_EQ(run(quick, 77), run(optimised, 77));
}

TEST_P(OpenClTiers, PoclsBinariesAreStoredWithoutBitcode) {
  if (std::getenv("POCL_WORK_GROUP_SPECIALIZATION") != std::string("0")) {
    GTEST_SKIP() << "this PoCL needs the bitcode";
  }
  const jit::Program program = jit::parse_program(row_sums);
  const ExecutableRef compiled = backend_.compile(program);
  const std::vector<std::uint32_t> right = run(compiled, 77);
  const std::vector<std::byte> object = compiled->object();
  const std::string text(reinterpret_cast<const char*>(object.data()), object.size());
  if (text.find("poclbin") == text.npos) GTEST_SKIP() << "not PoCL";
  constexpr std::string_view name = "/program.bc";
  const std::size_t file = text.find(name);
  ASSERT_NE(file, text.npos);
  EXPECT_EQ(text.substr(file + name.size(), 8), std::string("\x10\0\0\0BC\xC0\xDE", 8));

  const ExecutableRef loaded = backend_.load(object, program);
  ASSERT_NE(loaded, nullptr);
  EXPECT_EQ(run(loaded, 77), right);
  EXPECT_EQ(loaded->object(), object);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OpenClTiers);
INSTANTIATE_TEST_SUITE_P(device, OpenClTiers, ::testing::ValuesIn(opencl_devices()), test_name);

}  // namespace
}  // namespace noyau::test
