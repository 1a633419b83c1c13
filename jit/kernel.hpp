// Kernel: what one launch computes. Parallel axes, row axes, and operations in stages.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/graph.hpp"
#include "jit/affine.hpp"
#include "noyau/dtype.hpp"

namespace noyau::jit {

/// The tree of every reduction, the same on every device: at most `serial_rows` elements are
/// combined one after the other; else element r of a chunk of `chunk_rows` belongs to virtual lane
/// r % virtual_lanes, each lane combines its elements in order, lanes combine pairwise at distances
/// 16, 8, 4, 2, 1, and the chunks' results are reduced the same way.
inline constexpr std::int64_t serial_rows = 32, virtual_lanes = 32, chunk_rows = 16384;

struct KernelAxis {
  std::int64_t extent = 1;
  bool row = false;  ///< reduced over
  bool operator==(const KernelAxis&) const = default;
};

/// An argument of the kernel: where a value of the plan starts.
struct KernelBuffer {
  std::int32_t value = 0;  ///< trace node
  std::int32_t output = 0;
  std::int64_t offset = 0;  ///< in elements
  DType dtype = float32;
  bool written = false;
  bool permuted = false;  ///< its memory is not in row-major order
  bool aligned = false;   ///< begins at a multiple of 16 bytes
};

struct KernelOp {
  enum class Kind : std::uint8_t {
    load,       ///< buffer at maps[0]
    roll_load,  ///< buffer where axis k's coordinate maps[k], shifted by slot + k, wraps at
                ///< extents[k]; strides
    pad_load,   ///< buffer where maps[k] - low[k] is clamped or reflected on the axes that `padded`
                ///< marks; outside, the scalar `slot` when there is one; strides
    scalar,     ///< slot
    iota,       ///< slots start, step (, last) at coordinate maps[0]
    random,     ///< slots seed, call, low, high at element maps[0]
    elementwise,  ///< code of ops.def; `compute` is the type T of its row
    cast,
    reduce,  ///< code ReduceOp over the row axes
    arg_reduce,
    store  ///< args[0] to buffer at maps[0]
  };
  Kind kind = Kind::load;
  std::uint8_t code = 0;
  DType dtype = float32;
  DType compute = float32;
  bool row = false;        ///< differs along the row axes
  std::int32_t stage = 0;  ///< the row loop whose reductions it needs are before it
  std::int32_t args[3] = {-1, -1, -1};
  std::int32_t buffer = -1, slot = -1;
  std::vector<AffineMap>
      maps;  ///< over the kernel's axes, offsets folded into the buffer's where possible
  std::vector<std::int64_t> extents, strides, low;
  std::vector<bool> padded;
  PadMode pad_mode = PadMode::constant;
  bool exact_last = false;  ///< iota: the last element is slot + 2
  Distribution distribution = Distribution::uniform;
};

struct Kernel {
  std::string name;
  std::vector<KernelAxis>
      axes;                   ///< outermost first, row axes after the parallel ones or between them
  std::vector<KernelOp> ops;  ///< arguments before use
  std::vector<KernelBuffer> buffers;

  std::int64_t parallel_size() const;
  std::int64_t row_size() const;
  bool has_rows() const;
};

/// Puts the axes in the order of the memory that is written and read, and merges neighbours that
/// always move together.
void order_and_collapse(Kernel& kernel);

std::string print(const Kernel& kernel);

}  // namespace noyau::jit
