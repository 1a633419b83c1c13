// Generated pooling: maximum with its index, elements at indices, average.
// SPDX-License-Identifier: Apache-2.0
#include "jit/generated_pool.hpp"

#include <fmt/format.h>

#include <limits>

namespace noyau::jit {

bool is_unrolled(const WindowAttributes& w) {
  return w.window[0] <= most_unrolled_cells && w.window[1] <= most_unrolled_cells &&
         w.window[0] * w.window[1] <= most_unrolled_cells && w.stride[0] <= most_unrolled_cells &&
         w.stride[1] <= most_unrolled_cells && w.stride[0] * w.stride[1] <= most_unrolled_cells;
}

PoolDirection pool_direction(GeneratedBuilder& g, const WindowAttributes& w, int d,
                             std::int64_t extent, std::int64_t windows, bool unrolled) {
  require(w.dilation[d] == 1, "a pool of dilated windows");
  PoolDirection p{};
  p.window = w.window[d];
  p.stride = w.stride[d];
  p.low = w.low[d];
  p.high = w.high[d];
  p.extent = extent;
  p.windows = windows;
  g.consider(p.low + p.high);
  const auto number = [&](std::int64_t value, const char* name) {
    return g.number(value, fmt::format("{}{}", name, d));
  };
  const auto shape = [&](std::int64_t value, const char* name) {
    return unrolled ? g.ir().constant_i64(value) : number(value, name);
  };
  p.extent_value = number(extent, "extent");
  p.last = number(extent - 1, "last");
  p.windows_value = number(windows, "windows");
  p.last_window = number(windows - 1, "last_window");
  p.padded_end = number(extent + p.high, "padded_end");
  p.window_value = shape(p.window, "window");
  p.stride_value = shape(p.stride, "stride");
  p.low_value = shape(p.low, "low");
  p.whole = p.low == 0 && (windows - 1) * p.stride + p.window <= extent;
  return p;
}

std::int64_t covering_windows(const PoolDirection& d) {
  return (d.window + d.stride - 1) / d.stride;
}
Value window_begin(GeneratedBuilder& g, const PoolDirection& d, Value o) {
  return g.subtract(g.multiply(o, d.stride_value), d.low_value);
}
Value window_cells(GeneratedBuilder& g, const PoolDirection& d, Value o) {
  if (d.whole) return d.window_value;
  const Value begin = window_begin(g, d, o);
  return g.subtract(g.minimum(g.add(begin, d.window_value), d.padded_end), begin);
}

namespace {

/// One cell of a window: where it is, clamped into the input, and whether it is there.
struct Cell {
  Value h, w;
  Value inside;  ///< no_value: always
};

/// A kernel that goes through the cells of one window for each item.
class WindowKernel {
 public:
  WindowKernel(const char* name, const TensorView& x, const TensorView& out,
               const WindowAttributes& window, int block_threads)
      : g(name, block_threads), unrolled_(is_unrolled(window)), from(g.input(x, "x")) {
    for (int d = 0; d < 2; ++d)
      direction[d] = pool_direction(g, window, d, x.shape[2 + d], out.shape[2 + d], unrolled_);
  }

  void spread(const TensorView& out) { index = g.spread(out.shape, out.strides); }

  /// The coordinate of cell k of the window in direction d. Clamped ones repeat a cell of the same
  /// window.
  Value coordinate(int d, Value k) {
    const PoolDirection& p = direction[d];
    const Value c = g.add(window_begin(g, p, index[static_cast<std::size_t>(2 + d)]), k);
    return p.whole && g.lane_axis() == 2 + d ? c : g.clamped(c, p.last);
  }
  Value coordinate_inside(int d, Value k) {
    const PoolDirection& p = direction[d];
    if (p.whole) return no_value;
    return g.inside(g.add(window_begin(g, p, index[static_cast<std::size_t>(2 + d)]), k),
                    p.extent_value);
  }
  Value load(Value h, Value w) {
    return g.load(from, std::vector<Value>{index[0], index[1], h, w});
  }

  /// carried = body(kh, kw, carried) for each cell in row-major order.
  using Body = std::function<std::vector<Value>(Value, Value, std::span<const Value>)>;
  std::vector<Value> for_each_cell(std::vector<Value> carried, const Body& body) {
    if (unrolled_) {
      for (std::int64_t h = 0; h < direction[0].window; ++h)
        for (std::int64_t w = 0; w < direction[1].window; ++w)
          carried = body(g.ir().constant_i64(h), g.ir().constant_i64(w), carried);
      return carried;
    }
    const Value zero = g.ir().constant_i64(0);
    return g.loop(
        zero, direction[0].window_value, carried, [&](Value h, std::span<const Value> row) {
          return g.loop(zero, direction[1].window_value, row,
                        [&](Value w, std::span<const Value> cell) { return body(h, w, cell); });
        });
  }

