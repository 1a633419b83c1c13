// The memory pool: free lists by size class in front of each device's own allocator.
// SPDX-License-Identifier: Apache-2.0
#include "core/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <mutex>
#include <utility>
#include <vector>

#include "core/device.hpp"
#include "core/fault.hpp"
#include "core/log.hpp"
#include "core/wait.hpp"
#include "noyau/error.hpp"

namespace noyau::memory {
namespace {

// Classes are multiples of 64 bytes up to 1 KiB, then 8 to each doubling: a block is at most an
// eighth larger than what was asked, or less than 64 bytes (the alignment) larger.
constexpr std::size_t step = 64;
constexpr std::size_t fine_classes = 16;
constexpr std::size_t largest = std::size_t{1} << 62;
constexpr std::size_t class_count = 432;
constexpr std::size_t small = std::size_t{64} << 10;  // not worth waiting for the device

/// The class of a request of at most `largest` bytes.
std::size_t class_of(std::size_t bytes) {
  const std::size_t units = (std::max<std::size_t>(bytes, 1) + step - 1) / step;
  if (units <= fine_classes) return units - 1;
  const auto shift = static_cast<std::size_t>(std::bit_width(units - 1)) - 4;
  return 8 * shift + ((units - 1) >> shift);
}

std::size_t bytes_of(std::size_t size_class) {
  if (size_class < fine_classes) return (size_class + 1) * step;
  const std::size_t shift = size_class / 8 - 1;
  return ((size_class - 8 * shift + 1) << shift) * step;
}

std::size_t largest_buffer_of(const DeviceBackend& device) {
  const std::int64_t bytes = device.limits().largest_buffer_bytes;
  return bytes > 0 ? static_cast<std::size_t>(bytes) : largest;
}

struct Block {
  std::byte* data = nullptr;
  std::uint64_t last_use = 0;
};
enum class Writer { device, host };

struct FreeList {
  std::vector<Block> blocks;
  std::size_t owned = 0;     ///< blocks of this class that came from the device, in use or free
  std::size_t given_up = 0;  ///< blocks that went back to make room and were not asked for since
};

/// Blocks on their way back to the device.
struct Surplus {
  std::vector<std::pair<std::byte*, std::size_t>> blocks;
  std::size_t bytes = 0;
};

class Pool {
 public:
  Pool(const DeviceBackend* device, Pool* next) : device_(device), next_(next) {}
  const DeviceBackend* device() const { return device_; }
  Pool* next() const { return next_; }

  /// A block for `bytes` bytes; OutOfMemory when there is none after a trim.
  Block take(DeviceBackend& device, std::size_t bytes, Writer writer);
  void give_back(Block block, std::size_t bytes) noexcept;
  void trim(DeviceBackend& device);
  Statistics statistics();
  void reset_peak();
  void forget();

 private:
  /// Blocks of a class end where the device's largest buffer does.
  std::size_t bytes_of(std::size_t size_class) const {
    return std::min(memory::bytes_of(size_class), largest_buffer_of(*device_));
  }
  Block reuse(std::size_t size_class, Writer writer);
  std::byte* grow(DeviceBackend& device, std::size_t size_class, std::size_t limit);
  Surplus choose_surplus(std::size_t size_class);
  Surplus take_pooled(std::size_t bytes);
  [[noreturn]] void fail(DeviceBackend& device, std::size_t bytes, std::size_t limit);

