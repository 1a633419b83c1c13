// The generated gradient of a convolution by its weights: each dy serves a tile of cells.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "jit/generated_convolution.hpp"

namespace noyau::jit {
namespace {

/// dweights[o, c, kh, kw] = the sum over (n, oh, ow) of x times dy, in that order, in chunks. Lanes
/// run along o, so that dy is a vector and x a number; one item computes several cells, and several
/// channels where the cells are few.
class WeightGradient {
 public:
  WeightGradient(const TensorView& x, const TensorView& dy, const TensorView& out,
                 const WindowAttributes& window, int block_threads)
      : g("convolution_weight_gradient", block_threads),
        window_(window),
        dtype_(out.dtype),
        out_(out),
        block_threads_(block_threads),
        rows_of_chunk_(chunk_of_windows(dy.shape, out.shape)),
        chunks_((dy.shape[0] * dy.shape[2] + rows_of_chunk_ - 1) / rows_of_chunk_) {
    x_ = g.input(x, "x");
    dy_ = g.input(dy, "dy");
    to_ = g.output(in_parts() ? chunks_of(out, chunks_) : out, "dweights");
    rows_ = g.number(dy.shape[0] * dy.shape[2], "rows");
    chunk_ = g.number(rows_of_chunk_, "chunk");
    for (int d = 0; d < 2; ++d) declare(d, x.shape[2 + d], dy.shape[2 + d], out.shape[2 + d]);
    const Value channels = g.number(out.shape[1], "channels");
    const std::int64_t outputs = out.shape[0] / window.groups;
    const Value outputs_value = g.number(outputs, "outputs");
    std::int64_t extents[] = {out.shape[0], out.shape[1], out.shape[2], out.shape[3],
                              in_parts() ? chunks_ : 1};
    const bool all = out.shape[2] * out.shape[3] <= most_cells,
               columns = out.shape[3] <= most_cells;
    if (all) extents[2] = 1;
    if (all || columns) extents[3] = 1;
    const std::int64_t tile =
        all ? std::max<std::int64_t>(tile_of(out.shape[1]) / (out.shape[2] * out.shape[3]), 1) : 1;
    extents[1] = (out.shape[1] + tile - 1) / tile;
    const std::int64_t order[] = {1, 2, 3, 4, 5};
    index_ = g.spread(extents, order);
    Value first = no_value;  // the group's first channel
    if (window.groups > 1) {
      first = outputs == 1 ? index_[0] : g.ir().binary(Opcode::divide, index_[0], outputs_value);
      first = g.multiply(first, channels);
    }
    const Value last = g.plus(channels, -1);
    for (std::int64_t t = 0; t < tile; ++t) {
      const Value number = g.plus(g.times(index_[1], tile), t);
      const Value c = tile == 1 ? number : g.minimum(number, last);
      for (std::int64_t kh = 0; kh < (all ? out.shape[2] : 1); ++kh)
        for (std::int64_t kw = 0; kw < (all || columns ? out.shape[3] : 1); ++kw)
          cells_.push_back({c, g.add(first, c), all ? constant(kh) : index_[2],
                            all || columns ? constant(kw) : index_[3]});
    }
  }

  GeneratedKernel run() {
    const std::vector<Value> sums = in_parts()     ? chain(g.multiply(index_[4], chunk_))
                                    : chunks_ == 1 ? chain(constant(0))
                                                   : all_chunks();
    for (std::size_t k = 0; k < sums.size(); ++k) {
      std::vector<Value> at{index_[0], cells_[k].channel, cells_[k].h, cells_[k].w};
      if (in_parts()) at.insert(at.begin(), index_[4]);
      g.store(to_, at, sums[k]);
    }
    GeneratedKernel made = g.take();
    if (in_parts()) add_chunks(made, out_, chunks_, block_threads_);
    return made;
  }

 private:
  using Sums = std::span<const Value>;
  static constexpr std::int64_t most_cells = 12;
  struct Cell {
    Value channel, x_channel, h, w;
  };
  Value constant(std::int64_t v) { return g.ir().constant_i64(v); }
  /// Chunks side by side, each into memory of its own.
  bool in_parts() const { return block_threads_ > 0 && chunks_ > 1; }

  /// The sums over the chunk whose first row of windows (n, oh) is number `first`.
  std::vector<Value> chain(Value first) {
    const auto divided = [&](Value a) { return g.ir().binary(Opcode::divide, a, windows_[0]); };
    const Value end = g.minimum(g.add(first, chunk_), rows_);
    const std::vector<Value> zeros(cells_.size(), g.zero(dtype_));
    return g.loop(
        divided(first), g.plus(divided(g.plus(end, -1)), 1), zeros, [&](Value n, Sums of_image) {
          const Value before = g.multiply(n, windows_[0]);
          const Value from = g.maximum(g.subtract(first, before), constant(0)),
                      to = g.minimum(g.subtract(end, before), windows_[0]);
          return g.loop(from, to, of_image, [&](Value oh, Sums now) { return row(n, oh, now); });
        });
  }
  /// What is added to nothing stays the same: -0 + x is x.
  std::vector<Value> all_chunks() {
    const std::vector<Value> nothing(cells_.size(), g.ir().constant(Scalar::of(-0.0).as(dtype_)));
    const Value count = g.ir().binary(Opcode::divide, g.add(rows_, g.plus(chunk_, -1)), chunk_);
    return g.loop(constant(0), count, nothing, [&](Value number, Sums now) {
      std::vector<Value> sums = chain(g.multiply(number, chunk_));
      for (std::size_t k = 0; k < sums.size(); ++k)
        sums[k] = g.ir().binary(Opcode::add, now[k], sums[k]);
      return sums;
    });
  }

