// What each value of a Program is across the lanes of a gang: uniform, affine or varying; and how
// far out it can be computed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "jit/program.hpp"

namespace noyau::llvm_backend {

/// Lanes of a gang. Raw kernels' warp idioms need 32; two 512-bit vectors of float32.
inline constexpr int gang_lanes = 32;

enum class Spread : std::uint8_t {
  uniform,  ///< one value for all active lanes: a scalar
  affine,   ///< int64 origin + (x of the gang + lane) * stride, both scalars
  varying   ///< a vector
};

/// Where a value is computed. Every operation is total, so whatever reads no memory may move out.
enum class Level : std::uint8_t {
  launch,  ///< once a call of the kernel
  row,     ///< once a row of items, or once a block
  gang     ///< in the body
};

struct LaneInfo {
  Spread spread = Spread::uniform;
  Level level = Level::launch;  ///< of the value, or of an affine value's origin and stride
  bool stride_known = false;    ///< affine: the stride is the constant `stride`
  bool wants_vector = false;    ///< some user works on vectors
  std::int64_t stride = 0;
  bool row_step_known = false;  ///< how it changes from one row of items (axis 1) to the next
  std::int64_t row_step = 0;
};

/// One pair of region bounds: what the emitter needs when it meets the opening instruction.
struct RegionInfo {
  bool divergent = false;             ///< its condition differs between lanes
  bool flat = false;                  ///< an if without loops or side effects, and short: no branch
  jit::Value while_ = jit::no_value;  ///< of a loop
  jit::Value partner = jit::no_value;  ///< of an if its else, of an else its if
};

struct LaneAnalysis {
  std::vector<LaneInfo> values;     ///< by instruction
  std::vector<RegionInfo> regions;  ///< by opening instruction; empty entries elsewhere
  std::vector<std::int32_t> depth;  ///< region depth of each instruction
  bool has_regions = false;
  bool has_loops = false;
  bool uses_item[3] = {false, false, false};
  bool uses_block[3] = {false, false, false};
  /// Items: loads whose lanes are apart in memory but whose rows are neighbours, a transpose.
  std::vector<jit::Value> transposed_loads;
  bool one_gang = true;         ///< blocks: the block is one gang
  bool rows_of_gangs = true;    ///< blocks of several gangs: thread 0 is affine in each
  std::int64_t cost = 0;        ///< instructions of the gang level, those in loops counted 16 times
  std::int64_t live_bytes = 0;  ///< of straight code: what a lane's values take at once, at most
};

/// `program` has no functions left (jit::flatten).
LaneAnalysis analyse_lanes(const jit::Program& program);

}  // namespace noyau::llvm_backend
