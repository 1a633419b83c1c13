// Planning for several devices of each dialect: null devices that pose as GPUs.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>

#include "core/device.hpp"
#include "jit/plan.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/kernel_counts.hpp"
#include "tests/common/message_of.hpp"
#include "tests/common/random_program.hpp"

namespace noyau::test {
namespace {

/// Before anything asks for devices: null:0 prints programs, null:1 to 4 pose as CUDA's, 5 and 6 as
/// OpenCL's, 7 is null:1 again.
[[maybe_unused]] const int prepared = setenv("NOYAU_NULL_DEVICES", "program,cuda*4,opencl*2", 1) +
                                      setenv("NOYAU_DEVICES", "null:1*2,null:3", 1);

Array numbers_on(const Device& device) {
  const DeviceScope scope(device);
  return arange(0.0f, 1000.0f) * 1.0;
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

TEST(NullDevices, AreAsManyAsAskedFor) {
  std::vector<std::string> names;
  for (const Device& d : devices()) {
    if (d.name().starts_with("null:")) names.push_back(d.name() + ' ' + d.description());
  }
  ASSERT_EQ(names.size(), 8u);
  EXPECT_EQ(names[7], "null:7 null:1 again");
  EXPECT_EQ(names[0], "null:0 plans, prints programs and never runs");
  EXPECT_EQ(names[4], "null:4 plans, prints CUDA C++ and never runs");
  EXPECT_EQ(names[5], "null:5 plans, prints OpenCL C and never runs");
  for (const char* gpu : {"null:1", "null:6"}) {
    const DeviceLimits& limits = device(gpu).backend().limits();
    EXPECT_FALSE(limits.host_memory);
    EXPECT_EQ(limits.vector_bytes, 16);
    EXPECT_EQ(limits.fast_memory_bytes, 48 << 10);
  }
}

TEST(NullDevices, ExplainInTheirLanguage) {
  const auto code_on = [](const char* name) { return explain(numbers_on(device(name)) + 2.0); };
  EXPECT_NE(code_on("null:0").find("%"), std::string::npos);
  EXPECT_NE(code_on("null:1").find("extern \"C\" __global__"), std::string::npos);
  EXPECT_NE(code_on("null:6").find("__kernel"), std::string::npos);
}

/// What CUDA C++ and OpenCL C declare as shared, in bytes.
std::int64_t declared_bytes(const std::string& text) {
  static const std::regex declared(
      R"((?:__shared__|__local) \S+ (float|double|int|long long|long) \w+\[(\d+)\];)");
  std::int64_t bytes = 0;
  for (std::sregex_iterator m(text.begin(), text.end(), declared), end; m != end; ++m)
    bytes += std::stoll((*m)[2]) * ((*m)[1] == "float" || (*m)[1] == "int" ? 4 : 8);
  return bytes;
}

TEST(NullDevices, DeclareNoMoreSharedMemoryThanThereIs) {
  for (const char* gpu : {"null:1", "null:6"}) {
    const DeviceScope scope(device(gpu));
    const auto sums = [&](int count) {
      std::vector<Array> list;
      const Array x = full({900, 640}, 1.0, float64) * 1.0;
      for (int k = 0; k < count; ++k) list.push_back(sum(x * static_cast<double>(k + 2), 0));
      return explain(list);
    };
    const std::string few = sums(2), many = sums(24);
    EXPECT_NE(few.find("column, 256 threads"), std::string::npos) << few;
    EXPECT_GT(declared_bytes(few), 4000);
    EXPECT_LE(declared_bytes(many), 48 << 10) << many;
  }
}

/// Bytes of the arguments in the code of the kernel with most of them.
std::int64_t most_argument_bytes(const std::string& text) {
  static const std::regex head(R"((?:__global__|__kernel) void \w+\(([^)]*)\))");
  std::int64_t most = 0;
  for (std::sregex_iterator m(text.begin(), text.end(), head), end; m != end; ++m) {
    const std::string arguments = (*m)[1];
    most =
        std::max<std::int64_t>(most, 8 * std::count(arguments.begin(), arguments.end(), ',') + 8);
  }
  return most;
}

TEST(NullDevices, KernelsKeepToTheArgumentsThereMayBe) {
  for (const auto& [gpu, bytes] : {std::pair{"null:1", 4096}, std::pair{"null:5", 1024}}) {
    const DeviceScope scope(device(gpu));
    std::vector<Array> list;
    for (int k = 0; k < 300; ++k) list.push_back(array(std::vector<float>(2048, 1.0f), {64, 32}));
    const auto total = [&](std::size_t count) {
      Array all = list[0];
      for (std::size_t k = 1; k < count; ++k) all += transpose(reshape(list[k], {32, 64}));
      return all;
    };
    const std::string few = explain(total(20)), map = explain(total(300)),
                      rows = explain(softmax(total(150), 1));
    EXPECT_EQ(occurrences(few, "schedule"), 1u) << few;
    for (const std::string& text : {map, rows}) {
      EXPECT_GT(occurrences(text, "schedule"), 1u);
      EXPECT_LE(most_argument_bytes(text), bytes) << text.substr(0, 4000);
      EXPECT_GT(most_argument_bytes(text), bytes / 8) << "cut no finer than needed";
    }
  }
}

TEST(SeveralDevices, OperationsOnTwoAreAnError) {
  for (const auto& [one, other] : {std::pair{"null:1", "null:2"},
                                   {"null:1", "null:5"},
                                   {"null:5", "null:6"},
                                   {"null:1", "null:7"}}) {
    const Array x = numbers_on(device(one)), y = numbers_on(device(other));
    for (const std::string& words :
         {message_of<DeviceError>([&] { (void)(x + y); }), message_of<DeviceError>([&] {
            (void)matmul(reshape(x, {1, 1000}), y);
          }),
          message_of<DeviceError>([&] {
            (void)concatenate({x, y});
          }),
          message_of<DeviceError>([&] { (void)where(x > 0, x, y); })}) {
      for (const char* part : {one, other, ".to("})
        EXPECT_NE(words.find(part), std::string::npos) << words;
    }
    EXPECT_EQ((x.to(device(other)) + y).device().name(), other);
  }
}

TEST(SeveralDevices, EachHasItsPlan) {
  std::vector<Array> roots;
  for (const char* name : {"null:1", "null:7", "null:5"})
    roots.push_back(sum(exp(numbers_on(device(name)))));
  const std::string text = explain(roots);
  for (const char* name : {"null:1", "null:7", "null:5"})
    EXPECT_EQ(occurrences(text, std::string("plan on ") + name + ": 1 steps"), 1u) << text;
  EXPECT_EQ(occurrences(text, "__global__"), 2u) << text;
  EXPECT_EQ(occurrences(text, "__kernel"), 1u) << text;
}

// A computes on one, B on another from A's, C on a third from both.
TEST(SeveralDevices, TransfersArePlannedInTheirOrder) {
  const Device first = device("null:1"), second = device("null:5"), third = device("null:2");
  const Array a = exp(numbers_on(first)), b = sqrt(a.to(second)),
              c = a.to(third) + b.to(third) * 2.0;
  const std::string text = explain(c);
  std::size_t at = 0;
  for (const char* part :
       {"plan on null:1: 1 steps", "first a copy from null:1 to null:5: float32 of (1000,)",
        "plan on null:5: 1 steps", "first a copy from null:5 to null:2: float32 of (1000,)",
        "plan on null:2: 1 steps"}) {
    const std::size_t next = text.find(part, at);
    ASSERT_NE(next, std::string::npos) << part << " is missing or too early in\n" << text;
    at = next;
  }
  EXPECT_EQ(occurrences(text, "first a copy from null:1 to null:2"), 1u) << text;
  EXPECT_EQ(occurrences(text, "first a copy"), 3u) << text;
}

TEST(SeveralDevices, ValuesCrossWithoutAKernel) {
  const Array x = [] {
    const DeviceScope scope(device("null:1"));
    return array({1.5f, -2.0f});
  }();
  const Array there = x.to(device("null:6")).to(device("null:7")).to(device("null:2"));
  EXPECT_EQ(there.to_vector<float>(), (std::vector<float>{1.5f, -2.0f}));
  const std::string words = message_of<DeviceError>([&] { (there + 1.0).eval(); });
  EXPECT_NE(words.find("null:2"), std::string::npos) << words;
}

class Dialects : public ::testing::TestWithParam<const char*> {
 protected:
  DeviceScope scope_{device(GetParam())};
  /// Plans and emits.
  static jit::Plan plan_of(const std::vector<Array>& roots) {
    jit::PlanOptions options;
    options.library = false;
    return jit::make_plan(jit::linearise(roots), options);
  }
};

TEST_P(Dialects, KernelCounts) {
  for (const KernelCount& count : kernel_counts()) {
    int kernels = 0;
    for (const jit::PlanStep& step : plan_of(count.make()).steps)
      kernels += step.kind == LaunchStep::Kind::kernel ? 1 : 0;
    EXPECT_EQ(kernels, count.kernels) << count.name << '\n' << explain(count.make());
  }
}

TEST_P(Dialects, RandomProgramsAreEmitted) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const RandomProgram program = random_program(seed);
    const std::vector<Array> values = program.build();
    std::vector<Array> results;
    for (const int i : program.results) results.push_back(values[static_cast<std::size_t>(i)]);
    for (const jit::PlanStep& step : plan_of(results).steps)
      EXPECT_EQ(step.executable != nullptr, step.kind == LaunchStep::Kind::kernel) << step.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Null, Dialects, ::testing::Values("null:0", "null:1", "null:5"),
                         [](const auto& test) {
                           return std::string(test.param).replace(4, 1, "_");
                         });

}  // namespace
}  // namespace noyau::test
