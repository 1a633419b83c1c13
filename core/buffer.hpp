// Memory that arrays live in: owned by a device's pool, or somebody else's with a deleter.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

namespace noyau {

class DeviceBackend;

/// A piece of device memory, shaped like DLPack's: who has it, where it is, who frees it, when it
/// is ready.
struct Buffer {
  DeviceBackend* device = nullptr;
  std::byte* data = nullptr;
  std::size_t bytes = 0;
  bool external = false;                 ///< not the pool's: never donated, never written
  std::atomic<std::uint64_t> ready{0};   ///< the ticket after which its contents are there
  std::function<void(Buffer&)> deleter;  ///< gives the memory back
  ~Buffer() {
    if (deleter) deleter(*this);
  }
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
};
using BufferRef = std::shared_ptr<Buffer>;

}  // namespace noyau
