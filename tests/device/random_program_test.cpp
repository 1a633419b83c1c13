// Random programs, evaluated in several ways, against the reference and against one another.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/random_program.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "core/eval.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/interpreter_device.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

using reference::Value;

/// The number in an environment variable.
std::int64_t number(const char* variable, std::int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoll(text, nullptr, 10) : otherwise;
}

class RandomPrograms : public DeviceTest {};

std::vector<Array> results_of(const RandomProgram& program, const std::vector<Array>& values) {
  std::vector<Array> results;
  for (int i : program.results) results.push_back(values[static_cast<std::size_t>(i)]);
  return results;
}

std::vector<Value> values_of(const std::vector<Array>& arrays) {
  std::vector<Value> values;
  for (const Array& array : arrays) values.push_back(reference::computed(array));
  return values;
}

/// All results as one plan, with no handle on anything between.
std::vector<Value> at_once(const RandomProgram& program) {
  const std::vector<Array> results = results_of(program, program.build());
  eval(results);
  return values_of(results);
}
/// Every value as soon as it is made: nothing fuses.
std::vector<Value> one_by_one(const RandomProgram& program) {
  return values_of(results_of(program, program.build([](const Array& a) { a.eval(); })));
}
/// Some values early, all of them held until the end.
std::vector<Value> in_parts(const RandomProgram& program) {
  Numbers numbers(program.seed);
  const std::vector<Array> values = program.build([&](const Array& a) {
    if (numbers.chance(0.2)) a.eval();
  });
  return values_of(results_of(program, values));
}

/// All results as one plan that is made in another way.
std::vector<Value> planned(const RandomProgram& program, bool fuse, bool merge) {
  jit::PlanOptions options;
  options.fusion.fuse = fuse;
  options.merge = merge;
  const PlanScope scope(options);
  return at_once(program);
}
/// The results one after the other, in another order, with all values held.
std::vector<Value> shuffled(const RandomProgram& program) {
  Numbers numbers(program.seed + 1);
  const std::vector<Array> results = results_of(program, program.build());
  std::vector<std::size_t> order(results.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t k = order.size(); k > 1; --k)
    std::swap(
        order[k - 1],
        order[static_cast<std::size_t>(numbers.between(0, static_cast<std::int64_t>(k) - 1))]);
  for (std::size_t k : order) results[k].eval();
  return values_of(results);
}

/// Each value is let go of after its last use, and some are evaluated early: dead arrays give
/// their memory to later ones.
std::vector<Value> forgetting(const RandomProgram& program) {
  Numbers numbers(program.seed + 1);
  std::vector<std::size_t> last(program.steps.size());
  for (std::size_t i = 0; i < last.size(); ++i) {
    last[i] = i;
    for (int input : program.steps[i].inputs) last[static_cast<std::size_t>(input)] = i;
  }
  for (int result : program.results) last[static_cast<std::size_t>(result)] = last.size();
  std::vector<Array> values;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    values.push_back(program.steps[i].make(values));
    for (std::size_t k = 0; k <= i; ++k) {
      if (last[k] == i) values[k] = {};
    }
    const Array& evaluated =
        values[static_cast<std::size_t>(numbers.between(0, static_cast<std::int64_t>(i)))];
    if (evaluated && numbers.chance(0.4)) evaluated.eval();
  }
  return values_of(results_of(program, values));
}

/// Kernels of the interpreter's schedules, or of those of a device with many threads a block.
std::vector<Value> interpreted(const RandomProgram& program, const Device& device) {
  const DeviceScope scope(device);
  return at_once(program);
}

/// The first value of the program that is wrong on its own; else `otherwise`.
int first_wrong(const RandomProgram& program, int otherwise) {
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Array alone = program.build()[i];
    try {
      if (!agrees(alone)) return static_cast<int>(i);
    } catch (const std::exception&) {
      return static_cast<int>(i);
    }
  }
  return otherwise;
}

