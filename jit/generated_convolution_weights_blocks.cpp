// The generated gradient of a convolution by its weights for blocks of many threads: a matrix
// product of dy and of what the windows see, with windows as its terms, in chunks.
// SPDX-License-Identifier: Apache-2.0
#include "jit/generated_convolution.hpp"
#include "jit/legalise.hpp"

namespace noyau::jit {
namespace {

/// Rows are a group's output channels, columns its weights' cells (c, kh, kw), terms windows
/// (n, oh, ow) in row-major order. A window that meets no source adds nothing.
class WeightsByBlocks {
 public:
  WeightsByBlocks(const TensorView& x, const TensorView& dy, const TensorView& out,
                  const WindowAttributes& window, ProductTile tile)
      : g("convolution_weight_gradient", ProductTiles::threads),
        window_(window),
        out_(out),
        chunks_(chunk_count(dy.shape, out.shape)),
        tiles_(g, out.dtype, tile, outputs(out, window), cells(out), window.groups * chunks_,
               !is_whole(x, dy, out, 0) || !is_whole(x, dy, out, 1)) {
    x_ = g.input(x, "x");
    dy_ = g.input(dy, "dy");
    to_ = g.output(chunks_ > 1 ? chunks_of(out, chunks_) : out, "dweights");
    for (int d = 0; d < 2; ++d) {
      g.consider(window.low[d] + window.high[d]);
      extent_[d] = g.number(x.shape[2 + d], "extent");
      windows_[d] = g.number(dy.shape[2 + d], "windows");
      kernel_[d] = g.number(out.shape[2 + d], "kernel");
      whole_[d] = is_whole(x, dy, out, d);
    }
    outputs_ = g.number(outputs(out, window), "outputs");
    cells_ = g.number(cells(out), "cells");
    const Value across = g.number(tiles_.across, "across"), down = g.number(tiles_.down, "down");
    const Value terms = g.number(dy.shape[0] * dy.shape[2] * dy.shape[3], "terms"),
                chunk = g.number(chunk_of_windows(dy.shape, out.shape) * dy.shape[3], "chunk");
    const Value block = g.ir().block(0);
    g.ir().program().instructions[static_cast<std::size_t>(block)].flags = lone_axis;
    // Blocks of one chunk follow each other: they read the same images.
    Value rest = block;
    const auto part = [&](Value count) {
      const Value outer = divided(rest, count), inner = g.subtract(rest, g.multiply(outer, count));
      rest = outer;
      return inner;
    };
    first_cell_ = g.times(part(across), tiles_.columns());
    first_row_ = g.times(part(down), tiles_.rows());
    const Value group =
        window.groups == 1 ? g.ir().constant_i64(0) : part(g.number(window.groups, "groups"));
    first_output_ = g.multiply(group, outputs_);
    first_channel_ = g.multiply(group, g.number(out.shape[1], "channels"));
    chunk_ = rest;
    first_ = g.multiply(chunk_, chunk);
    end_ = g.minimum(g.add(first_, chunk), terms);
    split_.emplace(g, tiles_, first_, end_, windows_[0], windows_[1]);
  }

  static std::int64_t chunk_count(const Shape& dy, const Shape& dweights) {
    const std::int64_t chunk = chunk_of_windows(dy, dweights);
    return (dy[0] * dy[2] + chunk - 1) / chunk;
  }
  static std::int64_t outputs(const TensorView& out, const WindowAttributes& window) {
    return out.shape[0] / window.groups;
  }
  static std::int64_t cells(const TensorView& out) {
    return out.shape[1] * out.shape[2] * out.shape[3];
  }

  GeneratedKernel run() {
    const Value last_row = g.plus(outputs_, -1), last_cell = g.plus(cells_, -1);
    const auto rows = tiles_.row_parts(dy_.unit[1] && !dy_.unit[3]),
               columns = tiles_.column_parts(x_.unit[1] && !x_.unit[3]);
    std::vector<Value> row_offset;
    for (const ProductTiles::Part& part : rows) {
      const Value row = g.minimum(g.add(first_row_, part.at), last_row);
      row_offset.push_back(g.term(dy_, 1, g.add(first_output_, row)));
    }
    std::vector<Seen> seen;
    for (const ProductTiles::Part& part : columns)
      seen.push_back(seen_by(cell(g.minimum(g.add(first_cell_, part.at), last_cell))));
    const auto fetch = [&](Value start) {
      ProductTiles::Fetched f;
      for (std::size_t e = 0; e < rows.size(); ++e) {
        const Window w = split_->of(start, rows[e].term);
        Value at = g.add(g.term(dy_, 0, w.outer), row_offset[e]);
        at = g.add(g.add(at, g.term(dy_, 2, w.middle)), g.term(dy_, 3, w.inner));
        f.rows.push_back(g.ir().load(dy_.memory, at == no_value ? g.ir().constant_i64(0) : at));
      }
      for (std::size_t e = 0; e < columns.size(); ++e)
        gather(split_->of(start, columns[e].term), seen[e], f);
      return f;
    };
    store(tiles_.sums(first_, end_, rows, columns, fetch,
                      [&](Value start) { split_->split(start); }));
    GeneratedKernel made = g.take();
    if (chunks_ > 1) add_chunks(made, out_, chunks_, ProductTiles::threads);
    return made;
  }

