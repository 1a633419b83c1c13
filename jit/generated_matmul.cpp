// The generated matrix product: tiles of rows, lanes along columns.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "jit/generated_matmul.hpp"
#include "jit/generated_tools.hpp"

namespace noyau::jit {
namespace {

/// One batch axis of the three views.
struct BatchAxis {
  std::int64_t extent, a, b, out;
};

/// The batch axes, outermost first, those that are one run of memory joined.
std::vector<BatchAxis> batch_axes(const TensorView& a, const TensorView& b, const TensorView& out) {
  std::vector<BatchAxis> axes;
  for (int k = 0; k + 2 < out.shape.rank(); ++k) {
    const std::int64_t extent = out.shape[k];
    if (extent == 1) continue;
    const BatchAxis axis{extent, a.strides[k], b.strides[k], out.strides[k]};
    if (!axes.empty()) {
      BatchAxis& outer = axes.back();
      if (outer.a == axis.a * extent && outer.b == axis.b * extent &&
          outer.out == axis.out * extent) {
        outer = {outer.extent * extent, axis.a, axis.b, axis.out};
        continue;
      }
    }
    axes.push_back(axis);
  }
  return axes;
}

/// `view` with these batch axes before its last two.
TensorView with_batch(const TensorView& view, const std::vector<BatchAxis>& axes,
                      std::int64_t BatchAxis::*stride, bool transposed) {
  TensorView made{view.dtype, {}, {}};
  for (const BatchAxis& axis : axes) {
    made.shape.push_back(axis.extent);
    made.strides.push_back(axis.*stride);
  }
  const int rank = view.shape.rank();
  for (int k : {transposed ? rank - 1 : rank - 2, transposed ? rank - 2 : rank - 1}) {
    made.shape.push_back(view.shape[k]);
    made.strides.push_back(view.strides[k]);
  }
  return made;
}

std::int64_t rows_of_tile(std::int64_t rows) {
  for (std::int64_t tile : {8, 4, 2})
    if (rows >= tile) return tile;
  return 1;
}

/// Products with at least so many rows keep a block of b in a private array, for all tiles of an
/// item to read: at hand whatever b's strides.
constexpr std::int64_t least_packed_rows = 32, block_bytes = 1024;

/// How many tiles an item goes through: many, while there are enough items.
std::int64_t tiles_of_item(const TensorView& out, std::int64_t tiles) {
  constexpr std::int64_t most_tiles = 32, lanes = 32, enough_items = 32;
  const int rank = out.shape.rank();
  const std::int64_t columns = out.shape[rank - 1];
  const std::int64_t others =
      out.shape.elements() / (columns * out.shape[rank - 2]) * ((columns + lanes - 1) / lanes);
  return std::clamp<std::int64_t>(tiles * others / enough_items, 4, most_tiles);
}

/// Makes one kernel: a[..., m, k] by b[..., k, n], lanes along n (as a rule), tiles of rows.
class Product {
 public:
  /// `swapped`: b is the launch's first buffer.
  Product(const TensorView& a, const TensorView& b, const TensorView& out, bool swapped,
          int block_threads)
      : g_("matmul", block_threads),
        m_(static_cast<std::size_t>(out.shape.rank() - 2)),
        n_(m_ + 1),
        dtype_(out.dtype),
        tile_(rows_of_tile(out.shape[out.shape.rank() - 2])) {
    const std::int64_t rows = out.shape[out.shape.rank() - 2];
    packed_ = block_threads == 0 && rows >= least_packed_rows;
    a_ = g_.input(swapped ? b : a, "a");
    b_ = g_.input(swapped ? a : b, "b");
    if (swapped) std::swap(a_, b_);
    to_ = g_.output(out, "out");
    inner_ = g_.number(a.shape[a.shape.rank() - 1], "inner");
    last_row_ = g_.number(rows - 1, "last_row");
    const std::int64_t tiles = (rows + tile_ - 1) / tile_;
    const std::int64_t together = packed_ ? tiles_of_item(out, tiles) : 1;
    tiles_ = g_.number(tiles, "tiles");
    tiles_of_item_ = g_.number(together, "tiles_of_item");
    std::vector<std::int64_t> extents(out.shape.begin(), out.shape.end()),
        strides(out.strides.begin(), out.strides.end());
    extents[m_] = (tiles + together - 1) / together;
    strides[m_] *= tile_ * together;
    index_ = g_.spread(extents, strides);
  }

  GeneratedKernel run() {
    const Value zero = constant(0);
    std::vector<Value> at = index_;
    at[m_] = zero;
    column_ = g_.offset(b_, at);
    if (packed_) {
      blocks();
    } else {
      const Tile tile = tile_at(index_[m_]);
      std::vector<Value> sums(static_cast<std::size_t>(tile_), g_.zero(dtype_));
      sums = g_.loop(zero, inner_, sums, [&](Value k, std::span<const Value> before) {
        return add_products(tile, k, load_b(k), before);
      });
      store(tile, sums);
    }
    return g_.take();
  }

 private:
  /// Some rows: where they are in a, and their index.
  struct Tile {
    std::vector<Value> row, offset;
  };
  Value constant(std::int64_t v) { return g_.ir().constant_i64(v); }

