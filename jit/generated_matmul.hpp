// What the generated matrix products of blocks of many threads share with convolutions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "jit/generated_tools.hpp"

namespace noyau::jit {

/// How many results of a product a thread has: 4 or 8 of each.
struct ProductTile {
  std::int64_t rows = 4, columns = 4;
};
/// The largest that still leaves enough blocks for a GPU.
ProductTile tile_of_product(DType dtype, std::int64_t rows, std::int64_t columns,
                            std::int64_t batch);

/// a[..., m, k] by b[..., k, n], all with the same batch axes. `swapped`: b is the launch's first
/// buffer.
GeneratedKernel matmul_in_blocks(const TensorView& a, const TensorView& b, const TensorView& out,
                                 bool swapped, ProductTile tile);

/// A block's 256 threads are 16 x 16, a gang of them 4 x 8; a thread's rows and columns are runs of
/// four, a quarter of a block's side or half of it apart, so that what a gang reads at once meets
/// all banks of shared memory. Step by step `depth` terms go through shared memory, a line for
/// each, in two places by turns: while one is being read, the next step's terms are on their way
/// from memory to registers, and one barrier a step is enough.
class ProductTiles {
 public:
  static constexpr std::int32_t threads = 256;

  /// `masked`: some columns lack some terms, which then add nothing. Emits the thread's number.
  ProductTiles(GeneratedBuilder& g, DType dtype, ProductTile tile, std::int64_t row_count,
               std::int64_t column_count, std::int64_t batch, bool masked = false);

  std::int64_t rows() const { return 16 * tile_.rows; }        ///< of a block
  std::int64_t columns() const { return 16 * tile_.columns; }  ///< of a block

  /// What a thread puts into shared memory for one step: number e of it.
  struct Part {
    Value at, term;  ///< of the block's rows or columns, of the step's terms
  };
  /// Neighbouring threads take neighbouring terms of a row, or (`along`) neighbouring rows.
  std::vector<Part> row_parts(bool along_rows) { return parts(rows(), along_rows); }
  std::vector<Part> column_parts(bool along_columns) { return parts(columns(), along_columns); }

  /// The values of a step on their way: of the rows, of the columns, whether the columns' are
  /// there.
  struct Fetched {
    std::vector<Value> rows, columns, found;
  };
  using Fetch = std::function<Fetched(Value start)>;  ///< terms from `start` on; past the last: any
  using Prepare = std::function<void(Value start)>;   ///< comes one barrier before their fetch
  /// The sums over terms [first, end) of the thread's results, row by row.
  std::vector<Value> sums(Value first, Value end, std::span<const Part> row_parts,
                          std::span<const Part> column_parts, const Fetch& fetch,
                          const Prepare& prepare = {});
  /// store(row, column, sum) for each of them; places in the block.
  using Store =
      std::function<void(Value column, std::span<const Value> rows, std::span<const Value> sums)>;
  void for_each_column(std::span<const Value> sums, const Store& store);

  const std::int64_t depth, down, across;  ///< terms of a step; blocks along rows and columns
  Value thread;

 private:
  std::vector<Part> parts(std::int64_t width, bool along);
  std::vector<Value> run_of(int tile, DType type, Value at, std::int64_t count);
  std::vector<Value> add_products(Value slot, Value k, std::span<const Value> sums);
  void put(Value slot, std::span<const Part> row_parts, std::span<const Part> column_parts,
           const Fetched& fetched);
  std::int64_t row_line() const { return rows() + pad; }
  std::int64_t column_line() const { return columns() + pad; }
  /// The thread's row or column number k in the block.
  Value place(Value mine, std::int64_t k) { return g.plus(mine, k / 4 * 64 + k % 4); }

  static constexpr std::int64_t pad = 4;
  GeneratedBuilder& g;
  const DType dtype_;
  const ProductTile tile_;
  int row_tile_, column_tile_, found_ = -1;
  Value my_row_, my_column_;  ///< the thread's first
};

}  // namespace noyau::jit