/// Empty when all is well; else what is wrong, with the program. Not `every_way`: at once and in
/// one other.
std::string check(const RandomProgram& program, bool every_way) {
  int culprit = program.results.back();
  std::string problem;
  const auto compare = [&](const char* way, const std::vector<Value>& got, auto&& agree) {
    for (std::size_t k = 0; k < got.size() && problem.empty(); ++k) {
      if (const ::testing::AssertionResult result = agree(got[k], k); !result) {
        culprit = program.results[k];
        problem = std::string(way) + ": v" + std::to_string(culprit) + ": " + result.message();
      }
    }
  };
  try {
    const std::vector<Expected> wanted = expected(results_of(program, program.build()));
    const auto is_right = [&](const Value& v, std::size_t k) { return agrees(v, wanted[k]); };
    const std::vector<bool> library = program.depends_on_library();
    const std::vector<Value> fused = at_once(program);
    const auto is_same = [&](const Value& v, std::size_t k) {
      return library[static_cast<std::size_t>(program.results[k])] ? ::testing::AssertionSuccess()
                                                                   : same_bits(v, fused[k]);
    };
    const auto twin = [&](const char* way, const std::vector<Value>& got) {
      compare(way, got, is_right);
      compare((std::string(way) + " and at once differ").c_str(), got, is_same);
    };
    // Each of them takes time.
    const auto in_turn = [&](std::uint64_t k, bool otherwise) {
      return every_way ? otherwise : program.seed % 6 == k;
    };
    compare("evaluated at once", fused, is_right);
    if (in_turn(0, true)) twin("evaluated one by one", one_by_one(program));
    if (in_turn(1, true)) twin("evaluated in parts", in_parts(program));
    if (in_turn(2, true)) twin("forgetting", forgetting(program));
    if (in_turn(3, program.seed % 4 == 0)) twin("without fusion", planned(program, false, true));
    if (in_turn(4, program.seed % 4 == 1)) twin("without merging", planned(program, true, false));
    if (in_turn(5, program.seed % 4 == 2)) twin("in another order", shuffled(program));
    if (program.seed % 8 == 0) twin("interpreted", interpreted(program, interpreter_device()));
    if (every_way && program.seed % 8 == 4) {
      twin("in blocks of threads",
           interpreted(program, blocks_device(program.seed % 16 == 4 ? 64 : 256)));
    }
    if (explain(results_of(program, program.build())).empty()) problem = "explain says nothing";
  } catch (const std::exception& error) {
    problem = std::string("throws ") + error.what();
  }
  if (problem.empty()) return {};
  return "program " + std::to_string(program.seed) + " " + problem + "\n" +
         program.to_cpp(first_wrong(program, culprit));
}

// On OpenCL plans are the same, but kernels take long to compile: fewer ways.
// $NOYAU_TEST_PROGRAMS says how many, $NOYAU_TEST_PROGRAM the number of the first: to see one
// program again, set them to 1 and its number.
TEST_P(RandomPrograms, AgreeWithTheReference) {
  const bool opencl = GetParam().starts_with("opencl");
  const std::int64_t count =
      number("NOYAU_TEST_PROGRAMS", opencl ? random_programs_on_opencl : all_random_programs);
  const std::int64_t first = number("NOYAU_TEST_PROGRAM", 0);
  int failures = 0;
  for (std::int64_t i = first; i < first + count && failures < 5; ++i) {
    const std::string problem = check(random_program(static_cast<std::uint64_t>(i)), !opencl);
    EXPECT_EQ(problem, "") << ++failures << " failed so far";
  }
}

// The programs themselves: always the same, of all kinds, and not mostly inexact.
TEST(RandomProgram, IsRepeatableAndExercisesMuch) {
  const DeviceScope scope(devices().front());  // nothing runs
  std::size_t steps = 0, useless = 0, elements = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const RandomProgram program = random_program(seed), again = random_program(seed);
    ASSERT_EQ(program.steps.size(), again.steps.size());
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      EXPECT_EQ(program.steps[i].text, again.steps[i].text);
    }
    steps += program.steps.size();
    for (const Expected& e : expected(results_of(program, program.build()))) {
      elements += e.error.size();
      useless += static_cast<std::size_t>(
          std::count(e.error.begin(), e.error.end(), std::numeric_limits<double>::infinity()));
    }
  }
  EXPECT_GT(steps, 1500u);
  EXPECT_LT(useless, elements / 4);
}

NOYAU_FOR_EACH_DEVICE(RandomPrograms);

}  // namespace
}  // namespace noyau::test
