// The plain interpreter of Programs: the oracle that every backend agrees with, bit by bit.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/program.hpp"

namespace noyau::jit {

/// A buffer argument of an interpreted launch.
struct InterpreterBuffer {
  void* data = nullptr;
  std::int64_t elements = 0;
  std::int64_t before = 0;  ///< elements in front of `data` that belong to it: of a view that runs
                            ///< backwards
};

/// Runs every thread of the launch, scalar by scalar; threads of a block advance to each barrier,
/// shuffle or vote together, blocks follow one another. `parameters` holds each parameter's bits in
/// 8 bytes. Throws LaunchError on an access out of bounds, a divergent barrier, a race between
/// threads of a block in shared memory, a read of shared or private memory never written, or more
/// than `step_limit` instructions (0: no limit); each names the instruction and the thread.
/// `buffers` are the program's buffers in their order, its other memory left out. What the program
/// prints is appended to `printed`, if given. Returns the fault word: 0, or the code of the first
/// fault.
std::int64_t interpret(const Program& program, std::span<const std::int64_t, 3> extent,
                       std::span<const InterpreterBuffer> buffers,
                       std::span<const std::uint64_t> parameters, std::int64_t step_limit = 0,
                       std::vector<std::string>* printed = nullptr);

}  // namespace noyau::jit
