// Generated gradients of pooling: each position gathers from the windows that cover it.
// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <limits>

#include "jit/generated_pool.hpp"

namespace noyau::jit {
namespace {

/// A window that may cover a position: its index clamped to those there are.
struct Candidate {
  Value o, inside;
};

/// Goes through positions and, for each, the windows that cover it in row-major order.
///
/// Straight code: one item is a block of stride x stride positions, which the same few windows
/// cover: position r of block i lies in window i - d exactly when d * stride + r < window. At the
/// borders, blocks reach out of the plane; positions there are clamped into it.
class GradientKernel {
 public:
  /// What a window gives to the positions that it covers, loaded once; and the sum of a position
  /// after it.
  using Load = std::function<std::vector<Value>(Candidate h, Candidate w)>;
  using Add = std::function<Value(Value sum, std::span<const Value> loaded, Candidate h,
                                  Candidate w, Value position_h, Value position_w)>;

  GradientKernel(const char* name, const TensorView& dy, const TensorView& dx,
                 const WindowAttributes& window, int block_threads)
      : g(name, block_threads), unrolled_(is_unrolled(window)), from(g.input(dy, "dy")), dx_(dx) {
    for (int d = 0; d < 2; ++d)
      direction[d] = pool_direction(g, window, d, dx.shape[2 + d], dy.shape[2 + d], unrolled_);
  }

  GeneratedKernel run(const Load& load, const Add& add) {
    to_ = g.output(dx_, "dx");
    if (unrolled_) blocks(load, add);
    else positions(load, add);
    return g.take();
  }

  GeneratedBuilder g;

 private:
  bool unrolled_;

 public:
  StridedBuffer from;
  PoolDirection direction[2];
  std::vector<Value> index;

 private:
  Candidate candidate(int d, Value o) {
    const PoolDirection& p = direction[d];
    return {g.clamped(o, p.last_window), g.inside(o, p.windows_value)};
  }

  void blocks(const Load& load, const Add& add) {
    std::vector<std::int64_t> extents(dx_.shape.begin(), dx_.shape.end()),
        strides(dx_.strides.begin(), dx_.strides.end());
    for (std::size_t d = 0; d < 2; ++d) {
      const PoolDirection& p = direction[d];
      extents[2 + d] = (p.extent - 1 + p.low) / p.stride - p.low / p.stride + 1;
      strides[2 + d] *= p.stride;
    }
    index = g.spread(extents, strides);
    std::vector<Candidate> windows[2];  // by distance from the block's own
    std::vector<Value> positions[2];
    for (int d = 0; d < 2; ++d) {
      const PoolDirection& p = direction[d];
      const Value block = g.plus(index[static_cast<std::size_t>(2 + d)], p.low / p.stride);
      for (std::int64_t k = 0; k < covering_windows(p); ++k)
        windows[d].push_back(candidate(d, g.plus(block, -k)));
      for (std::int64_t r = 0; r < p.stride; ++r)
        positions[d].push_back(g.plus(window_begin(g, p, block), r));
    }
    std::vector<std::vector<Value>> loaded;
    for (const Candidate& h : windows[0])
      for (const Candidate& w : windows[1]) loaded.push_back(load(h, w));
    store_block(add, windows, loaded, positions);
  }

  /// The sum of position (r, c) of the block.
  Value block_sum(const Add& add, const std::vector<Candidate> (&windows)[2],
                  const std::vector<std::vector<Value>>& loaded, Value h, Value w, std::size_t r,
                  std::size_t c) {
    const auto covers = [&](int d, std::size_t distance, std::size_t position) {
      return static_cast<std::int64_t>(distance) * direction[d].stride +
                 static_cast<std::int64_t>(position) <
             direction[d].window;
    };
    Value sum = g.zero(dx_.dtype);
    for (std::size_t i = windows[0].size(); i-- > 0;)
      for (std::size_t j = windows[1].size(); j-- > 0;)
        if (covers(0, i, r) && covers(1, j, c))
          sum = add(sum, loaded[i * windows[1].size() + j], windows[0][i], windows[1][j], h, w);
    return sum;
  }

  /// Positions past the plane's end share the place of the last one inside. Stored from the last
  /// position to the first, that one stays. Where blocks also begin before the plane, the first
  /// to the last leaves the right value there, and at the end the same value is stored again.
  void store_block(const Add& add, const std::vector<Candidate> (&windows)[2],
                   const std::vector<std::vector<Value>>& loaded,
                   const std::vector<Value> (&positions)[2]) {
    const std::size_t rows = positions[0].size(), columns = positions[1].size();
    const bool early =
        direction[0].low % direction[0].stride != 0 || direction[1].low % direction[1].stride != 0;
    std::vector<Value> sums(rows * columns);
    for (std::size_t k = 0; k < sums.size(); ++k) {
      const std::size_t p = early ? k : sums.size() - 1 - k, r = p / columns, c = p % columns;
      const Value h = g.clamped(positions[0][r], direction[0].last),
                  w = g.clamped(positions[1][c], direction[1].last);
      sums[p] = block_sum(add, windows, loaded, h, w, r, c);
      if (early && c > 0) sums[p] = g.ir().select(past(1, positions[1][c]), sums[p - 1], sums[p]);
      if (early && r > 0)
        sums[p] = g.ir().select(past(0, positions[0][r]), sums[p - columns], sums[p]);
      g.store(to_, std::vector<Value>{index[0], index[1], h, w}, sums[p]);
    }
  }
  Value past(int d, Value position) {
    return g.ir().compare(Opcode::greater, position, direction[d].last);
  }

