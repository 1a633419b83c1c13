// Donation: results in the memory of what dies with the eval, and never in what somebody can read.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/fault.hpp"
#include "core/graph.hpp"
#include "core/memory.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/devices.hpp"

namespace noyau::test {
namespace {

constexpr std::int64_t n = 1 << 16;
using Floats = std::vector<float>;

class Donation : public DeviceTest {
 protected:
  void TearDown() override { fault::disarm(); }
  memory::Statistics pool() {
    device_.synchronize();
    return memory::statistics(device_.backend());
  }
};

/// Where the values are.
const void* address_of(const Array& a) {
  a.wait();
  const Storage& storage = a.node()->storage.at(static_cast<std::size_t>(a.output()));
  return storage.buffer->data + storage.offset;
}

Floats counting(std::int64_t count, float start = 0) {
  Floats values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), start);
  return values;
}
/// 0, 1, 2, ... in memory of its own.
Array counted(const Shape& shape) { return array(counting(shape.elements()), shape); }

template <class F>
Floats mapped(Floats values, F f) {
  for (float& v : values) v = f(v);
  return values;
}

std::int64_t bytes_moved(const LaunchLog& log) {
  std::int64_t bytes = 0;
  for (const LaunchRecord& r : log.records()) bytes += r.bytes;
  return bytes;
}

// -- elementwise

TEST_P(Donation, AnUpdateIsWrittenWhereTheOldValueWas) {
  Array x = counted({n});
  const void* before = address_of(x);
  x = x * 2 + 1;
  EXPECT_EQ(address_of(x), before);
  EXPECT_EQ(x.to_vector<float>(), mapped(counting(n), [](float v) { return v * 2 + 1; }));
}

TEST_P(Donation, ALoopOfUpdatesAllocatesNothing) {
  Array x = counted({n});
  x.wait();
  memory::trim(device_.backend());
  memory::reset_peak(device_.backend());
  const memory::Statistics before = pool();
  for (int i = 0; i < 100; ++i) {
    x = x * 0.5 + 1;
    x.eval();  // nobody waits: what the queue still reads does not count
  }
  x.wait();
  EXPECT_EQ(pool().allocations, before.allocations);
  EXPECT_EQ(pool().peak, before.in_use);
  EXPECT_FLOAT_EQ(x[n - 1].item<float>(), 2);
}

TEST_P(Donation, EvalsInFlightShareTheirTemporaries) {
  const Array a = counted({256, 256}) * 1e-6;
  const auto work = [&] { return sum(matmul(matmul(a, a), a)); };
  float wanted = work().item<float>();
  for (int round = 0; round < 3; ++round) {
    memory::trim(device_.backend());
    memory::reset_peak(device_.backend());
    const std::int64_t before = pool().in_use;
    std::vector<Array> results;
    for (int i = 0; i < 20; ++i) results.push_back(work().eval());
    EXPECT_LT(pool().peak - before, 4 * 256 * 256 * 4);
    for (const Array& r : results) EXPECT_EQ(r.item<float>(), wanted);
  }
}

TEST_P(Donation, TheHostDoesNotWriteWhereTheQueueStillReads) {
  for (int i = 0; i < 50; ++i) {
    Array x = counted({n});
    const Array slow = sum(exp(sin(x * 1e-6)) * 0.0 + x * 1e-6);
    slow.eval();
    x = {};
    const Array other = array(Floats(static_cast<std::size_t>(n), -1.0f));
    EXPECT_NEAR(slow.item<float>(), static_cast<double>(n) * (n - 1) / 2 * 1e-6, 1.0);
    EXPECT_FLOAT_EQ(other[7].item<float>(), -1);
  }
}

TEST_P(Donation, WhatSomebodyHoldsStays) {
  Array x = counted({n});
  const Array old = x;
  x = x * 2 + 1;
  x.wait();
  EXPECT_NE(address_of(x), address_of(old));
  EXPECT_EQ(old.to_vector<float>(), counting(n));
}

TEST_P(Donation, WhatAPendingArrayNeedsStays) {
  Array x = counted({n});
  const Array later = exp(x) * 3.0;
  x = x + 1;
  x.wait();
  EXPECT_FLOAT_EQ(later[0].item<float>(), 3);
  EXPECT_FLOAT_EQ(x[0].item<float>(), 1);
  EXPECT_FLOAT_EQ(later[1].item<float>(), 3 * std::exp(1.0f));
}

TEST_P(Donation, WhatAViewShowsStays) {
  Array x = counted({n});
  const Array last = x[slice(n - 3, n)];
  x = x * 2;
  x.wait();
  EXPECT_EQ(last.to_vector<float>(), counting(3, n - 3));
}

