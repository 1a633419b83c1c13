// Memory that arrays live in: owned by a device's pool, or somebody else's with a deleter.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

namespace noyau {

class DeviceBackend;

/// A piece of device memory, shaped like DLPack's: who has it, where it is, who frees it, when it
/// is written and when no longer in use.
struct Buffer {
  DeviceBackend* device = nullptr;
  std::byte* data = nullptr;
  std::size_t bytes = 0;
  bool external = false;                   ///< not the pool's: never donated, never written
  std::atomic<std::uint64_t> written{0};   ///< the ticket after which its contents are there
  std::atomic<std::uint64_t> last_use{0};  ///< the newest ticket that reads or writes it
  std::atomic<std::uint32_t> uses{0};      ///< BufferUses: who may read it outside of its own queue
  std::function<void(Buffer&)> deleter;    ///< gives the memory back
  ~Buffer() {
    if (deleter) deleter(*this);
  }
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
};
using BufferRef = std::shared_ptr<Buffer>;

/// A reference that counts: of a node whose values are in the buffer, or of whoever else reads it
/// later than what its device's queue holds by now. A buffer of one use may be overwritten in the
/// order of the queue when that use ends; plain references only keep the memory.
class BufferUse {
 public:
  BufferUse() = default;
  BufferUse(BufferRef buffer) : buffer_(std::move(buffer)) { count(); }  // NOLINT
  BufferUse(const BufferUse& other) : buffer_(other.buffer_) { count(); }
  BufferUse(BufferUse&& other) noexcept = default;
  BufferUse& operator=(BufferUse other) noexcept {
    buffer_.swap(other.buffer_);
    return *this;
  }
  ~BufferUse() {
    if (buffer_) buffer_->uses.fetch_sub(1, std::memory_order_acq_rel);
  }
  operator const BufferRef&() const { return buffer_; }  // NOLINT
  Buffer* operator->() const { return buffer_.get(); }
  Buffer& operator*() const { return *buffer_; }

 private:
  void count() {
    if (buffer_) buffer_->uses.fetch_add(1, std::memory_order_relaxed);
  }
  BufferRef buffer_;
};

}  // namespace noyau
