// What the generated matrix products of blocks of many threads share with convolutions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "jit/generated_tools.hpp"

namespace noyau::jit {

/// a[..., m, k] by b[..., k, n], all with the same batch axes. `swapped`: b is the launch's first
/// buffer.
GeneratedKernel matmul_in_blocks(const TensorView& a, const TensorView& b, const TensorView& out,
                                 bool swapped);

/// A block's 256 threads are 16 x 16; a thread has `rows` x 4 results, so the block 16 * rows x 64.
/// Step by step `depth` terms of each go through shared memory, a line for each term: what a thread
/// reads of either operand is one run.
struct ProductTiles {
  static constexpr std::int32_t threads = 256;
  static constexpr std::int64_t columns = 64, depth = 16, pad = 4;
  static constexpr std::int64_t column_line = columns + pad;

  /// For so many results of each kind; 4 or 8 rows a thread. Emits the thread's number.
  ProductTiles(GeneratedBuilder& g, DType dtype, std::int64_t row_count, std::int64_t column_count,
               std::int64_t batch);

  std::int64_t block_rows() const { return 16 * rows; }
  std::int64_t row_line() const { return block_rows() + pad; }
  /// `count` elements side by side in shared memory, in one access where the dialect can.
  std::vector<Value> run_of(int tile, DType type, Value at, std::int64_t count);
  /// sums[r, c] += a[r] b[c] for term k of the tiles; where `found` is given, only in the columns
  /// that it marks for that term.
  std::vector<Value> add_products(Value k, std::span<const Value> sums);

  GeneratedBuilder& g;
  DType dtype;
  std::int64_t rows, down, across;  ///< blocks along rows and columns
  int row_tile, column_tile, found = -1;
  Value thread, my_row, my_column;  ///< of the thread's first result, in the block
};

}  // namespace noyau::jit
