// Generated convolutions for blocks of many threads: a matrix product of weights and of what the
// windows see, which is gathered tile by tile (implicit matmul).
// SPDX-License-Identifier: Apache-2.0
#include "jit/generated_convolution.hpp"
#include "jit/generated_matmul.hpp"
#include "jit/legalise.hpp"

namespace noyau::jit {
namespace {

/// Rows are a group's result channels, columns positions (n, h, w), terms (s, kh, kw) in row-major
/// order. A cell that meets no source adds nothing, as elsewhere.
class ByBlocks {
 public:
  explicit ByBlocks(Sliding& sliding)
      : c(sliding),
        g(sliding.g),
        positions_(c.result_view.shape[0] * c.result_view.shape[2] * c.result_view.shape[3]),
        tiles_(g, c.result_view.dtype, c.result_channels, positions_, c.window.groups) {
    if (!c.whole[0] || !c.whole[1])
      tiles_.found = g.ir().shared(DType::boolean, depth * ProductTiles::column_line, "found");
    for (int& memory : term_) memory = g.ir().shared(DType::int64, depth, "term");
    terms_ = g.number(c.source_channels * c.kernel[0] * c.kernel[1], "terms");
    channels_ = g.number(c.result_channels, "channels");
    position_count_ = g.number(positions_, "positions");
    height_ = g.number(c.result_view.shape[2], "height");
    width_ = g.number(c.result_view.shape[3], "width");
    sources_ = g.number(c.source_channels, "sources");
    const Value across = g.number(tiles_.across, "across"), down = g.number(tiles_.down, "down");
    const Value block = g.ir().block(0);
    g.ir().program().instructions[static_cast<std::size_t>(block)].flags = lone_axis;
    const Value rest = divided(block, across);
    first_position_ = g.times(g.subtract(block, g.multiply(rest, across)), ProductTiles::columns);
    const Value group = divided(rest, down);
    first_row_ = g.times(g.subtract(rest, g.multiply(group, down)), tiles_.block_rows());
    first_channel_ = g.multiply(group, channels_);
    first_source_ = g.multiply(group, sources_);
  }

  GeneratedKernel run() {
    const Value last_position = g.plus(position_count_, -1), last_row = g.plus(channels_, -1);
    // A thread gathers for one position, and for every fourth term; of the weights it loads one
    // term of every 16th row.
    const Value column = both(ProductTiles::columns - 1);
    const Position mine = position(g.minimum(g.add(first_position_, column), last_position));
    const Value weight_term = both(depth - 1), weight_row = g.divided(tiles_.thread, depth);

    std::vector<Value> sums(static_cast<std::size_t>(tiles_.rows * 4), g.zero(tiles_.dtype));
    const Value steps = g.divided(g.plus(terms_, depth - 1), depth);
    sums = g.loop(constant(0), steps, sums, [&](Value step, std::span<const Value> before) {
      const Value start = g.times(step, depth);
      split_terms(start);
      g.ir().barrier();
      for (std::int64_t e = 0; e < depth * ProductTiles::columns / ProductTiles::threads; ++e) {
        const std::int64_t lines = ProductTiles::threads / ProductTiles::columns;
        gather(mine, column, g.plus(g.divided(tiles_.thread, ProductTiles::columns), e * lines));
      }
      for (std::int64_t e = 0; e < tiles_.rows; ++e) {
        const Value at = g.plus(weight_row, e * 16);
        const Value row = g.minimum(g.add(first_row_, at), last_row);
        const Value from =
            c.weight_offset(g.add(first_channel_, row), row, part(0, weight_term), first_source_,
                            part(1, weight_term), part(2, weight_term));
        g.ir().store(tiles_.row_tile, g.add(g.times(weight_term, tiles_.row_line()), at),
                     g.ir().load(c.weights.memory, from));
      }
      g.ir().barrier();
      const Value count = g.minimum(g.subtract(terms_, start), constant(depth));
      const std::vector<Value> after = g.loop(
          constant(0), count, before,
          [&](Value k, std::span<const Value> now) { return tiles_.add_products(k, now); },
          partly_unrolled_loop);
      g.ir().barrier();
      return after;
    });
    store(sums);
    return g.take();
  }

