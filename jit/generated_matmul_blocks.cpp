// The generated matrix product for blocks of many threads: tiles in shared memory, some results a
// thread in registers.
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "jit/generated_matmul.hpp"
#include "jit/legalise.hpp"

namespace noyau::jit {

ProductTiles::ProductTiles(GeneratedBuilder& builder, DType type, std::int64_t row_count,
                           std::int64_t column_count, std::int64_t batch)
    : g(builder), dtype(type) {
  constexpr std::int64_t enough_blocks = 256;
  across = (column_count + columns - 1) / columns;
  rows = row_count >= 128 && (row_count + 127) / 128 * across * batch >= enough_blocks ? 8 : 4;
  down = (row_count + block_rows() - 1) / block_rows();
  g.ir().program().domain = Domain::blocks;
  g.ir().program().block_size[0] = threads;
  g.set_extent(0, across * down * batch);
  row_tile = g.ir().shared(dtype, depth * row_line(), "row_tile");
  column_tile = g.ir().shared(dtype, depth * column_line, "column_tile");
  thread = g.ir().thread(0);
  my_column = g.times(g.ir().binary(Opcode::bit_and, thread, g.ir().constant_i64(15)), 4);
  my_row = g.times(g.divided(thread, 16), rows);
}

std::vector<Value> ProductTiles::run_of(int tile, DType type, Value at, std::int64_t count) {
  const auto vector = static_cast<std::uint8_t>(size_of(type) == 8 ? 2 : 4);
  std::vector<Value> places, values;
  for (std::int64_t k = 0; k < count; ++k) places.push_back(g.plus(at, k));
  for (Value p : places) {
    values.push_back(g.ir().load(tile, p));
    g.ir().program().instructions.back().flags = vector;
  }
  return values;
}

std::vector<Value> ProductTiles::add_products(Value k, std::span<const Value> sums) {
  const Value column = g.times(k, column_line);
  const std::vector<Value> a = run_of(row_tile, dtype, g.add(g.times(k, row_line()), my_row), rows),
                           b = run_of(column_tile, dtype, g.add(column, my_column), 4);
  std::vector<Value> counts;
  if (found >= 0) counts = run_of(found, DType::boolean, g.add(column, my_column), 4);
  std::vector<Value> after;
  for (std::size_t r = 0; r < a.size(); ++r) {
    for (std::size_t c = 0; c < b.size(); ++c) {
      const Value before = sums[r * 4 + c], sum = g.multiply_add(a[r], b[c], before);
      after.push_back(found < 0 ? sum : g.ir().select(counts[c], sum, before));
    }
  }
  return after;
}

namespace {

class BlockProduct {
 public:
  BlockProduct(const TensorView& a, const TensorView& b, const TensorView& out, bool swapped)
      : rank_(static_cast<std::size_t>(out.shape.rank())),
        m_(rank_ - 2),
        n_(rank_ - 1),
        rows_(out.shape[static_cast<int>(m_)]),
        columns_(out.shape[static_cast<int>(n_)]),
        g_("matmul"),
        tiles_(g_, out.dtype, rows_, columns_, out.shape.elements() / (rows_ * columns_)) {
    a_ = g_.input(swapped ? b : a, "a");
    b_ = g_.input(swapped ? a : b, "b");
    if (swapped) std::swap(a_, b_);
    to_ = g_.output(out, "out");
    inner_ = g_.number(a.shape[static_cast<int>(n_)], "inner");
    last_ = g_.number(a.shape[static_cast<int>(n_)] - 1, "last_inner");
    row_count_ = g_.number(rows_, "rows");
    column_count_ = g_.number(columns_, "columns");
    place(out);
  }

  GeneratedKernel run() {
    constexpr std::int64_t depth = ProductTiles::depth;
    const Side a = side(a_, m_, n_, first_row_, row_count_, tiles_.block_rows()),
               b = side(b_, n_, m_, first_column_, column_count_, ProductTiles::columns);
    std::vector<Value> sums(static_cast<std::size_t>(tiles_.rows * 4), g_.zero(tiles_.dtype));
    const Value steps = g_.divided(g_.plus(inner_, depth - 1), depth);
    sums = g_.loop(constant(0), steps, sums, [&](Value step, std::span<const Value> before) {
      const Value start = g_.times(step, depth);
      fill(a_, n_, a, start, tiles_.row_tile, tiles_.row_line());
      fill(b_, m_, b, start, tiles_.column_tile, ProductTiles::column_line);
      g_.ir().barrier();
      const Value count = g_.minimum(g_.subtract(inner_, start), constant(depth));
      const std::vector<Value> after = g_.loop(
          constant(0), count, before,
          [&](Value k, std::span<const Value> now) { return tiles_.add_products(k, now); },
          partly_unrolled_loop);
      g_.ir().barrier();
      return after;
    });
    store(sums);
    return g_.take();
  }