  /// Windows [inner, outer) along d lie inside x with all their cells.
  void declare(int d, std::int64_t extent, std::int64_t windows, std::int64_t kernel) {
    const std::int64_t stride = window_.stride[d], low = window_.low[d];
    const std::int64_t inner = std::min((low + stride - 1) / stride, windows);
    const std::int64_t room = extent - 1 + low - (kernel - 1) * window_.dilation[d];
    const std::int64_t outer = std::clamp(room < 0 ? 0 : room / stride + 1, inner, windows);
    extent_[d] = g.number(extent, "extent");
    windows_[d] = g.number(windows, "windows");
    inner_[d] = g.number(inner, "inner");
    outer_[d] = g.number(outer, "outer");
  }

  std::vector<Value> row(Value n, Value oh, Sums before) {
    const Value whole =
        g.ir().binary(Opcode::bit_and, g.ir().compare(Opcode::greater_equal, oh, inner_[0]),
                      g.ir().compare(Opcode::less, oh, outer_[0]));
    const Value inner = g.ir().select(whole, inner_[1], windows_[1]),
                outer = g.ir().select(whole, outer_[1], windows_[1]);
    const auto columns = [&](Value from, Value end, Sums sums, bool checked) {
      return g.loop(from, end, sums, [&](Value ow, Sums of_window) {
        return window(n, oh, ow, of_window, checked);
      });
    };
    std::vector<Value> sums = columns(constant(0), inner, before, true);
    sums = columns(inner, outer, sums, false);
    return columns(outer, windows_[1], sums, true);
  }

  Value position(int d, Value o, Value k) {
    return g.plus(g.add(g.times(o, window_.stride[d]), g.times(k, window_.dilation[d])),
                  -window_.low[d]);
  }

  std::vector<Value> window(Value n, Value oh, Value ow, Sums before, bool checked) {
    const Value dy = g.load(dy_, std::vector<Value>{n, index_[0], oh, ow});
    std::vector<Value> after;
    for (std::size_t k = 0; k < before.size(); ++k) {
      const Cell& cell = cells_[k];
      Value h = position(0, oh, cell.h), w = position(1, ow, cell.w), found = no_value;
      if (checked) {
        found = g.ir().binary(Opcode::bit_and, g.inside(h, extent_[0]), g.inside(w, extent_[1]));
        h = g.clamped(h, g.plus(extent_[0], -1));
        w = g.clamped(w, g.plus(extent_[1], -1));
      }
      const Value x = g.load(x_, std::vector<Value>{n, cell.x_channel, h, w});
      const Value sum = g.multiply_add(x, dy, before[k]);
      after.push_back(checked ? g.ir().select(found, sum, before[k]) : sum);
    }
    return after;
  }

  GeneratedBuilder g;
  const WindowAttributes& window_;
  DType dtype_;
  const TensorView& out_;
  const int block_threads_;
  const std::int64_t rows_of_chunk_, chunks_;
  StridedBuffer x_, dy_, to_;
  Value rows_, chunk_, extent_[2], windows_[2], inner_[2], outer_[2];
  std::vector<Value> index_;
  std::vector<Cell> cells_;
};

}  // namespace

std::int64_t chunk_of_windows(const Shape& dy, const Shape& dweights) {
  constexpr std::int64_t least_windows = 512, most_numbers = std::int64_t{1} << 25;
  const std::int64_t rows = dy[0] * dy[2], most_chunks = std::clamp<std::int64_t>(
                                               most_numbers / dweights.elements(), 1, 128);
  return std::max((least_windows + dy[3] - 1) / dy[3], (rows + most_chunks - 1) / most_chunks);
}

TensorView chunks_of(const TensorView& result, std::int64_t chunks) {
  TensorView made{result.dtype, {chunks}, {}};
  for (const std::int64_t extent : result.shape) made.shape.push_back(extent);
  made.strides = made.shape.dense_strides();
  return made;
}

void add_chunks(GeneratedKernel& kernel, const TensorView& result, std::int64_t chunks,
                int block_threads) {
  const TensorView parts = chunks_of(result, chunks);
  GeneratedBuilder g("convolution_weight_gradient_sum", block_threads);
  const StridedBuffer from = g.input(parts, "chunks"), to = g.output(result, "dweights");
  const Value count = g.number(chunks, "count");
  // Neighbours read neighbours, whatever the order in which they write.
  const Shape order = result.shape.dense_strides();
  const std::vector<Value> index =
      g.spread(std::vector<std::int64_t>(result.shape.begin(), result.shape.end()),
               std::vector<std::int64_t>(order.begin(), order.end()));
  const auto chunk = [&](Value k) {
    std::vector<Value> at{k};
    at.insert(at.end(), index.begin(), index.end());
    return g.load(from, at);
  };
  const Value start[] = {chunk(g.ir().constant_i64(0))};
  const std::vector<Value> sum = g.loop(
      g.ir().constant_i64(1), count, start,
      [&](Value k, std::span<const Value> before) {
        return std::vector<Value>{g.ir().binary(Opcode::add, before[0], chunk(k))};
      },
      partly_unrolled_loop);
  g.store(to, index, sum[0]);
  kernel.scratch_bytes = parts.shape.elements() * static_cast<std::int64_t>(size_of(parts.dtype));
  kernel.then.push_back(g.take());
}

GeneratedKernel convolution_weight_gradient(const TensorView& x, const TensorView& dy,
                                            const TensorView& dweights,
                                            const WindowAttributes& window, int block_threads) {
  return WeightGradient(x, dy, dweights, window, block_threads).run();
}

}  // namespace noyau::jit
