// The choice of schedules for devices whose blocks have many threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "jit/schedule.hpp"

namespace noyau::jit {

/// For limits.block_threads > 0.
Schedule choose_schedule_of_blocks(const Kernel& kernel, const DeviceLimits& limits);

/// Whether `op` may load or store `vector` elements of the innermost axis at once.
bool takes_vectors(const Kernel& kernel, const KernelOp& op, std::int64_t vector);

/// What an operation adds to the time that a kernel takes to compile.
std::int64_t weight(const KernelOp& op);
/// Operations up to this weight are copied for each element that a thread computes.
inline constexpr std::int64_t most_unrolled_weight = 240;

}  // namespace noyau::jit
