// The memory pool: one for all backends. Size classes with at most 12.5 % waste, a byte cap, trim
// and one retry.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/buffer.hpp"

namespace noyau::memory {

/// A buffer of at least `bytes` on `device` (0 is allowed, and gives an address). When the device
/// has no memory, or the cap $NOYAU_MEMORY_LIMIT is passed, the pool waits for the device, trims
/// itself and tries once more, then throws OutOfMemory naming the bytes asked, in use and pooled.
/// The fault point "pool.allocate" is passed at each try: failing once makes it trim and succeed,
/// failing from then on throws. Memory comes uninitialised, and is reused without waiting: a device
/// runs in order. `last_use` is the ticket of what its last owner may still have in the queue.
BufferRef allocate(DeviceBackend& device, std::size_t bytes);
/// The same for a caller who writes from the host: no work in the queue uses the memory any more.
BufferRef allocate_for_host(DeviceBackend& device, std::size_t bytes);

/// Wraps somebody else's memory; `deleter` (may be empty) runs when the last array that uses it is
/// gone and the device is done with it, perhaps on another thread. When this throws, it does not
/// run.
BufferRef from_external(DeviceBackend& device, void* data, std::size_t bytes,
                        std::function<void()> deleter);

struct Statistics {
  std::int64_t in_use = 0;       ///< bytes of live buffers, in size classes
  std::int64_t pooled = 0;       ///< bytes kept for reuse
  std::int64_t peak = 0;         ///< most bytes ever in use and pooled together
  std::int64_t allocations = 0;  ///< calls of the device's own allocator
};
/// A device that is listed twice has one pool.
Statistics statistics(DeviceBackend& device);
void reset_peak(DeviceBackend& device);
/// Gives pooled memory back to the device, once the device has run what was submitted before.
void trim(DeviceBackend& device);
/// For a device that goes away, after its last buffer: gives its memory back and forgets it.
void forget(DeviceBackend& device);

}  // namespace noyau::memory