 private:
  Value divided(Value a, Value b) { return g.ir().binary(Opcode::divide, a, b); }

  bool is_whole(const TensorView& x, const TensorView& dy, const TensorView& out, int d) const {
    return window_.low[d] == 0 && (dy.shape[2 + d] - 1) * window_.stride[d] +
                                          (out.shape[2 + d] - 1) * window_.dilation[d] <
                                      x.shape[2 + d];
  }

  struct Cell {
    Value c, kh, kw;
  };
  Cell cell(Value number) {
    const Value row = divided(number, kernel_[1]), c = divided(row, kernel_[0]);
    return {c, g.subtract(row, g.multiply(c, kernel_[0])),
            g.subtract(number, g.multiply(row, kernel_[1]))};
  }
  /// Where a cell sees x, from where its window begins.
  struct Seen {
    Value channel, h, w;
  };
  Seen seen_by(const Cell& c) {
    return {g.term(x_, 1, g.add(first_channel_, c.c)),
            g.plus(g.times(c.kh, window_.dilation[0]), -window_.low[0]),
            g.plus(g.times(c.kw, window_.dilation[1]), -window_.low[1])};
  }

  /// Image, row and column of dy.
  using Window = SplitTerms::Numbers;
  void gather(const Window& window, const Seen& seen, ProductTiles::Fetched& f) {
    const Value h = g.add(g.times(window.middle, window_.stride[0]), seen.h),
                w = g.add(g.times(window.inner, window_.stride[1]), seen.w);
    Value found = whole_[0] ? no_value : g.inside(h, extent_[0]);
    if (!whole_[1]) {
      const Value in_row = g.inside(w, extent_[1]);
      found = found == no_value ? in_row : g.ir().binary(Opcode::bit_and, found, in_row);
    }
    const auto load = [&](std::span<const Value>) {
      Value at = g.add(g.term(x_, 0, window.outer), seen.channel);
      at = g.add(g.add(at, g.term(x_, 2, h)), g.term(x_, 3, w));
      return std::vector<Value>{
          g.ir().load(x_.memory, at == no_value ? g.ir().constant_i64(0) : at)};
    };
    const Value nothing[] = {g.zero(out_.dtype)};
    f.columns.push_back(found == no_value ? load({})[0] : g.when(found, nothing, load)[0]);
    if (found != no_value) f.found.push_back(found);
  }

  void store(std::span<const Value> sums) {
    KernelBuilder& ir = g.ir();
    tiles_.for_each_column(
        sums, [&](Value column, std::span<const Value> rows, std::span<const Value> of_column) {
          const Value number = g.add(first_cell_, column);
          ir.begin_if(ir.compare(Opcode::less, number, cells_));
          const Cell at = cell(number);
          for (std::size_t r = 0; r < rows.size(); ++r) {
            const Value row = g.add(first_row_, rows[r]);
            ir.begin_if(ir.compare(Opcode::less, row, outputs_));
            std::vector<Value> index{g.add(first_output_, row), at.c, at.kh, at.kw};
            if (chunks_ > 1) index.insert(index.begin(), chunk_);
            g.store(to_, index, of_column[r]);
            ir.begin_else();
            ir.end_if();
          }
          ir.begin_else();
          ir.end_if();
        });
  }

  GeneratedBuilder g;
  const WindowAttributes& window_;
  const TensorView& out_;
  const std::int64_t chunks_;
  ProductTiles tiles_;
  StridedBuffer x_, dy_, to_;
  std::optional<SplitTerms> split_;
  bool whole_[2];
  Value extent_[2], windows_[2], kernel_[2], outputs_, cells_, first_cell_, first_row_,
      first_output_, first_channel_, chunk_, first_, end_;
};

}  // namespace

GeneratedKernel weight_gradient_by_blocks(const TensorView& x, const TensorView& dy,
                                          const TensorView& dweights,
                                          const WindowAttributes& window,
                                          std::optional<ProductTile> tile) {
  if (!tile)
    tile = tile_of_product(dweights.dtype, WeightsByBlocks::outputs(dweights, window),
                           WeightsByBlocks::cells(dweights),
                           window.groups * WeightsByBlocks::chunk_count(dy.shape, dweights.shape));
  return WeightsByBlocks(x, dy, dweights, window, *tile).run();
}

}  // namespace noyau::jit
