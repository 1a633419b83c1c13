// Waiting for a device without taking the errors that belong to somebody else's wait().
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace noyau {

class DeviceBackend;

/// Returns when everything up to `ticket` has run. What failed there stays with its own waiter.
void wait_until_done(const DeviceBackend& device, std::uint64_t ticket);
/// Returns when everything submitted before has run or failed.
void wait_until_idle(DeviceBackend& device) noexcept;

}  // namespace noyau
