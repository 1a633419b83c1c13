// The memory pool: waste, reuse, limits, failing allocations, threads, foreign memory.
// SPDX-License-Identifier: Apache-2.0
#include "core/memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/fault.hpp"
#include "core/repeated_device.hpp"
#include "noyau/error.hpp"
#include "tests/common/fake_device.hpp"

namespace noyau {
namespace {

using test::FakeDevice;

class Memory : public ::testing::Test {
 protected:
  void TearDown() override {
    fault::disarm();
    ::unsetenv("NOYAU_MEMORY_LIMIT");
  }
  /// What the pool takes from the device for `bytes`.
  std::int64_t block_of(std::size_t bytes) {
    const std::int64_t before = memory::statistics(device).in_use;
    const BufferRef buffer = memory::allocate(device, bytes);
    return memory::statistics(device).in_use - before;
  }
  std::string out_of_memory(std::size_t bytes) {
    try {
      (void)memory::allocate(device, bytes);
    } catch (const OutOfMemory& e) {
      return e.what();
    }
    ADD_FAILURE() << bytes << " bytes were given";
    return {};
  }
  FakeDevice device;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(Memory, WasteIsAtMostAnEighthOrLessThanTheAlignment) {
  std::vector<std::size_t> sizes;
  for (std::size_t n = 0; n <= 20000; ++n) sizes.push_back(n);
  for (int power = 14; power <= 26; ++power) {
    for (std::size_t eighth = 8; eighth < 16; ++eighth) {
      const std::size_t edge = eighth << (power - 3);
      for (std::size_t n : {edge - 1, edge, edge + 1}) sizes.push_back(n);
    }
  }
  std::sort(sizes.begin(), sizes.end());
  std::int64_t previous = 0;
  for (std::size_t n : sizes) {
    const std::int64_t asked = static_cast<std::int64_t>(n), block = block_of(n);
    ASSERT_GE(block, asked);
    ASSERT_EQ(block % 64, 0);
    ASSERT_LE(block, std::max(asked + asked / 8, asked / 64 * 64 + 64)) << n;
    ASSERT_GE(block, previous) << "classes grow with the request, " << n;
    previous = block;
    if (n % 4096 == 0) memory::trim(device);
  }
  memory::trim(device);
  EXPECT_EQ(device.live_bytes, 0);
}

TEST_F(Memory, BuffersAreAlignedWritableAndDistinct) {
  std::vector<BufferRef> buffers;
  for (std::size_t n = 0; n < 300; ++n) {
    buffers.push_back(memory::allocate(device, n));
    Buffer& b = *buffers.back();
    EXPECT_EQ(b.bytes, n);
    EXPECT_EQ(b.device, &device);
    EXPECT_FALSE(b.external);
    ASSERT_NE(b.data, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data) % 64, 0u);
    std::memset(b.data, static_cast<int>(n & 0xff), n);
  }
  for (std::size_t n = 1; n < 300; ++n) {
    EXPECT_EQ(buffers[n]->data[0], static_cast<std::byte>(n & 0xff));
    EXPECT_EQ(buffers[n]->data[n - 1], static_cast<std::byte>(n & 0xff));
  }
}

TEST_F(Memory, DeadBuffersAreReusedAtOnce) {
  BufferRef first = memory::allocate(device, 1000);
  std::byte* address = first->data;
  device.hold();
  (void)device.submit({});
  first.reset();
  BufferRef second = memory::allocate(device, 1010);
  EXPECT_EQ(second->data, address) << "a device runs in order, so reuse needs no wait";
  EXPECT_EQ(memory::statistics(device).allocations, 1);
  device.finish();
}

TEST_F(Memory, TheHostWritesOnlyWhatTheDeviceIsDoneWith) {
  BufferRef first = memory::allocate(device, 1000);
  const std::byte* address = first->data;
  device.hold();
  first->last_use = device.submit({});
  const std::uint64_t ticket = first->last_use;
  first.reset();
  BufferRef for_host = memory::allocate_for_host(device, 1000);
  EXPECT_NE(for_host->data, address) << "its last work is still in the queue";
  EXPECT_EQ(for_host->last_use, 0u);
  BufferRef for_device = memory::allocate(device, 1000);
  EXPECT_EQ(for_device->data, address);
  EXPECT_EQ(for_device->last_use, ticket) << "whoever frees it again must not forget";
  for_device.reset();
  device.finish();
  EXPECT_EQ(memory::allocate_for_host(device, 1000)->data, address);
}

TEST_F(Memory, Statistics) {
  BufferRef a = memory::allocate(device, 64), b = memory::allocate(device, 4096);
  a.reset();
  memory::Statistics now = memory::statistics(device);
  EXPECT_EQ(now.in_use, 4096);
  EXPECT_EQ(now.pooled, 64);
  EXPECT_EQ(now.peak, 4160);
  EXPECT_EQ(now.allocations, 2);
  b.reset();
  memory::trim(device);
  now = memory::statistics(device);
  EXPECT_EQ(now.in_use + now.pooled, 0);
  EXPECT_EQ(now.peak, 4160);
  memory::reset_peak(device);
  EXPECT_EQ(memory::statistics(device).peak, 0);
  EXPECT_EQ(device.live_blocks, 0);
}

TEST_F(Memory, TrimWaitsForTheDevice) {
  memory::allocate(device, 100).reset();
  device.hold();
  (void)device.submit({});
  std::thread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    device.finish();
  });
  memory::trim(device);
  later.join();
  EXPECT_EQ(device.live_blocks, 0);
  EXPECT_FALSE(device.released_while_busy);
}

