// The memory pool: one for all backends. Size classes with at most 12.5 % waste, a byte cap, trim
// and one retry. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/buffer.hpp"

namespace noyau::memory {

/// A buffer of at least `bytes` on `device` (0 is allowed). Fault point "pool.allocate". When the
/// device has no memory, or the cap $NOYAU_MEMORY_LIMIT is passed, the pool trims itself and tries
/// once more, then throws OutOfMemory naming the bytes asked, in use and pooled. Memory comes back
/// uninitialised and is reused without waiting: a device runs in order.
BufferRef allocate(DeviceBackend& device, std::size_t bytes);

/// Wraps somebody else's memory; `deleter` runs when the last array that uses it is gone and the
/// device is done with it.
BufferRef from_external(DeviceBackend& device, void* data, std::size_t bytes,
                        std::function<void()> deleter);

struct Statistics {
  std::int64_t in_use = 0;       ///< bytes of live buffers, in size classes
  std::int64_t pooled = 0;       ///< bytes kept for reuse
  std::int64_t peak = 0;         ///< most bytes ever in use and pooled together
  std::int64_t allocations = 0;  ///< calls of the device's own allocator
};
Statistics statistics(const DeviceBackend& device);
void reset_peak(const DeviceBackend& device);
/// Gives pooled memory back to the device.
void trim(DeviceBackend& device);

}  // namespace noyau::memory
