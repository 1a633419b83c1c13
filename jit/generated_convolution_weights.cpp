// The generated gradient of a convolution by its weights: each dy serves a tile of cells.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "jit/generated_convolution.hpp"

namespace noyau::jit {
namespace {

/// dweights[o, c, kh, kw] = the sum over (n, oh, ow) of x times dy, in that order. Lanes run along
/// o, so that dy is a vector and x a number; one item computes several cells, and several channels
/// where the cells are few.
class WeightGradient {
 public:
  WeightGradient(const TensorView& x, const TensorView& dy, const TensorView& out,
                 const WindowAttributes& window)
      : g("convolution_weight_gradient"), window_(window), dtype_(out.dtype) {
    x_ = g.input(x, "x");
    dy_ = g.input(dy, "dy");
    to_ = g.output(out, "dweights");
    batches_ = g.number(x.shape[0], "batches");
    for (int d = 0; d < 2; ++d) declare(d, x.shape[2 + d], dy.shape[2 + d], out.shape[2 + d]);
    const Value channels = g.number(out.shape[1], "channels");
    const std::int64_t outputs = out.shape[0] / window.groups;
    const Value outputs_value = g.number(outputs, "outputs");
    std::int64_t extents[] = {out.shape[0], out.shape[1], out.shape[2], out.shape[3]};
    const bool all = out.shape[2] * out.shape[3] <= most_cells,
               columns = out.shape[3] <= most_cells;
    if (all) extents[2] = 1;
    if (all || columns) extents[3] = 1;
    const std::int64_t tile =
        all ? std::max<std::int64_t>(tile_of(out.shape[1]) / (out.shape[2] * out.shape[3]), 1) : 1;
    extents[1] = (out.shape[1] + tile - 1) / tile;
    const std::int64_t order[] = {1, 2, 3, 4};
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
    std::vector<Value> sums(cells_.size(), g.zero(dtype_));
    sums = g.loop(constant(0), batches_, sums, [&](Value n, Sums of_image) {
      return g.loop(constant(0), windows_[0], of_image,
                    [&](Value oh, Sums before) { return row(n, oh, before); });
    });
    for (std::size_t k = 0; k < sums.size(); ++k)
      g.store(to_, std::vector<Value>{index_[0], cells_[k].channel, cells_[k].h, cells_[k].w},
              sums[k]);
    return g.take();
  }

 private:
  using Sums = std::span<const Value>;
  static constexpr std::int64_t most_cells = 12;
  struct Cell {
    Value channel, x_channel, h, w;
  };
  Value constant(std::int64_t v) { return g.ir().constant_i64(v); }

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
  StridedBuffer x_, dy_, to_;
  Value batches_, extent_[2], windows_[2], inner_[2], outer_[2];
  std::vector<Value> index_;
  std::vector<Cell> cells_;
};

}  // namespace

GeneratedKernel convolution_weight_gradient(const TensorView& x, const TensorView& dy,
                                            const TensorView& dweights,
                                            const WindowAttributes& window) {
  return WeightGradient(x, dy, dweights, window).run();
}

}  // namespace noyau::jit