  /// Large windows: one item is one position, with loops over the windows from the first that
  /// covers it to the last.
  void positions(const Load& load, const Add& add) {
    std::vector<Value> candidates;
    for (int d = 0; d < 2; ++d)
      candidates.push_back(g.number(covering_windows(direction[d]), "candidates"));
    index = g.spread(dx_.shape, dx_.strides);
    const Value zero = g.ir().constant_i64(0);
    const auto last = [&](int d) {
      const Value padded = g.add(index[static_cast<std::size_t>(2 + d)], direction[d].low_value);
      return g.ir().binary(Opcode::divide, padded, direction[d].stride_value);
    };
    const auto window = [&](int d, Value last_window, Value k) {
      const auto a = static_cast<std::size_t>(d);
      const Value o = g.add(g.plus(g.subtract(last_window, candidates[a]), 1), k);
      Candidate found = candidate(d, o);
      const Value reach = g.subtract(index[2 + a], window_begin(g, direction[d], o));
      found.inside = g.ir().binary(Opcode::bit_and, found.inside,
                                   g.ir().compare(Opcode::less, reach, direction[d].window_value));
      return found;
    };
    const Value last_h = last(0), last_w = last(1);
    const Value start[] = {g.zero(dx_.dtype)};
    const std::vector<Value> sum =
        g.loop(zero, candidates[0], start, [&](Value i, std::span<const Value> row) {
          const Candidate h = window(0, last_h, i);
          return g.loop(zero, candidates[1], row, [&](Value j, std::span<const Value> before) {
            const Candidate w = window(1, last_w, j);
            return std::vector<Value>{add(before[0], load(h, w), h, w, index[2], index[3])};
          });
        });
    g.store(to_, index, sum[0]);
  }

  TensorView dx_;
  StridedBuffer to_;
};

}  // namespace

GeneratedKernel max_pool_gradient_kernel(const TensorView& dy, const TensorView& indices,
                                         const TensorView& dx, const WindowAttributes& window,
                                         int block_threads) {
  GradientKernel k("max_pool_gradient", dy, dx, window, block_threads);
  GeneratedBuilder& g = k.g;
  const StridedBuffer from_index = g.input(indices, "indices");
  const bool narrow = dx.shape[2] * dx.shape[3] <= std::numeric_limits<std::int32_t>::max();
  const DType position_type = narrow ? DType::int32 : DType::int64;
  const Value zero = g.zero(dx.dtype), nowhere = g.ir().constant_i64(-1);
  return k.run(
      [&](Candidate h, Candidate w) {
        const std::vector<Value> at{k.index[0], k.index[1], h.o, w.o};
        return std::vector<Value>{g.load(k.from, at),
                                  g.ir().convert(g.load(from_index, at), position_type)};
      },
      [&](Value sum, std::span<const Value> loaded, Candidate h, Candidate w, Value position_h,
          Value position_w) {
        Value position = g.add(g.multiply(position_h, k.direction[1].extent_value), position_w);
        position =
            g.ir().select(g.ir().binary(Opcode::bit_and, h.inside, w.inside), position, nowhere);
        const Value here =
            g.ir().compare(Opcode::equal, loaded[1], g.ir().convert(position, position_type));
        return g.ir().binary(Opcode::add, sum, g.ir().select(here, loaded[0], zero));
      });
}

GeneratedKernel avg_pool_gradient_kernel(const TensorView& dy, const TensorView& dx,
                                         const WindowAttributes& window, int block_threads) {
  GradientKernel k("avg_pool_gradient", dy, dx, window, block_threads);
  GeneratedBuilder& g = k.g;
  const Value zero = g.zero(dx.dtype);
  return k.run(
      [&](Candidate h, Candidate w) {
        const std::vector<Value> at{k.index[0], k.index[1], h.o, w.o};
        const Value cells =
            g.multiply(window_cells(g, k.direction[0], h.o), window_cells(g, k.direction[1], w.o));
        const Value share =
            g.ir().binary(Opcode::divide, g.load(k.from, at), g.ir().convert(cells, dx.dtype));
        const Value inside = g.ir().binary(Opcode::bit_and, h.inside, w.inside);
        return std::vector<Value>{g.ir().select(inside, share, zero)};
      },
      [&](Value sum, std::span<const Value> loaded, Candidate, Candidate, Value, Value) {
        return g.ir().binary(Opcode::add, sum, loaded[0]);
      });
}

}  // namespace noyau::jit