  /// Rows past the last are the last once more: computed and stored again, the same value.
  Tile tile_at(Value number) {
    Tile tile;
    std::vector<Value> at = index_;
    at[n_] = constant(0);
    for (std::int64_t r = 0; r < tile_; ++r) {
      const Value row = g_.plus(g_.times(number, tile_), r);
      at[m_] = tile_ == 1 ? row : g_.minimum(row, last_row_);
      tile.row.push_back(at[m_]);
      tile.offset.push_back(g_.offset(a_, at));
    }
    return tile;
  }
  Value load_b(Value k) { return g_.ir().load(b_.memory, g_.add(g_.term(b_, m_, k), column_)); }

  std::vector<Value> add_products(const Tile& tile, Value k, Value x,
                                  std::span<const Value> before) {
    const Value step = g_.term(a_, n_, k);
    std::vector<Value> after;
    for (std::size_t r = 0; r < before.size(); ++r) {
      const Value factor = g_.ir().load(a_.memory, g_.add(tile.offset[r], step));
      after.push_back(g_.multiply_add(factor, x, before[r]));
    }
    return after;
  }
  Value to(const Tile& tile, std::size_t r) {
    std::vector<Value> at = index_;
    at[m_] = tile.row[r];
    return g_.offset(to_, at);
  }
  void store(const Tile& tile, std::span<const Value> sums) {
    for (std::size_t r = 0; r < sums.size(); ++r) g_.ir().store(to_.memory, to(tile, r), sums[r]);
  }

  /// For each block of k: its part of b, then every tile of the item, whose sums wait in memory
  /// between the blocks.
  void blocks() {
    g_.ir().program().memory[static_cast<std::size_t>(to_.memory)].read = true;
    const auto rows = block_bytes / static_cast<std::int64_t>(size_of(dtype_));
    const int block = g_.ir().private_array(dtype_, rows, "block");
    const Value zero = constant(0), size = constant(rows);
    const Value first_tile = g_.multiply(index_[m_], tiles_of_item_);
    const Value end_tile = g_.minimum(g_.add(first_tile, tiles_of_item_), tiles_);
    const Value count = g_.ir().binary(Opcode::divide, g_.plus(inner_, rows - 1), size);
    g_.loop(zero, count, {}, [&](Value number, std::span<const Value>) {
      const Value start = g_.multiply(number, size);
      const Value length = g_.minimum(g_.subtract(inner_, start), size);
      g_.loop(zero, length, {}, [&](Value k, std::span<const Value>) {
        g_.ir().store(block, k, load_b(g_.add(start, k)));
        return std::vector<Value>{};
      });
      const Value later = g_.ir().compare(Opcode::greater, number, zero);
      g_.loop(first_tile, end_tile, {}, [&](Value t, std::span<const Value>) {
        const Tile tile = tile_at(t);
        std::vector<Value> sums(static_cast<std::size_t>(tile_), g_.zero(dtype_));
        sums = g_.when(later, sums, [&](std::span<const Value> none) {
          std::vector<Value> before;
          for (std::size_t r = 0; r < none.size(); ++r)
            before.push_back(g_.ir().load(to_.memory, to(tile, r)));
          return before;
        });
        sums = g_.loop(zero, length, sums, [&](Value k, std::span<const Value> before) {
          return add_products(tile, g_.add(start, k), g_.ir().load(block, k), before);
        });
        store(tile, sums);
        return std::vector<Value>{};
      });
      return std::vector<Value>{};
    });
  }

  GeneratedBuilder g_;
  std::size_t m_, n_;
  DType dtype_;
  std::int64_t tile_;
  bool packed_;
  StridedBuffer a_, b_, to_;
  Value inner_, last_row_, tiles_, tiles_of_item_, column_ = no_value;
  std::vector<Value> index_;
};

}  // namespace

GeneratedKernel matmul_kernel(const TensorView& a, const TensorView& b, const TensorView& out,
                              int block_threads) {
  require(a.dtype == out.dtype && b.dtype == out.dtype, "matmul of mixed dtypes");
  const int rank = out.shape.rank();
  require(rank >= 2 && a.shape.rank() == rank && b.shape.rank() == rank, "matmul of other ranks");
  const auto axes = batch_axes(a, b, out);
  // Lanes run along columns; when rows are the contiguous axis, the transposed product is computed.
  const std::int64_t rows = out.shape[rank - 2], columns = out.shape[rank - 1];
  const bool by_rows = rows > 1 && (columns == 1 || std::abs(out.strides[rank - 2]) <
                                                        std::abs(out.strides[rank - 1]));
  const TensorView to = with_batch(out, axes, &BatchAxis::out, by_rows);
  const TensorView left = with_batch(a, axes, &BatchAxis::a, by_rows);
  const TensorView right = with_batch(b, axes, &BatchAxis::b, by_rows);
  const TensorView &first = by_rows ? right : left, &second = by_rows ? left : right;
  // Tiles want 256 threads, and results for most of them.
  constexpr std::int64_t least_side = 16;
  if (block_threads >= 256 && std::min(rows, columns) >= least_side)
    return matmul_in_blocks(
        first, second, to, by_rows,
        tile_of_product(to.dtype, by_rows ? columns : rows, by_rows ? rows : columns,
                        out.shape.elements() / (rows * columns)));
  return Product(first, second, to, by_rows, block_threads).run();
}

}  // namespace noyau::jit