TEST_P(Donation, MemoryThatACommittedViewSharesStays) {
  Array x = counted({n}) + 1;
  const Array table = reshape(x, {n / 16, 16});
  eval({x, table});  // two nodes over the same buffer
  ASSERT_EQ(address_of(table), address_of(x));
  x = x * 2;
  x.wait();
  EXPECT_EQ(table.to_vector<float>(), counting(n, 1));
}

TEST_P(Donation, ASharedBufferIsDonatedByTheLastThatUsesIt) {
  Array x = counted({n}) + 1;
  Array table = reshape(x, {n / 16, 16});
  eval({x, table});
  const void* before = address_of(x);
  x = {};
  table = table + 1;
  EXPECT_EQ(address_of(table), before);
  EXPECT_EQ(table.to_vector<float>(), counting(n, 2));
}

TEST_P(Donation, AViewMadeInTheSameEvalStays) {
  Array x = counted({n});
  const Array table = reshape(x, {n / 16, 16}), doubled = x * 2;
  x = {};
  eval({doubled, table});
  EXPECT_EQ(table.to_vector<float>(), counting(n));
  EXPECT_EQ(doubled.to_vector<float>(), mapped(counting(n), [](float v) { return v * 2; }));
}

TEST_P(Donation, ForeignMemoryIsNeverWritten) {
  Floats mine = counting(n);
  Array x = from_external(mine.data(), {n}, float32, device_, {});
  x = x * 2;
  x.wait();
  EXPECT_NE(address_of(x), static_cast<const void*>(mine.data()));
  EXPECT_EQ(mine, counting(n));
}

TEST_P(Donation, WhatIsReadElsewhereTooIsNotOverwritten) {
  Array x = counted({n});
  x = x + flip(x, 0);
  EXPECT_EQ(x.to_vector<float>(), Floats(static_cast<std::size_t>(n), n - 1));
  Array square = counted({128, 128});
  square = square - transpose(square);
  square.wait();
  EXPECT_FLOAT_EQ((square[{3, 7}].item<float>()), 4 - 512);
  EXPECT_FLOAT_EQ((square[{7, 3}].item<float>()), 512 - 4);
  Array turned = counted({128, 128});
  turned = transpose(turned) + 1;
  turned.wait();
  EXPECT_FLOAT_EQ((turned[{3, 100}].item<float>()), 100 * 128 + 4);
  EXPECT_FLOAT_EQ((turned[{100, 3}].item<float>()), 3 * 128 + 101);
  Array moved = counted({n});
  moved = roll(moved, {1}, {0}) - moved;
  moved.wait();
  EXPECT_FLOAT_EQ(moved[0].item<float>(), n - 1);
  EXPECT_FLOAT_EQ(moved[n - 1].item<float>(), -1);
  Array neighbours = counted({n});
  neighbours = neighbours[slice(1, n)] - neighbours[slice(0, n - 1)];
  EXPECT_EQ(neighbours.to_vector<float>(), Floats(static_cast<std::size_t>(n - 1), 1));
}

TEST_P(Donation, AnArrayAddedToItselfMayBeOverwritten) {
  Array x = counted({n});
  const void* before = address_of(x);
  x = x + x;
  EXPECT_EQ(address_of(x), before);
  EXPECT_FLOAT_EQ(x[n - 1].item<float>(), 2 * (n - 1));
}

TEST_P(Donation, RowPassesAndReductionsWriteElsewhere) {
  Array x = counted({64, 1024});
  x = (x - mean(x, 1, {.keepdims = true})) / 512.0;
  x.wait();
  EXPECT_FLOAT_EQ((x[{5, 0}].item<float>()), -511.5f / 512);
  EXPECT_FLOAT_EQ((x[{63, 1023}].item<float>()), 511.5f / 512);
  Array y = counted({8, 8});
  y = sum(y, 1, {.keepdims = true}) + y * 0.0;
  y.wait();
  EXPECT_FLOAT_EQ((y[{1, 7}].item<float>()), 92);
}

TEST_P(Donation, TwoResultsDoNotShareOneBuffer) {
  Array x = counted({n}), y = x + 1, z = x * 2;
  const void* before = address_of(x);
  x = {};
  eval({y, z});
  EXPECT_NE(address_of(y), address_of(z));
  EXPECT_TRUE(address_of(y) == before || address_of(z) == before);
  EXPECT_EQ(y.to_vector<float>(), counting(n, 1));
  EXPECT_EQ(z.to_vector<float>(), mapped(counting(n), [](float v) { return v * 2; }));
}