TEST_F(Memory, MoreThanTheMachineHasIsRefusedAtOnce) {
  device.limits().memory_bytes = 1 << 30;
  memory::allocate(device, 1000).reset();
  const std::string text = out_of_memory(1ull << 50);
  EXPECT_TRUE(contains(text, "1125899906842624 bytes")) << text;
  EXPECT_TRUE(contains(text, "at most 1073741824")) << text;
  EXPECT_TRUE(contains(text, "1024 pooled")) << "nothing was trimmed for it: " << text;
  for (std::size_t bytes :
       {std::size_t{1} << 62, (std::size_t{1} << 62) + 1, std::size_t{1} << 63, ~std::size_t{0}}) {
    device.limits().memory_bytes = bytes % 2;  // with and without a known size
    EXPECT_TRUE(contains(out_of_memory(bytes), std::to_string(bytes)));
  }
}

TEST_F(Memory, LimitFromTheEnvironment) {
  ::setenv("NOYAU_MEMORY_LIMIT", "1M", 1);
  BufferRef a = memory::allocate(device, 512 << 10);
  BufferRef b = memory::allocate(device, 256 << 10);
  b.reset();
  // 512K are in use and 256K pooled: 512K more fit once the pool is trimmed.
  BufferRef c = memory::allocate(device, 512 << 10);
  EXPECT_EQ(memory::statistics(device).pooled, 0);
  const std::string text = out_of_memory(64);
  EXPECT_TRUE(contains(text, "1048576 bytes are in use")) << text;
  EXPECT_TRUE(contains(text, "NOYAU_MEMORY_LIMIT")) << text;
  a.reset();
  EXPECT_NO_THROW((void)memory::allocate(device, 64));
  ::setenv("NOYAU_MEMORY_LIMIT", "lots", 1);
  try {
    (void)memory::allocate(device, 4096);
    ADD_FAILURE() << "rubbish was ignored";
  } catch (const ValueError& e) {
    EXPECT_TRUE(contains(e.what(), "NOYAU_MEMORY_LIMIT=lots")) << e.what();
  }
}

TEST_F(Memory, TrimsAndTriesAgainWhenTheDeviceIsFull) {
  device.capacity = 10 << 10;
  memory::allocate(device, 8 << 10).reset();
  BufferRef large = memory::allocate(device, 9 << 10);
  EXPECT_EQ(device.live_bytes, 9 << 10);
  EXPECT_TRUE(contains(out_of_memory(2 << 10), "2048 bytes: 9216 bytes are in use"));
  large.reset();
  EXPECT_NO_THROW((void)memory::allocate(device, 2 << 10));
}

TEST_F(Memory, EveryKthAllocationFailing) {
  auto work = [this] {
    std::vector<BufferRef> held;
    for (std::size_t n = 0; n < 40; ++n) {
      held.push_back(memory::allocate(device, 100 * n));
      if (n % 3 == 0) held.erase(held.begin());
    }
  };
  for (std::int64_t k = 1; k <= 40; ++k) {
    fault::arm("pool.allocate", k);
    EXPECT_NO_THROW(work()) << "one failure is overcome by a trim, k = " << k;
    EXPECT_EQ(fault::passes("pool.allocate"), 41);
    fault::arm("pool.allocate", k, true);
    EXPECT_THROW(work(), OutOfMemory) << k;
    EXPECT_EQ(fault::passes("pool.allocate"), k + 1);
    fault::disarm();
    EXPECT_EQ(memory::statistics(device).in_use, 0) << "nothing leaks, k = " << k;
  }
  work();
  memory::trim(device);
  EXPECT_EQ(device.live_bytes, 0);
}

TEST_F(Memory, SizesNoLongerUsedAreGivenUp) {
  constexpr std::size_t mib = 1 << 20;
  for (int i = 0; i < 3; ++i) {
    BufferRef a = memory::allocate(device, 8 * mib), b = memory::allocate(device, 4 * mib);
  }
  memory::reset_peak(device);
  for (int i = 0; i < 3; ++i) {
    BufferRef a = memory::allocate(device, 11 * mib), b = memory::allocate(device, 5 * mib);
  }
  EXPECT_LE(memory::statistics(device).peak, std::int64_t{24 * mib}) << "not 28";
}

