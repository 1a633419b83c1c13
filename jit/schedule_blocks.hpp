// The choice of schedules for devices whose blocks have many threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "jit/schedule.hpp"

namespace noyau::jit {

/// For limits.block_threads > 0.
Schedule choose_schedule_of_blocks(const Kernel& kernel, const DeviceLimits& limits);

}  // namespace noyau::jit
