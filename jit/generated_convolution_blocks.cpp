// Generated convolutions for blocks of many threads: a matrix product of weights and of what the
// windows see, which is gathered tile by tile (implicit matmul).
// SPDX-License-Identifier: Apache-2.0
#include "jit/generated_convolution.hpp"
#include "jit/legalise.hpp"

namespace noyau::jit {
namespace {

/// Rows are a group's result channels, columns positions (n, h, w), terms (s, kh, kw) in row-major
/// order. A cell that meets no source adds nothing, as elsewhere.
class ByBlocks {
 public:
  ByBlocks(Sliding& sliding, ProductTile tile)
      : c(sliding),
        g(sliding.g),
        positions_(position_count(sliding)),
        tiles_(g, c.result_view.dtype, tile, c.result_channels, positions_, c.window.groups,
               !c.whole[0] || !c.whole[1]) {
    terms_ = g.number(c.source_channels * c.kernel[0] * c.kernel[1], "terms");
    channels_ = g.number(c.result_channels, "channels");
    position_count_ = g.number(positions_, "positions");
    height_ = g.number(c.result_view.shape[2], "height");
    width_ = g.number(c.result_view.shape[3], "width");
    const Value sources = g.number(c.source_channels, "sources");
    const Value across = g.number(tiles_.across, "across"), down = g.number(tiles_.down, "down");
    const Value block = g.ir().block(0);
    g.ir().program().instructions[static_cast<std::size_t>(block)].flags = lone_axis;
    const Value rest = divided(block, across);
    first_position_ = g.times(g.subtract(block, g.multiply(rest, across)), tiles_.columns());
    const Value group = divided(rest, down);
    first_row_ = g.times(g.subtract(rest, g.multiply(group, down)), tiles_.rows());
    first_channel_ = g.multiply(group, channels_);
    first_source_ = g.multiply(group, sources);
    split_.emplace(g, tiles_, no_value, terms_, c.kernel_value[0], c.kernel_value[1]);
  }

  static std::int64_t position_count(const Sliding& c) {
    return c.result_view.shape[0] * c.result_view.shape[2] * c.result_view.shape[3];
  }

  GeneratedKernel run() {
    const Value last_position = g.plus(position_count_, -1), last_row = g.plus(channels_, -1);
    // A thread gathers for one position; of the weights it loads one term of some rows.
    const auto rows = tiles_.row_parts(false), columns = tiles_.column_parts(true);
    const Position mine = position(g.minimum(g.add(first_position_, columns[0].at), last_position));
    const auto fetch = [&](Value start) {
      ProductTiles::Fetched f;
      for (const ProductTiles::Part& part : columns) gather(mine, split_->of(start, part.term), f);
      const Term t = split_->of(start, rows[0].term);
      for (const ProductTiles::Part& part : rows) {
        const Value row = g.minimum(g.add(first_row_, part.at), last_row);
        f.rows.push_back(
            g.ir().load(c.weights.memory, c.weight_offset(g.add(first_channel_, row), row, t.outer,
                                                          first_source_, t.middle, t.inner)));
      }
      return f;
    };
    store(tiles_.sums(g.ir().constant_i64(0), terms_, rows, columns, fetch,
                      [&](Value start) { split_->split(start); }));
    return g.take();
  }

 private:
  Value divided(Value a, Value b) { return g.ir().binary(Opcode::divide, a, b); }

  struct Position {
    Value n, h, w;
  };
  Position position(Value number) {
    const Value row = divided(number, width_), n = divided(row, height_);
    return {n, g.subtract(row, g.multiply(n, height_)),
            g.subtract(number, g.multiply(row, width_))};
  }

