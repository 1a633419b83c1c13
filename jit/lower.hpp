// Lowering: Kernel + Schedule -> Program, and what its launch passes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "jit/kernel.hpp"
#include "jit/program.hpp"
#include "jit/schedule.hpp"

namespace noyau::jit {

/// Where a launch gets a parameter: a number fixed with the plan, or a scalar slot of the trace.
struct ParameterSource {
  std::int32_t slot = -1;  ///< -1: `bits`
  std::uint64_t bits = 0;
};

struct LoweredKernel {
  Program program;
  std::int64_t extent[3] = {1, 1, 1};
  std::vector<ParameterSource> parameters;
  /// Buffers after the kernel's own: scratch of this many bytes each; the last one, of
  /// `ticket_bytes`, must be zero at launch.
  std::vector<std::int64_t> scratch_bytes;
  std::int64_t ticket_bytes = 0;
};

LoweredKernel lower(const Kernel& kernel, const Schedule& schedule,
                    std::span<const DType> slot_types);

}  // namespace noyau::jit
