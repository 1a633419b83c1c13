// The generated matrix product for blocks of many threads: tiles in shared memory, some results a
// thread in registers.
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "jit/generated_matmul.hpp"
#include "jit/generated_tools.hpp"
#include "jit/legalise.hpp"

namespace noyau::jit {
namespace {

/// A block's 256 threads are 16 x 16; a thread has `rows_` x 4 results, so the block 16 * rows_ x
/// 64. Step by step 16 columns of a and rows of b go through shared memory, where a lies
/// transposed: what a thread reads of either is one run.
class BlockProduct {
 public:
  BlockProduct(const TensorView& a, const TensorView& b, const TensorView& out, bool swapped)
      : g_("matmul", Domain::blocks),
        rank_(static_cast<std::size_t>(out.shape.rank())),
        m_(rank_ - 2),
        n_(rank_ - 1),
        dtype_(out.dtype) {
    const std::int64_t rows = out.shape[static_cast<int>(m_)],
                       columns = out.shape[static_cast<int>(n_)];
    const std::int64_t batch = out.shape.elements() / (rows * columns);
    const std::int64_t across = (columns + side_n - 1) / side_n;
    rows_ = rows >= 128 && (rows + 127) / 128 * across * batch >= enough_blocks ? 8 : 4;
    const std::int64_t down = (rows + 16 * rows_ - 1) / (16 * rows_);
    g_.ir().program().block_size[0] = threads;
    g_.set_extent(0, across * down * batch);
    a_ = g_.input(swapped ? b : a, "a");
    b_ = g_.input(swapped ? a : b, "b");
    if (swapped) std::swap(a_, b_);
    to_ = g_.output(out, "out");
    inner_ = g_.number(a.shape[static_cast<int>(n_)], "inner");
    last_ = g_.number(a.shape[static_cast<int>(n_)] - 1, "last_inner");
    row_count_ = g_.number(rows, "rows");
    column_count_ = g_.number(columns, "columns");
    const Value across_value = g_.number(across, "across"), down_value = g_.number(down, "down");
    place(out, across_value, down_value);
  }

  GeneratedKernel run() {
    const std::int64_t width_a = 16 * rows_ + pad, width_b = side_n + pad;
    const int tile_a = g_.ir().shared(dtype_, depth * width_a, "tile_a"),
              tile_b = g_.ir().shared(dtype_, depth * width_b, "tile_b");
    const Side a = side(a_, m_, n_, first_row_, row_count_, 16 * rows_),
               b = side(b_, n_, m_, first_column_, column_count_, side_n);
    std::vector<Value> sums(static_cast<std::size_t>(rows_ * 4), g_.zero(dtype_));
    const Value steps = g_.divided(g_.plus(inner_, depth - 1), depth);
    sums = g_.loop(constant(0), steps, sums, [&](Value step, std::span<const Value> before) {
      const Value start = g_.times(step, depth);
      fill(a_, n_, a, start, tile_a, width_a);
      fill(b_, m_, b, start, tile_b, width_b);
      g_.ir().barrier();
      const Value count = g_.minimum(g_.subtract(inner_, start), constant(depth));
      const std::vector<Value> after = g_.loop(
          constant(0), count, before,
          [&](Value k, std::span<const Value> now) {
            return add_products(tile_a, g_.add(g_.times(k, width_a), my_row_), tile_b,
                                g_.add(g_.times(k, width_b), my_column_), now);
          },
          partly_unrolled_loop);
      g_.ir().barrier();
      return after;
    });
    store(sums);
    return g_.take();
  }

 private:
  static constexpr std::int32_t threads = 256;
  static constexpr std::int64_t side_n = 64, depth = 16, pad = 4, enough_blocks = 256;

  Value constant(std::int64_t v) { return g_.ir().constant_i64(v); }

  /// Which tile the block has, and which of its results the thread.
  void place(const TensorView& out, Value across, Value down) {
    const Value block = g_.ir().block(0);
    g_.ir().program().instructions[static_cast<std::size_t>(block)].flags = lone_axis;
    Value rest = g_.ir().binary(Opcode::divide, block, across);
    first_column_ = g_.times(g_.subtract(block, g_.multiply(rest, across)), side_n);
    batch_.assign(rank_, constant(0));
    Value batch = g_.ir().binary(Opcode::divide, rest, down);
    first_row_ = g_.times(g_.subtract(rest, g_.multiply(batch, down)), 16 * rows_);
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
    thread_ = g_.ir().thread(0);
    my_column_ = g_.times(g_.ir().binary(Opcode::bit_and, thread_, constant(15)), 4);
    my_row_ = g_.times(g_.divided(thread_, 16), rows_);
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
    for (std::int64_t e = 0; e < depth * width / threads; ++e) {
      const Value t = g_.plus(thread_, e * threads);
      const std::int64_t run = along_outer ? width : depth;
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
            int tile, std::int64_t width) {
    std::vector<Value> loaded;
    for (std::size_t e = 0; e < s.at.size(); ++e) {
      const Value k = g_.minimum(g_.add(start, s.inner[e]), last_);
      loaded.push_back(
          g_.ir().load(buffer.memory, g_.add(s.offset[e], g_.term(buffer, inner_axis, k))));
    }
    for (std::size_t e = 0; e < s.at.size(); ++e)
      g_.ir().store(tile, g_.add(g_.times(s.inner[e], width), s.at[e]), loaded[e]);
  }

  /// `count` elements side by side, as one access where the dialect can.
  std::vector<Value> run_of(int tile, Value at, std::int64_t count) {
    const std::int64_t vector = size_of(dtype_) == 8 ? 2 : size_of(dtype_) == 4 ? 4 : 1;
    std::vector<Value> places, values;
    for (std::int64_t k = 0; k < count; ++k) places.push_back(g_.plus(at, k));
    for (Value p : places) {
      values.push_back(g_.ir().load(tile, p));
      g_.ir().program().instructions.back().flags =
          static_cast<std::uint8_t>(vector > 1 ? vector : 0);
    }
    return values;
  }
  std::vector<Value> add_products(int tile_a, Value at_a, int tile_b, Value at_b,
                                  std::span<const Value> before) {
    const std::vector<Value> a = run_of(tile_a, at_a, rows_), b = run_of(tile_b, at_b, 4);
    std::vector<Value> after;
    for (std::size_t r = 0; r < a.size(); ++r)
      for (std::size_t c = 0; c < b.size(); ++c)
        after.push_back(g_.multiply_add(a[r], b[c], before[r * 4 + c]));
    return after;
  }

  void store(std::span<const Value> sums) {
    for (std::int64_t r = 0; r < rows_; ++r) {
      const Value row = g_.plus(g_.add(first_row_, my_row_), r);
      const Value row_inside = g_.ir().compare(Opcode::less, row, row_count_);
      for (std::int64_t c = 0; c < 4; ++c) {
        const Value column = g_.plus(g_.add(first_column_, my_column_), c);
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

  GeneratedBuilder g_;
  std::size_t rank_, m_, n_;
  DType dtype_;
  std::int64_t rows_ = 4;
  StridedBuffer a_, b_, to_;
  Value inner_, last_, row_count_, column_count_, first_row_ = no_value, first_column_ = no_value,
                                                  thread_ = no_value, my_row_ = no_value,
                                                  my_column_ = no_value;
  std::vector<Value> batch_;
};

}  // namespace

GeneratedKernel matmul_in_blocks(const TensorView& a, const TensorView& b, const TensorView& out,
                                 bool swapped) {
  return BlockProduct(a, b, out, swapped).run();
}

}  // namespace noyau::jit