  /// Source channel, row and column of the kernel.
  using Term = SplitTerms::Numbers;
  void gather(const Position& p, const Term& t, ProductTiles::Fetched& f) {
    const Place h = c.place(0, p.h, t.middle), w = c.place(1, p.w, t.inner);
    const Value found = h.found == no_value   ? w.found
                        : w.found == no_value ? h.found
                                              : g.ir().binary(Opcode::bit_and, h.found, w.found);
    const auto load = [&](std::span<const Value>) {
      const std::vector<Value> at{p.n, g.add(first_source_, t.outer), h.at, w.at};
      return std::vector<Value>{g.load(c.source, at)};
    };
    const Value nothing[] = {g.zero(c.result_view.dtype)};
    f.columns.push_back(found == no_value ? load({})[0] : g.when(found, nothing, load)[0]);
    if (found != no_value) f.found.push_back(found);
  }

  void store(std::span<const Value> sums) {
    KernelBuilder& ir = g.ir();
    tiles_.for_each_column(
        sums, [&](Value column, std::span<const Value> rows, std::span<const Value> of_column) {
          const Value number = g.add(first_position_, column);
          ir.begin_if(ir.compare(Opcode::less, number, position_count_));
          const Position p = position(number);
          for (std::size_t r = 0; r < rows.size(); ++r) {
            const Value row = g.add(first_row_, rows[r]);
            ir.begin_if(ir.compare(Opcode::less, row, channels_));
            g.store(c.result, std::vector<Value>{p.n, g.add(first_channel_, row), p.h, p.w},
                    of_column[r]);
            ir.begin_else();
            ir.end_if();
          }
          ir.begin_else();
          ir.end_if();
        });
  }

  Sliding& c;
  GeneratedBuilder& g;
  std::int64_t positions_;
  ProductTiles tiles_;
  std::optional<SplitTerms> split_;
  Value terms_, channels_, position_count_, height_, width_, first_position_, first_row_,
      first_channel_, first_source_;
};

}  // namespace

SplitTerms::SplitTerms(GeneratedBuilder& builder, const ProductTiles& tiles, Value first, Value end,
                       Value middle_extent, Value inner_extent)
    : g(builder),
      tiles_(tiles),
      memory_(g.ir().shared(DType::int32, 2 * tiles.depth * 4, "term")),
      first_(first),
      end_(end),
      middle_extent_(middle_extent),
      inner_extent_(inner_extent) {}

Value SplitTerms::place_of(Value start, Value k) {
  const Value step =
      g.divided(first_ == no_value ? start : g.subtract(start, first_), tiles_.depth);
  const Value turn = g.ir().binary(Opcode::bit_and, step, g.ir().constant_i64(1));
  return g.times(g.add(g.times(turn, tiles_.depth), k), 4);
}

void SplitTerms::split(Value start) {
  KernelBuilder& ir = g.ir();
  ir.begin_if(ir.compare(Opcode::less, tiles_.thread, ir.constant_i64(tiles_.depth)));
  const Value k = g.minimum(g.add(start, tiles_.thread), g.plus(end_, -1));
  const Value row = ir.binary(Opcode::divide, k, inner_extent_),
              outer = ir.binary(Opcode::divide, row, middle_extent_);
  const Value parts[] = {outer, g.subtract(row, g.multiply(outer, middle_extent_)),
                         g.subtract(k, g.multiply(row, inner_extent_))};
  const Value at = place_of(start, tiles_.thread);
  for (std::int64_t p = 0; p < 3; ++p)
    ir.store(memory_, g.plus(at, p), ir.convert(parts[p], DType::int32));
  ir.begin_else();
  ir.end_if();
}

SplitTerms::Numbers SplitTerms::of(Value start, Value k) {
  const Value at = place_of(start, k);
  const auto part = [&](std::int64_t p) {
    return g.ir().convert(g.ir().load(memory_, g.plus(at, p)), DType::int64);
  };
  return {part(0), part(1), part(2)};
}

GeneratedKernel convolution_by_blocks(Sliding& c, std::optional<ProductTile> tile) {
  if (!tile)
    tile = tile_of_product(c.result_view.dtype, c.result_channels, ByBlocks::position_count(c),
                           c.window.groups);
  return ByBlocks(c, *tile).run();
}

}  // namespace noyau::jit