 private:
  static constexpr std::int64_t depth = ProductTiles::depth;

  Value constant(std::int64_t v) { return g.ir().constant_i64(v); }
  Value divided(Value a, Value b) { return g.ir().binary(Opcode::divide, a, b); }
  Value both(std::int64_t mask) {
    return g.ir().binary(Opcode::bit_and, tiles_.thread, constant(mask));
  }

  struct Position {
    Value n, h, w;
  };
  Position position(Value number) {
    const Value row = divided(number, width_), n = divided(row, height_);
    return {n, g.subtract(row, g.multiply(n, height_)),
            g.subtract(number, g.multiply(row, width_))};
  }

  /// The first threads find out what the step's terms are; past the last is the last once more.
  void split_terms(Value start) {
    g.ir().begin_if(g.ir().compare(Opcode::less, tiles_.thread, constant(depth)));
    const Value k = g.minimum(g.add(start, tiles_.thread), g.plus(terms_, -1));
    const Value row = divided(k, c.kernel_value[1]), s = divided(row, c.kernel_value[0]);
    g.ir().store(term_[0], tiles_.thread, s);
    g.ir().store(term_[1], tiles_.thread, g.subtract(row, g.multiply(s, c.kernel_value[0])));
    g.ir().store(term_[2], tiles_.thread, g.subtract(k, g.multiply(row, c.kernel_value[1])));
    g.ir().begin_else();
    g.ir().end_if();
  }
  /// Source channel, row or column of the kernel of a term of the step.
  Value part(int which, Value term) { return g.ir().load(term_[which], term); }

  void gather(const Position& p, Value column, Value term) {
    const Place h = c.place(0, p.h, part(1, term)), w = c.place(1, p.w, part(2, term));
    const Value found = h.found == no_value   ? w.found
                        : w.found == no_value ? h.found
                                              : g.ir().binary(Opcode::bit_and, h.found, w.found);
    const auto load = [&](std::span<const Value>) {
      const std::vector<Value> at{p.n, g.add(first_source_, part(0, term)), h.at, w.at};
      return std::vector<Value>{g.load(c.source, at)};
    };
    const Value nothing[] = {g.zero(tiles_.dtype)};
    const Value x = found == no_value ? load({})[0] : g.when(found, nothing, load)[0];
    const Value at = g.add(g.times(term, ProductTiles::column_line), column);
    g.ir().store(tiles_.column_tile, at, x);
    if (tiles_.found >= 0)
      g.ir().store(tiles_.found, at, found == no_value ? g.ir().constant_of(true) : found);
  }

  void store(std::span<const Value> sums) {
    for (std::int64_t col = 0; col < 4; ++col) {
      const Value number = g.plus(g.add(first_position_, tiles_.my_column), col);
      g.ir().begin_if(g.ir().compare(Opcode::less, number, position_count_));
      const Position p = position(number);
      for (std::int64_t r = 0; r < tiles_.rows; ++r) {
        const Value row = g.plus(g.add(first_row_, tiles_.my_row), r);
        g.ir().begin_if(g.ir().compare(Opcode::less, row, channels_));
        g.store(c.result, std::vector<Value>{p.n, g.add(first_channel_, row), p.h, p.w},
                sums[static_cast<std::size_t>(r * 4 + col)]);
        g.ir().begin_else();
        g.ir().end_if();
      }
      g.ir().begin_else();
      g.ir().end_if();
    }
  }

  Sliding& c;
  GeneratedBuilder& g;
  std::int64_t positions_;
  ProductTiles tiles_;
  int term_[3];
  Value terms_, channels_, position_count_, height_, width_, sources_, first_position_, first_row_,
      first_channel_, first_source_;
};

}  // namespace

GeneratedKernel convolution_by_blocks(Sliding& c) { return ByBlocks(c).run(); }

}  // namespace noyau::jit
