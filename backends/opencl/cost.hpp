// How much a launch has to do, from the program and its parameters.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "jit/program.hpp"

namespace noyau::opencl {

/// About how many instructions one item, or one thread of a block, runs: as the first one would,
/// each loop as often as its first time. `program` has no calls.
double cost_of_item(const jit::Program& program, std::span<const std::uint64_t> parameters);

}  // namespace noyau::opencl