TEST_P(Donation, EachResultFindsABufferOfItsOwn) {
  Array m = counted({n}), v = counted({n}) + 1, g = counted({n});
  eval({m, v, g});
  const std::int64_t before = pool().allocations;
  memory::trim(device_.backend());
  m = m * 0.5 + g * 0.5;
  v = v * 0.5 + g * g * 0.5;
  eval({m, v});
  EXPECT_EQ(pool().allocations, before);
  EXPECT_EQ(m.to_vector<float>(), counting(n));
  EXPECT_FLOAT_EQ(v[2].item<float>(), 3.5f);
}

TEST_P(Donation, ElementsOfAnotherSizeNeedMemoryOfTheirOwn) {
  Array x = counted({n});
  x = astype(x, float64) + 1;
  EXPECT_EQ(x.to_vector<float>(), counting(n, 1));
  x = astype(x, float32);
  EXPECT_EQ(x.to_vector<float>(), counting(n, 1));
  Array small = astype(counted({100}), uint8);
  small.wait();
  small = astype(small, float32) * 2;
  small.wait();
  EXPECT_FLOAT_EQ(small[99].item<float>(), 198);
}

TEST_P(Donation, ElementsOfTheSameSizeMayChangeTheirType) {
  Array x = counted({n});
  const void* before = address_of(x);
  x = astype(x, int32) + 1;
  EXPECT_EQ(address_of(x), before);
  EXPECT_EQ(x.to_vector<float>(), counting(n, 1));
}

TEST_P(Donation, AnOpenFrameKeepsWhatItsGradientReads) {
  Array x = counted({64});
  std::vector<float> gradient;
  const auto f = [&](const Array& a) {
    Array y = a * a;
    y.wait();  // in the middle of the frame
    y = y * a;
    y.wait();
    return sum(y);
  };
  gradient = grad(f, x).to_vector<float>();
  EXPECT_EQ(gradient, mapped(counting(64), [](float v) { return 3 * v * v; }));
  // An array without a frame of its own, that only the node evaluated here still needs.
  const auto scaled = [](const Array& a) {
    const Array y = a * array(counting(64, 1));
    y.wait();
    return sum(y);
  };
  EXPECT_EQ(grad(scaled, x).to_vector<float>(), counting(64, 1));
  EXPECT_EQ(x.to_vector<float>(), counting(64));
}

TEST_P(Donation, WhatALibraryReadsIsIntact) {
  Array w = counted({32, 32}), x = full({32, 32}, 1.0, float32);
  eval({w, x});
  const Array product = matmul(x, w);
  w = w * 2;
  eval({product, w});
  EXPECT_FLOAT_EQ((product[{0, 0}].item<float>()), 31 * 32 * 16);
  EXPECT_FLOAT_EQ((matmul(x, w)[{0, 0}].item<float>()), 31 * 32 * 32);  // not the packed copy
  for (int i = 0; i < 3; ++i) {
    w = w * 0.5;
    EXPECT_FLOAT_EQ((matmul(x, w)[{0, 0}].item<float>()), 31 * 32 * 32 / (2 << i));
  }
}

TEST_P(Donation, TemporariesAreReusedInsideAPlan) {
  const Array x = counted({64, 64});
  Array y = matmul(x, x);  // in memory: a library's or a generated step's
  y = matmul(relu(y * 0.001), x);
  const std::string plan = explain(exp(y * 1e-9));
  // Two products of 16 KiB: the first is overwritten, the second becomes the result's memory.
  const std::string text = " steps, ";
  const std::size_t place = plan.find(text);
  ASSERT_NE(place, std::string::npos);
  EXPECT_LT(std::stoll(plan.substr(place + text.size())), 16384 + 4096);
}

// -- set

TEST_P(Donation, SetMovesTheSliceAlone) {
  constexpr std::int64_t large = 1 << 24;
  Array x = zeros({large}, float32);
  const void* before = address_of(x);
  const LaunchLog log;
  for (int i = 0; i < 4; ++i) {
    x = set(x, slice(100, 200), array(counting(100)));
    x.eval();
  }
  EXPECT_EQ(address_of(x), before);
  EXPECT_LE(bytes_moved(log), 4 * 1000);
  EXPECT_FLOAT_EQ(x[199].item<float>(), 99);
  EXPECT_FLOAT_EQ(x[large - 1].item<float>(), 0);
}

