// Program -> LLVM IR: one function that runs a range of work units, a gang of lanes at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "backends/llvm/lanes.hpp"
#include "jit/program.hpp"

namespace llvm {
class LLVMContext;
class Module;
}  // namespace llvm

namespace noyau::llvm_backend {

/// Where a kernel reports faults; the first one stays.
struct ErrorWord {
  std::int64_t code = 0;
  std::int64_t detail = 0;
};

/// The function of every kernel. `memory` has one pointer for each memory object of the program:
/// buffers, and this worker's shared and private arrays (a private array is [elements][32 lanes]).
/// Units are gangs of items (rows times gangs in a row) or blocks; [begin, end) is not empty.
using KernelFunction = void (*)(void* const* memory, const std::uint64_t* parameters,
                                std::int64_t begin, std::int64_t end, const std::int64_t* extent,
                                ErrorWord* error);
inline constexpr const char* kernel_symbol = "noyau_kernel";

/// Rows of a tile that is transposed on the way in.
inline constexpr int tile_rows = 32;

/// Straight programs longer than this get one masked body instead of two: they compile in half the
/// time, and long bodies hide what masks cost.
inline constexpr int most_doubled_instructions = 48;

/// NotImplemented names what gangs cannot do yet. `program` has no calls (jit::flatten).
/// `gangs_at_once` full gangs of straight code are interleaved.
std::unique_ptr<llvm::Module> emit_ir(const jit::Program& program, const LaneAnalysis& lanes,
                                      int gangs_at_once, llvm::LLVMContext& context);

}  // namespace noyau::llvm_backend