 private:
  Value constant(std::int64_t v) { return g_.ir().constant_i64(v); }

  /// Which tile the block has.
  void place(const TensorView& out) {
    const Value across = g_.number(tiles_.across, "across"), down = g_.number(tiles_.down, "down");
    const Value block = g_.ir().block(0);
    g_.ir().program().instructions[static_cast<std::size_t>(block)].flags = lone_axis;
    const Value rest = g_.ir().binary(Opcode::divide, block, across);
    first_column_ = g_.times(g_.subtract(block, g_.multiply(rest, across)), ProductTiles::columns);
    batch_.assign(rank_, constant(0));
    Value batch = g_.ir().binary(Opcode::divide, rest, down);
    first_row_ = g_.times(g_.subtract(rest, g_.multiply(batch, down)), tiles_.block_rows());
    for (std::size_t k = m_; k-- > 0;) {
      if (k == 0) {
        batch_[k] = batch;
        break;
      }
      const Value extent = g_.number(out.shape[static_cast<int>(k)], "batch");
      const Value outer = g_.ir().binary(Opcode::divide, batch, extent);
      batch_[k] = g_.subtract(batch, g_.multiply(outer, extent));
      batch = outer;
    }
  }

  /// What a thread loads of one operand for each step: places in the tile, and where they are in
  /// memory but for the inner index.
  struct Side {
    std::vector<Value> at, inner, offset;  ///< along the outer axis, along the inner one
  };
  /// Neighbouring threads go along the axis of stride 1. Past the last row is the last once more.
  Side side(const StridedBuffer& buffer, std::size_t outer_axis, std::size_t inner_axis,
            Value first, Value count, std::int64_t width) {
    Side s;
    const bool along_outer = buffer.unit[outer_axis] && !buffer.unit[inner_axis];
    const Value last = g_.plus(count, -1);
    for (std::int64_t e = 0; e < ProductTiles::depth * width / ProductTiles::threads; ++e) {
      const Value t = g_.plus(tiles_.thread, e * ProductTiles::threads);
      const std::int64_t run = along_outer ? width : ProductTiles::depth;
      const Value fast = g_.ir().binary(Opcode::bit_and, t, constant(run - 1)),
                  slow = g_.divided(t, run);
      s.at.push_back(along_outer ? fast : slow);
      s.inner.push_back(along_outer ? slow : fast);
      std::vector<Value> index = batch_;
      index[outer_axis] = g_.minimum(g_.add(first, s.at.back()), last);
      index[inner_axis] = constant(0);
      s.offset.push_back(g_.offset(buffer, index));
    }
    return s;
  }
  void fill(const StridedBuffer& buffer, std::size_t inner_axis, const Side& s, Value start,
            int tile, std::int64_t line) {
    std::vector<Value> loaded;
    for (std::size_t e = 0; e < s.at.size(); ++e) {
      const Value k = g_.minimum(g_.add(start, s.inner[e]), last_);
      loaded.push_back(
          g_.ir().load(buffer.memory, g_.add(s.offset[e], g_.term(buffer, inner_axis, k))));
    }
    for (std::size_t e = 0; e < s.at.size(); ++e)
      g_.ir().store(tile, g_.add(g_.times(s.inner[e], line), s.at[e]), loaded[e]);
  }

  void store(std::span<const Value> sums) {
    for (std::int64_t r = 0; r < tiles_.rows; ++r) {
      const Value row = g_.plus(g_.add(first_row_, tiles_.my_row), r);
      const Value row_inside = g_.ir().compare(Opcode::less, row, row_count_);
      for (std::int64_t c = 0; c < 4; ++c) {
        const Value column = g_.plus(g_.add(first_column_, tiles_.my_column), c);
        g_.ir().begin_if(g_.ir().binary(Opcode::bit_and, row_inside,
                                        g_.ir().compare(Opcode::less, column, column_count_)));
        std::vector<Value> index = batch_;
        index[m_] = row;
        index[n_] = column;
        g_.store(to_, index, sums[static_cast<std::size_t>(r * 4 + c)]);
        g_.ir().begin_else();
        g_.ir().end_if();
      }
    }
  }

  std::size_t rank_, m_, n_;
  std::int64_t rows_, columns_;
  GeneratedBuilder g_;
  ProductTiles tiles_;
  StridedBuffer a_, b_, to_;
  Value inner_, last_, row_count_, column_count_, first_row_ = no_value, first_column_ = no_value;
  std::vector<Value> batch_;
};

}  // namespace

GeneratedKernel matmul_in_blocks(const TensorView& a, const TensorView& b, const TensorView& out,
                                 bool swapped) {
  return BlockProduct(a, b, out, swapped).run();
}

}  // namespace noyau::jit