  GeneratedBuilder g;

 private:
  bool unrolled_;

 public:
  StridedBuffer from;
  PoolDirection direction[2];
  std::vector<Value> index;
};

}  // namespace

GeneratedKernel max_pool_kernel(const TensorView& x, const TensorView& values,
                                const TensorView& indices, const WindowAttributes& window,
                                int block_threads) {
  WindowKernel k("max_pool", x, values, window, block_threads);
  GeneratedBuilder& g = k.g;
  const StridedBuffer to = g.output(values, "values"), to_index = g.output(indices, "indices");
  k.spread(values);
  // Narrow positions are half the work; int64 is what they become in memory.
  const bool narrow = x.shape[2] * x.shape[3] <= std::numeric_limits<std::int32_t>::max();
  const DType position_type = narrow ? DType::int32 : DType::int64;
  const auto cell = [&](Value kh, Value kw) {
    const Value h = k.coordinate(0, kh), w = k.coordinate(1, kw);
    const Value position = g.add(g.multiply(h, k.direction[1].extent_value), w);
    return std::vector<Value>{k.load(h, w), g.ir().convert(position, position_type)};
  };
  const Value zero = g.ir().constant_i64(0);
  const std::vector<Value> best =
      k.for_each_cell(cell(zero, zero), [&](Value kh, Value kw, std::span<const Value> before) {
        const std::vector<Value> here = cell(kh, kw);
        // Not less or equal: greater, or a NaN; nothing is better than a NaN.
        const Value greater =
            g.ir().unary(Opcode::bit_not, g.ir().compare(Opcode::less_equal, here[0], before[0]));
        const Value better = g.ir().binary(Opcode::bit_and, greater,
                                           g.ir().compare(Opcode::equal, before[0], before[0]));
        return std::vector<Value>{g.ir().select(better, here[0], before[0]),
                                  g.ir().select(better, here[1], before[1])};
      });
  g.store(to, k.index, best[0]);
  g.store(to_index, k.index, g.ir().convert(best[1], DType::int64));
  return g.take();
}

GeneratedKernel max_pool_gather_kernel(const TensorView& x, const TensorView& indices,
                                       const TensorView& out, int block_threads) {
  GeneratedBuilder g("max_pool_gather", block_threads);
  const StridedBuffer from = g.input(x, "x"), from_index = g.input(indices, "indices"),
                      to = g.output(out, "out");
  const Value width = g.number(x.shape[3], "width");
  const std::vector<Value> index = g.spread(out.shape, out.strides);
  Value position = g.load(from_index, index);
  // An index of a small plane has 32 bits, where those are what indices are computed in.
  if (block_threads > 0 && x.shape[2] * x.shape[3] <= std::numeric_limits<std::int32_t>::max())
    position = g.ir().convert(g.ir().convert(position, DType::int32), DType::int64);
  std::vector<Value> at{index[0], index[1], g.ir().constant_i64(0), position};
  // Rows that follow each other are one: no division.
  const bool flat =
      x.shape[2] == 1 || (x.shape[3] > 1 && x.strides[2] == x.shape[3] * x.strides[3]);
  if (!flat) {
    at[2] = g.ir().binary(Opcode::divide, position, width);
    at[3] = g.subtract(position, g.multiply(at[2], width));
  }
  g.store(to, index, g.load(from, at));
  return g.take();
}

GeneratedKernel avg_pool_kernel(const TensorView& x, const TensorView& out,
                                const WindowAttributes& window, int block_threads) {
  WindowKernel k("avg_pool", x, out, window, block_threads);
  GeneratedBuilder& g = k.g;
  const StridedBuffer to = g.output(out, "out");
  k.spread(out);
  const Value zero = g.zero(out.dtype);
  const std::vector<Value> sum =
      k.for_each_cell({zero}, [&](Value kh, Value kw, std::span<const Value> before) {
        Value v = k.load(k.coordinate(0, kh), k.coordinate(1, kw));
        for (const Value inside : {k.coordinate_inside(0, kh), k.coordinate_inside(1, kw)})
          if (inside != no_value) v = g.ir().select(inside, v, zero);
        return std::vector<Value>{g.ir().binary(Opcode::add, before[0], v)};
      });
  const Value cells = g.multiply(window_cells(g, k.direction[0], k.index[2]),
                                 window_cells(g, k.direction[1], k.index[3]));
  g.store(to, k.index, g.ir().binary(Opcode::divide, sum[0], g.ir().convert(cells, out.dtype)));
  return g.take();
}

}  // namespace noyau::jit
