// Failures in the middle of an eval: an exception or the right result, and arrays usable after.
// SPDX-License-Identifier: Apache-2.0
#include "core/fault.hpp"

#include <gtest/gtest.h>

#include "core/memory.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/random_program.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class Fault : public DeviceTest {
 protected:
  void TearDown() override { fault::disarm(); }
};

/// Several kernels, library calls, moves and temporaries.
std::vector<Array> some_work(std::uint64_t seed) {
  Numbers numbers(seed);
  const Array x = random_array(numbers, float32, {24, 40}),
              y = random_array(numbers, float32, {40, 8});
  const Array image = reshape(x, {1, 2, 20, 24});
  const Array weights = random_array(numbers, float32, {3, 2, 3, 3});
  return {matmul(softmax(x), y), sum(conv2d(image, weights, {.padding = 1})),
          set(x, 0, y[{slice(), 0}]), max_pool2d(relu(image), 2),
          sum(concatenate({x, x * 2.0}, 0), 0)};
}

/// Makes the k-th pass of `point` fail, for every k until none is left. `once`: only that one.
void fail_at_every_pass(const char* point, bool from_then_on) {
  int failures = 0;
  for (std::int64_t k = 1; k < 2000; ++k) {
    SCOPED_TRACE("pass " + std::to_string(k) + " of " + point);
    const std::vector<Array> arrays = some_work(static_cast<std::uint64_t>(k));
    const std::vector<Expected> wanted = [&] {
      const std::vector<Array> twins = some_work(static_cast<std::uint64_t>(k));
      return expected(twins);
    }();
    fault::arm(point, k, from_then_on);
    bool failed = false;
    try {
      eval(arrays);
      for (const Array& a : arrays) a.wait();
    } catch (const Error&) {
      failed = true;
    }
    const bool reached = fault::passes(point) >= k;
    fault::disarm();
    failures += failed;
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      EXPECT_TRUE(agrees(reference::computed(arrays[i]), wanted[i])) << "after failed: " << failed;
    }
    if (!reached) break;
  }
  EXPECT_GT(failures, 0) << point << " never failed";
}

// The pool tries once more after a trim, so that one failure alone may go unnoticed.
TEST_P(Fault, AllocationFailsAtEachPlace) { fail_at_every_pass("pool.allocate", true); }

TEST_P(Fault, ASingleAllocationFails) {
  const std::vector<Array> arrays = some_work(5);
  const std::vector<Expected> wanted = expected(arrays);
  for (std::int64_t k = 1; k < 8; ++k) {
    fault::arm("pool.allocate", k);
    try {
      eval(arrays);
    } catch (const OutOfMemory& error) {
      EXPECT_NE(std::string(error.what()).find("bytes"), std::string::npos) << error.what();
    }
    fault::disarm();
  }
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    EXPECT_TRUE(agrees(reference::computed(arrays[i]), wanted[i]));
  }
}

TEST_P(Fault, CompilationFailsAtEachPlace) {
  Numbers numbers(6);
  const Array x = random_array(numbers, float64, {3, 41, 2});
  // Kernels that no other test compiles.
  const auto work = [&](int i) {
    Array y = x;
    for (int k = 0; k <= i; ++k) y = atan2(y, x) + static_cast<double>(k);
    return sum(y, 1) * cosh(x[{slice(), 1}]);
  };
  for (int i = 0; i < 4; ++i) {
    const Array y = work(i);
    const Expected wanted = expected(work(i));
    fault::arm("compile", 1, true);
    bool failed = false;
    try {
      y.wait();
    } catch (const Error&) {
      failed = true;
    }
    fault::disarm();
    EXPECT_TRUE(agrees(reference::computed(y), wanted)) << failed;
  }
}

TEST_P(Fault, RandomProgramsWithFailingAllocations) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const RandomProgram program = random_program(seed);
    std::vector<Array> values = program.build();
    std::vector<Array> results;
    for (int i : program.results) results.push_back(values[static_cast<std::size_t>(i)]);
    const std::vector<Expected> wanted = expected(results);
    if (seed % 2 == 0) values.clear();  // leaves may be donated, but not by an eval that fails
    for (std::int64_t k : {1, 2, 3, 5, 8}) {
      fault::arm("pool.allocate", k, true);
      try {
        eval(results);
      } catch (const Error&) {
      }
      fault::disarm();
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      EXPECT_TRUE(agrees(reference::computed(results[i]), wanted[i]))
          << program.to_cpp(program.results[i]);
    }
  }
}

TEST_P(Fault, EveryResultOfAFailedLaunchFails) {
  const Array x = full({1 << 20}, 0.5, float32).eval();
  x.wait();
  const Array a = exp(x), b = sum(x * 3.0);
  fault::arm("launch", 1, true);
  eval({a, b});
  EXPECT_THROW(a.wait(), Error);
  fault::disarm();
  EXPECT_THROW(b.wait(), Error) << "the second result of the same launch";
  EXPECT_THROW((void)b.data(), Error) << "asked again";
  EXPECT_EQ(x.to_vector<float>()[7], 0.5f) << "what was only read stays usable";
  EXPECT_EQ(sum(x).item<float>(), 524288.0f) << "and the device goes on";
}

TEST_P(Fault, WhatIsComputedFromAFailedResultFails) {
  const Array x = full({1 << 20}, 0.5, float32).eval();
  x.wait();
  const Array a = exp(x);
  fault::arm("launch", 1, false);
  a.eval();
  const Array b = (a + 1.0).eval();  // whether a has run by now or not
  const Array c = sum(b).eval();
  const Array other = (x * 2.0).eval();
  EXPECT_THROW(c.wait(), Error);
  fault::disarm();
  EXPECT_THROW(b.wait(), Error);
  EXPECT_THROW((void)(a * 2.0).to_vector<float>(), Error) << "computed after the failure was seen";
  EXPECT_THROW(a.wait(), Error);
  EXPECT_NO_THROW(device_.synchronize()) << "everybody was told";
  EXPECT_EQ(other.to_vector<float>()[9], 1.0f);
}

TEST_P(Fault, NothingIsLeaked) {
  const auto in_use = [&] {
    device_.synchronize();
    return memory::statistics(device_.backend()).in_use;
  };
  for (const Array& a : some_work(1)) a.wait();
  const std::int64_t before = in_use();
  for (std::uint64_t seed = 2; seed < 12; ++seed) {
    const std::vector<Array> arrays = some_work(seed);
    fault::arm("pool.allocate", static_cast<std::int64_t>(seed), true);
    try {
      eval(arrays);
    } catch (const Error&) {
    }
    fault::disarm();
    eval(arrays);
  }
  EXPECT_EQ(in_use(), before);
}

NOYAU_FOR_EACH_DEVICE(Fault);

}  // namespace
}  // namespace noyau::test