TEST_P(Donation, AChainOfSetsCopiesOnceAtMost) {
  const Array start = counted({n});
  Array x = start;
  for (int i = 0; i < 1000; ++i) x = set(x, slice(i, i + 8), static_cast<float>(-i));
  const LaunchLog log;
  const std::int64_t before = pool().in_use;
  x.wait();
  EXPECT_LT(bytes_moved(log), 2 * n * 4 + 1000 * 500);
  EXPECT_LT(pool().in_use - before, 2 * n * 4);
  Floats wanted = counting(n);
  for (int i = 0; i < 1007; ++i)
    wanted[static_cast<std::size_t>(i)] = static_cast<float>(-std::min(i, 999));
  EXPECT_EQ(x.to_vector<float>(), wanted);
  EXPECT_EQ(start.to_vector<float>(), counting(n));
}

TEST_P(Donation, SetOfWhatIsHeldCopies) {
  const Array x = counted({n});
  const Array y = set(x, 3, -1.0f);
  EXPECT_FLOAT_EQ(y[3].item<float>(), -1);
  EXPECT_EQ(x.to_vector<float>(), counting(n));
}

TEST_P(Donation, SetOfAPartToAnotherPart) {
  Array x = counted({n});
  const void* before = address_of(x);
  x = set(x, slice(1, n), x[slice(0, n - 1)]);  // every element moves by one
  EXPECT_EQ(address_of(x), before);
  Floats wanted = counting(n, -1);
  wanted[0] = 0;
  EXPECT_EQ(x.to_vector<float>(), wanted);
  x = set(x, slice(), flip(x, 0));
  std::reverse(wanted.begin(), wanted.end());
  EXPECT_EQ(x.to_vector<float>(), wanted);
  EXPECT_EQ(address_of(x), before);
}

TEST_P(Donation, SetOfAComputedPart) {
  Array x = counted({n});
  const void* before = address_of(x);
  x = set(x, slice(0, 4), x[slice(4, 8)] * 10.0 + x[slice(0, 4)]);
  EXPECT_EQ(address_of(x), before);
  EXPECT_EQ(x[slice(0, 5)].to_vector<float>(), (Floats{40, 51, 62, 73, 4}));
}

TEST_P(Donation, SetWhileTheOldArrayIsReadLater) {
  Array x = counted({n});
  const Array y = set(x, 0, 5.0f), z = exp(x * 0.0) + x;
  x = {};
  eval({y, z});
  EXPECT_FLOAT_EQ(y[0].item<float>(), 5);
  EXPECT_FLOAT_EQ(z[0].item<float>(), 1);
  EXPECT_EQ(z.to_vector<float>(), counting(n, 1));
}

TEST_P(Donation, SetOfATurnedViewCopies) {
  Array x = counted({4, 8});
  x = set(transpose(x), {0, 0}, -1.0f);
  EXPECT_EQ(x[1].to_vector<float>(), (Floats{1, 9, 17, 25}));
  EXPECT_FLOAT_EQ((x[{0, 0}].item<float>()), -1);
}

// -- failures

TEST_P(Donation, AFailureBeforeTheQueueLeavesEverythingAsItWas) {
  int failures = 0;
  for (const char* point : {"pool.allocate", "compile"}) {
    for (std::int64_t k = 1; k < 50; ++k) {
      Array x = counted({n}), y = counted({64, 64});
      const double factor = static_cast<double>(k) * 0.5;
      x = set(x * factor, slice(0, 8), -1.0f);
      y = matmul(y + 1, y) * 0.5 + static_cast<double>(k);
      fault::arm(point, k, true);
      bool failed = false;
      try {
        eval({x, y});
        x.wait();
        y.wait();
      } catch (const Error&) {
        failed = true;
      }
      const bool reached = fault::passes(point) >= k;
      fault::disarm();
      failures += failed;
      Floats wanted = mapped(counting(n), [&](float v) { return v * static_cast<float>(factor); });
      std::fill_n(wanted.begin(), 8, -1.0f);
      EXPECT_EQ(x.to_vector<float>(), wanted) << point << " " << k;
      const Array a = counted({64, 64});
      EXPECT_EQ(y.to_vector<float>(),
                (matmul(a + 1, a) * 0.5 + static_cast<double>(k)).to_vector<float>());
      if (!reached) break;
    }
  }
  EXPECT_GT(failures, 0);
}

TEST_P(Donation, ExplainRunsAndTakesNothing) {
  Array x = counted({n});
  const void* before = address_of(x);
  x = set(x, 0, 7.0f);
  EXPECT_FALSE(explain(x).empty());
  EXPECT_FALSE(explain(x).empty());
  EXPECT_EQ(address_of(x), before);
  EXPECT_FLOAT_EQ(x[0].item<float>(), 7);
  EXPECT_FLOAT_EQ(x[1].item<float>(), 1);
}

NOYAU_FOR_EACH_DEVICE(Donation);

}  // namespace
}  // namespace noyau::test