  const DeviceBackend* device_;
  Pool* next_;
  std::mutex mutex_;
  std::array<FreeList, class_count> lists_;
  std::size_t in_use_ = 0, pooled_ = 0, peak_ = 0;
  std::size_t budget_ = 0;  ///< what in_use_ + pooled_ may reach before pooled blocks are given up
  std::int64_t allocations_ = 0;
};

/// The pools, newest first. Never freed: buffers die during exit, too.
std::atomic<Pool*> newest{nullptr};

Pool* find_pool(const DeviceBackend& device) {
  Pool* pool = newest.load(std::memory_order_acquire);
  while (pool && pool->device() != &device) pool = pool->next();
  return pool;
}

/// A device that is listed twice has one memory, hence one pool.
Pool& pool_of(DeviceBackend& listed) {
  const DeviceBackend& device = listed.original();
  if (Pool* pool = find_pool(device)) return *pool;
  static auto& mutex = *new std::mutex;
  const std::lock_guard lock(mutex);
  if (Pool* pool = find_pool(device)) return *pool;
  Pool* pool = new Pool(&device, newest.load(std::memory_order_relaxed));
  newest.store(pool, std::memory_order_release);
  return *pool;
}

void release(DeviceBackend& device, const Surplus& surplus) {
  if (surplus.blocks.empty()) return;
  wait_until_idle(device);
  for (const auto& [block, bytes] : surplus.blocks) device.release(block, bytes);
}

/// The most that the pool of `device` may take: the smaller of the machine's memory and the cap.
std::size_t limit_of(const DeviceBackend& device) {
  const std::int64_t cap =
      environment::number("NOYAU_MEMORY_LIMIT", static_cast<std::int64_t>(largest), 1,
                          static_cast<std::int64_t>(largest));
  const std::int64_t physical = device.limits().memory_bytes;
  return static_cast<std::size_t>(physical > 0 ? std::min(cap, physical) : cap);
}

Block Pool::take(DeviceBackend& device, std::size_t bytes, Writer writer) {
  bool refused = fault::should_fail("pool.allocate");
  if (bytes <= largest_buffer_of(device) && !refused) {
    if (const Block block = reuse(class_of(bytes), writer); block.data) return block;
  }
  const std::size_t limit = limit_of(device);
  if (bytes > limit || bytes > largest_buffer_of(device)) fail(device, bytes, limit);
  const std::size_t size_class = class_of(bytes);
  if (!refused) {
    release(device, choose_surplus(size_class));
    if (std::byte* block = grow(device, size_class, limit)) return {block};
  }
  wait_until_idle(device);  // work that is done gives its buffers back
  trim(device);
  refused = fault::should_fail("pool.allocate");
  Block block = refused ? Block{} : reuse(size_class, writer);
  if (!block.data && !refused) block = {grow(device, size_class, limit)};
  if (!block.data) fail(device, bytes, limit);
  return block;
}

/// A pooled block, or none. The short way, taken by nearly every allocation.
Block Pool::reuse(std::size_t size_class, Writer writer) {
  const std::lock_guard lock(mutex_);
  std::vector<Block>& blocks = lists_[size_class].blocks;
  auto found = blocks.end();
  if (writer == Writer::device) found -= blocks.empty() ? 0 : 1;
  else
    found = std::find_if(blocks.begin(), blocks.end(),
                         [&](const Block& b) { return device_->done(b.last_use); });
  if (found == blocks.end()) return {};
  const Block block = *found;
  blocks.erase(found);
  pooled_ -= bytes_of(size_class);
  in_use_ += bytes_of(size_class);
  return block;
}

void Pool::give_back(Block block, std::size_t bytes) noexcept {
  const std::size_t size_class = class_of(bytes);
  const std::lock_guard lock(mutex_);
  lists_[size_class].blocks.push_back(block);  // grow reserved its place
  pooled_ += bytes_of(size_class);
  in_use_ -= bytes_of(size_class);
}

/// A block from the device itself; nullptr when it has none or the limit forbids it.
std::byte* Pool::grow(DeviceBackend& device, std::size_t size_class, std::size_t limit) {
  const std::size_t bytes = bytes_of(size_class);
  {
    const std::lock_guard lock(mutex_);
    FreeList& list = lists_[size_class];
    if (bytes > limit || in_use_ + pooled_ > limit - bytes) return nullptr;
    if (list.owned == list.blocks.capacity()) list.blocks.reserve(2 * list.owned + 4);
    ++list.owned;
    in_use_ += bytes;
    ++allocations_;
  }
  std::byte* block = device.allocate(bytes);
  const std::lock_guard lock(mutex_);
  if (!block) {
    --lists_[size_class].owned;
    in_use_ -= bytes;
  }
  peak_ = std::max(peak_, in_use_ + pooled_);
  return block;
}

/// What to give up before the pool grows by a block of `size_class`. Blocks of sizes that nobody
/// asks for any more (those of the last image size) would otherwise stay for ever. A class asked
/// for again after it was given up raises the budget instead, so that a loop settles in two rounds.
Surplus Pool::choose_surplus(std::size_t size_class) {
  if (bytes_of(size_class) < small) return {};
  const std::lock_guard lock(mutex_);
  FreeList& list = lists_[size_class];
  const std::size_t total = in_use_ + pooled_ + bytes_of(size_class);
  if (list.given_up > 0) {
    --list.given_up;
    budget_ = std::max(budget_, total);
  }
  budget_ = std::max(budget_, in_use_ + bytes_of(size_class));
  return total > budget_ ? take_pooled(total - budget_) : Surplus{};
}

/// Takes at least `bytes` bytes out of the free lists, largest blocks first; all when there are
/// fewer.
Surplus Pool::take_pooled(std::size_t bytes) {
  Surplus surplus;
  std::size_t count = 0;
  for (const FreeList& list : lists_) count += list.blocks.size();
  surplus.blocks.reserve(count);
  for (std::size_t c = class_count; c-- > 0 && surplus.bytes < bytes;) {
    FreeList& list = lists_[c];
    while (!list.blocks.empty() && surplus.bytes < bytes) {
      surplus.blocks.emplace_back(list.blocks.back().data, bytes_of(c));
      list.blocks.pop_back();
      --list.owned;
      ++list.given_up;
      surplus.bytes += bytes_of(c);
      pooled_ -= bytes_of(c);
    }
  }
  return surplus;
}

void Pool::trim(DeviceBackend& device) {
  Surplus everything;
  {
    const std::lock_guard lock(mutex_);
    everything = take_pooled(largest);
  }
  release(device, everything);
}

void Pool::fail(DeviceBackend& device, std::size_t bytes, std::size_t limit) {
  const Statistics now = statistics();
  const std::int64_t one_buffer = device.limits().largest_buffer_bytes;
  throw OutOfMemory(fmt::format(
      "[memory] {} cannot give {} bytes: {} bytes are in use, {} pooled, of at most {} (the "
      "machine's memory or NOYAU_MEMORY_LIMIT){}. Let go of arrays, work in smaller pieces, or "
      "raise the limit",
      device.name(), bytes, now.in_use, now.pooled, limit,
      one_buffer > 0 ? fmt::format(", one buffer at most {}", one_buffer) : ""));
}

Statistics Pool::statistics() {
  const std::lock_guard lock(mutex_);
  return {static_cast<std::int64_t>(in_use_), static_cast<std::int64_t>(pooled_),
          static_cast<std::int64_t>(peak_), allocations_};
}

void Pool::reset_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = in_use_ + pooled_;
}

void Pool::forget() {
  const std::lock_guard lock(mutex_);
  for (FreeList& list : lists_) list = FreeList{};
  in_use_ = pooled_ = peak_ = budget_ = 0;
  allocations_ = 0;
}

void give_back(Buffer& buffer) {
  const std::uint64_t last_use = buffer.last_use.load(std::memory_order_acquire);
  pool_of(*buffer.device).give_back({buffer.data, last_use}, buffer.bytes);
}

BufferRef allocate_for(DeviceBackend& device, std::size_t bytes, Writer writer) {
  auto buffer = std::make_shared<Buffer>();
  buffer->device = &device;
  buffer->bytes = bytes;
  const Block block = pool_of(device).take(device, bytes, writer);
  buffer->data = block.data;
  if (writer == Writer::device)
    buffer->last_use = block.last_use;  // the host's has nothing to wait for
  buffer->deleter = give_back;
  return buffer;
}

}  // namespace

BufferRef allocate(DeviceBackend& device, std::size_t bytes) {
  return allocate_for(device, bytes, Writer::device);
}
BufferRef allocate_for_host(DeviceBackend& device, std::size_t bytes) {
  return allocate_for(device, bytes, Writer::host);
}

Statistics statistics(DeviceBackend& device) { return pool_of(device).statistics(); }
void reset_peak(DeviceBackend& device) { pool_of(device).reset_peak(); }
void trim(DeviceBackend& device) { pool_of(device).trim(device); }

void forget(DeviceBackend& device) {
  trim(device);
  pool_of(device).forget();
}

}  // namespace noyau::memory