TEST_F(Memory, LoopsSettle) {
  constexpr std::size_t mib = 1 << 20;
  auto round = [this] {  // never two at once, so a pool as small as its peak would thrash
    for (std::size_t n = 1; n <= 12; ++n) (void)memory::allocate(device, n * mib + n);
  };
  for (int i = 0; i < 14; ++i) round();
  const std::int64_t settled = memory::statistics(device).allocations;
  for (int i = 0; i < 10; ++i) round();
  EXPECT_EQ(memory::statistics(device).allocations, settled);
}

TEST_F(Memory, ManyThreads) {
  std::atomic<int> damaged{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      std::vector<BufferRef> held(16);
      for (int i = 0; i < 4000; ++i) {
        BufferRef& slot = held[random() % held.size()];
        if (slot) {
          const std::byte mark = slot->data[0];
          for (std::size_t k = 0; k < slot->bytes; ++k) damaged += slot->data[k] != mark;
        }
        slot = memory::allocate(device, 1 + random() % 2000);
        std::memset(slot->data, static_cast<int>(random() & 0xff), slot->bytes);
        if (i % 500 == 0) memory::trim(device);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(damaged, 0);
  const memory::Statistics now = memory::statistics(device);
  EXPECT_EQ(now.in_use, 0);
  EXPECT_EQ(now.pooled, device.live_bytes);
}

TEST_F(Memory, TwoDevicesDoNotMix) {
  FakeDevice other;
  memory::allocate(device, 4096).reset();
  const BufferRef buffer = memory::allocate(other, 4096);
  EXPECT_EQ(other.live_blocks, 1);
  EXPECT_EQ(memory::statistics(device).pooled, 4096);
  EXPECT_EQ(memory::statistics(other).in_use, 4096);
}

TEST_F(Memory, BlocksEndWhereTheLargestBufferDoes) {
  constexpr std::size_t most = 9'000'000;  // inside a size class
  device.limits().largest_buffer_bytes = most;
  for (const std::size_t bytes : {most, most - 5000, most}) {
    const BufferRef buffer = memory::allocate(device, bytes);
    EXPECT_EQ(device.live_bytes, static_cast<std::int64_t>(most));
    EXPECT_EQ(memory::statistics(device).in_use, device.live_bytes);
  }
  EXPECT_TRUE(contains(out_of_memory(most + 1), "one buffer at most 9000000"));
  memory::trim(device);
  EXPECT_EQ(device.live_bytes, 0);
}

TEST_F(Memory, ADeviceListedTwiceHasOnePool) {
  RepeatedDevice again(device, "fake:1");
  device.capacity = 10 << 10;
  memory::allocate(device, 8 << 10).reset();
  const BufferRef large = memory::allocate(again, 9 << 10);  // what was pooled made room
  EXPECT_EQ(device.live_bytes, 9 << 10);
  EXPECT_EQ(large->device, &again);
  EXPECT_EQ(memory::statistics(device).in_use, 9 << 10);
  EXPECT_EQ(memory::statistics(again).in_use, 9 << 10);
}

TEST_F(Memory, ForeignMemoryIsFreedOnceWhenTheDeviceIsDone) {
  std::vector<float> owned(10);
  std::atomic<int> freed{0};
  BufferRef buffer = memory::from_external(device, owned.data(), 40, [&] { ++freed; });
  EXPECT_TRUE(buffer->external);
  EXPECT_EQ(static_cast<void*>(buffer->data), owned.data());
  BufferRef copy = buffer;
  buffer.reset();
  EXPECT_EQ(freed, 0);
  copy.reset();
  EXPECT_EQ(freed, 1) << "at once when the device is idle";

  device.hold();
  for (int i = 0; i < 3; ++i) {
    buffer = memory::from_external(device, owned.data(), 40, [&] { ++freed; });
    buffer->last_use = device.submit({});
    buffer.reset();  // does not wait: this may be the device's own thread
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(freed, 1);
  device.finish();
  while (freed < 4) std::this_thread::yield();
  EXPECT_EQ(memory::statistics(device).in_use, 0);
}

TEST_F(Memory, ForeignMemoryWithoutDeleterOrWithOneThatThrows) {
  int value = 0;
  memory::from_external(device, &value, sizeof value, {}).reset();
  EXPECT_NO_THROW(memory::from_external(device, &value, sizeof value, [] { throw 1; }).reset());
  EXPECT_NO_THROW(memory::from_external(device, nullptr, 0, {}).reset());
  EXPECT_THROW((void)memory::from_external(device, nullptr, 4, {}), ValueError);
}

}  // namespace
}  // namespace noyau
