// Passes that rewrite what a target cannot say into what it can.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "jit/program.hpp"

namespace noyau::jit {

/// float16 and bfloat16 as the uint16 that hold them; their conversions as integer operations.
/// Nothing else computes in halves (verify). Where the target has instructions for them,
/// conversions between float16 and float32 stay, each beside a bitcast from or to uint16.
Program expand_halves(const Program& program, bool native_float16 = false);

/// What every compiler begins with: calls inlined, halves expanded.
Program flatten(const Program& program, bool native_float16 = false);

/// Shuffles and votes by way of shared memory and barriers, for targets without lane exchange. What
/// is asked of control flow around them grows: it must be the same for the whole block.
Program exchange_through_shared(const Program& program);

/// In the flags of a loop that is rarely run: not worth vectors.
inline constexpr std::uint8_t brief_loop = 2;

/// In the flags of a block: the launch has no other axis of more than one block.
inline constexpr std::uint8_t lone_axis = 1;

/// How many items of axis 0 one item takes after loop_over_lanes.
inline constexpr std::int64_t lane_count = 32;

/// An items program whose loops all items of a gang go through together, as one whose items are
/// gangs: lanes are short inner loops (marked as independent_loop) and private arrays, which C
/// compilers of CPUs turn into vectors. The launch's extent[0] is divided by lane_count, rounded
/// up, and its old value is one more parameter, the last. Nothing when the program has no such
/// loops, or has atomics, faults or calls: it is best left as it is.
std::optional<Program> loop_over_lanes(const Program& program);

}  // namespace noyau::jit
