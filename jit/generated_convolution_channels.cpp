// Generated convolutions with lanes along result channels: each packed weight serves a tile of
// positions.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "jit/generated_convolution.hpp"

namespace noyau::jit {
namespace {

/// The positions of a tile lie `step` apart in a row, so that they meet the same cells: step is the
/// stride for the gradient, 1 otherwise.
class ByChannels {
 public:
  explicit ByChannels(Sliding& sliding) : c(sliding), g(sliding.g) {
    const TensorView& out = c.result_view;
    const std::int64_t width = out.shape[3], height = out.shape[2];
    step_ = c.gradient ? c.window.stride[1] : 1;
    const std::int64_t phases = std::min(step_, width), longest = (width + step_ - 1) / step_;
    tile_ = tile_of(longest);
    const std::int64_t tiles = phases * ((longest + tile_ - 1) / tile_);
    const std::int64_t together = rows_of_item(tiles);
    phases_ = g.number(phases, "phases");
    tiles_ = g.number(tiles, "tiles");
    rows_ = g.number(together, "rows");
    height_ = g.number(height, "height");
    sources_ = g.number(c.source_channels, "sources");
    std::vector<std::int64_t> extents(out.shape.begin(), out.shape.end()),
        strides(out.strides.begin(), out.strides.end());
    extents[2] = (height + together - 1) / together;
    strides[2] *= together;
    extents[3] = 1;
    index_ = g.spread(extents, strides);
    taps_ = c.kernel[0] * c.kernel[1];
    const auto rows = 1024 / static_cast<std::int64_t>(size_of(out.dtype));
    block_ = std::max<std::int64_t>(rows / taps_, 1);
    packed_ = g.ir().private_array(out.dtype, block_ * taps_, "weights");
    g.ir().program().memory[static_cast<std::size_t>(c.result.memory)].read = true;
    unrolled_ = c.kernel[1] <= most_unrolled_columns;
  }

  /// For each block of source channels: its weights, then all tiles of the item, whose sums wait
  /// in memory between the blocks.
  GeneratedKernel run() {
    const Value size = constant(block_);
    const Value blocks = g.ir().binary(Opcode::divide, g.plus(sources_, block_ - 1), size);
    const Value first_row = g.multiply(index_[2], rows_);
    const Value rows = g.minimum(rows_, g.subtract(height_, first_row));
    const Value tiles = g.multiply(rows, tiles_);
    g.loop(constant(0), blocks, {}, [&](Value number, std::span<const Value>) {
      const Value start = g.multiply(number, size);
      const Value length = g.minimum(g.subtract(sources_, start), size);
      pack(start, length);
      const Value later = g.ir().compare(Opcode::greater, number, constant(0));
      g.loop(constant(0), tiles, {}, [&](Value t, std::span<const Value>) {
        const Value row = g.ir().binary(Opcode::divide, t, tiles_);
        const Value column = g.subtract(t, g.multiply(row, tiles_));
        tile(g.add(first_row, row), column, start, length, later);
        return std::vector<Value>{};
      });
      return std::vector<Value>{};
    });
    return g.take();
  }

 private:
  using Sums = std::span<const Value>;
  Value constant(std::int64_t v) { return g.ir().constant_i64(v); }

  /// Many rows, so that packing pays, while there are enough items.
  std::int64_t rows_of_item(std::int64_t tiles) const {
    constexpr std::int64_t lanes = 32, enough_items = 8, enough_tiles = 256;
    const TensorView& out = c.result_view;
    const std::int64_t others = out.shape[0] * ((out.shape[1] + lanes - 1) / lanes);
    const std::int64_t rows = std::max<std::int64_t>(out.shape[2] * others / enough_items, 1);
    return std::clamp<std::int64_t>(rows, 1, (enough_tiles + tiles - 1) / tiles);
  }

  void pack(Value start, Value length) {
    nest(length, {}, [&](Value s, Value kh, Value kw, Sums) {
      const Value from =
          c.weight_offset(index_[1], index_[1], g.add(start, s), constant(0), kh, kw);
      g.ir().store(packed_, packed_row(s, kh, kw), g.ir().load(c.weights.memory, from));
      return std::vector<Value>{};
    });
  }
  Value packed_row(Value s, Value kh, Value kw) {
    return g.add(g.times(g.add(g.times(s, c.kernel[0]), kh), c.kernel[1]), kw);
  }
  void nest(Value length, Sums sums,
            const std::function<std::vector<Value>(Value, Value, Value, Sums)>& body) {
    g.loop(constant(0), length, sums, [&](Value s, Sums of_source) {
      return g.loop(constant(0), c.kernel_value[0], of_source, [&](Value kh, Sums of_row) {
        return g.loop(constant(0), c.kernel_value[1], of_row,
                      [&](Value kw, Sums before) { return body(s, kh, kw, before); });
      });
    });
  }

  void tile(Value h, Value number, Value start, Value length, Value later) {
    Value phase = constant(0), of_phase = number;
    if (step_ > 1) {
      of_phase = g.ir().binary(Opcode::divide, number, phases_);
      phase = g.subtract(number, g.multiply(of_phase, phases_));
    }
    // Positions past the last of the phase are the last once more.
    const Value reach = g.subtract(c.last_result[1], phase);
    const Value last =
        step_ == 1 ? c.last_result[1] : g.add(g.times(g.divided(reach, step_), step_), phase);
    std::vector<Value> position, to;
    for (std::int64_t t = 0; t < tile_; ++t) {
      const Value p =
          g.add(g.times(g.plus(g.times(of_phase, tile_), t), step_), step_ > 1 ? phase : no_value);
      position.push_back(tile_ == 1 && step_ == 1 ? p : g.minimum(p, last));
      to.push_back(
          g.offset(c.result, std::vector<Value>{index_[0], index_[1], h, position.back()}));
    }
    std::vector<Value> sums(position.size(), g.zero(c.result_view.dtype));
    sums = g.when(later, sums, [&](Sums none) {
      std::vector<Value> before;
      for (std::size_t t = 0; t < none.size(); ++t)
        before.push_back(g.ir().load(c.result.memory, to[t]));
      return before;
    });
    if (c.whole[1]) {
      sums = products(h, position, start, length, sums, false);
    } else {
      g.ir().begin_if(is_inner(position));
      const std::vector<Value> inner = products(h, position, start, length, sums, false);
      g.ir().begin_else(inner);
      const std::vector<Value> border = products(h, position, start, length, sums, true);
      sums = g.ir().end_if(border);
    }
    for (std::size_t t = 0; t < sums.size(); ++t) g.ir().store(c.result.memory, to[t], sums[t]);
  }

  /// Whether every cell finds its place at every position of the tile.
  Value is_inner(std::span<const Value> position) {
    const auto at = [&](Value p, std::int64_t k) {
      const std::int64_t low = c.window.low[1], reach = k * c.window.dilation[1];
      if (!c.gradient) return g.plus(g.times(p, c.window.stride[1]), reach - low);
      return g.plus(p, low - reach);  // times the stride
    };
    const std::int64_t last = c.kernel[1] - 1;
    const Value lowest = at(position.front(), c.gradient ? last : 0),
                highest = at(position.back(), c.gradient ? 0 : last);
    const Value end =
        c.gradient ? g.times(c.source_extent[1], c.window.stride[1]) : c.source_extent[1];
    return g.ir().binary(Opcode::bit_and,
                         g.ir().compare(Opcode::greater_equal, lowest, constant(0)),
                         g.ir().compare(Opcode::less, highest, end));
  }

  std::vector<Value> products(Value h, const std::vector<Value>& position, Value start,
                              Value length, Sums first, bool checked) {
    return g.loop(constant(0), length, first, [&](Value s, Sums of_source) {
      return g.loop(constant(0), c.kernel_value[0], of_source, [&](Value kh, Sums of_row) {
        const Place row = c.place(0, h, kh);
        const Value source =
            g.offset(c.source, std::vector<Value>{index_[0], g.add(start, s), row.at, constant(0)});
        const auto columns = [&](Sums sums) {
          return c.cells(c.kernel[1], unrolled_, {sums.begin(), sums.end()},
                         [&](Value kw, Sums before) {
                           return cell(source, s, kh, kw, position, before, checked);
                         });
        };
        return row.found == no_value ? columns(of_row) : g.when(row.found, of_row, columns);
      });
    });
  }

  std::vector<Value> cell(Value source, Value s, Value kh, Value kw,
                          const std::vector<Value>& position, Sums sums, bool checked) {
    const auto body = [&](Sums before) {
      const Value weight = g.ir().load(packed_, packed_row(s, kh, kw));
      std::vector<Value> after;
      for (std::size_t t = 0; t < before.size(); ++t) {
        const Place w = c.place(1, position[t], kw);
        const bool doubtful = checked && w.found != no_value;
        const Value at = doubtful ? g.clamped(w.at, g.plus(c.source_extent[1], -1)) : w.at;
        const Value x = g.ir().load(c.source.memory, g.add(source, g.term(c.source, 3, at)));
        const Value sum = g.multiply_add(x, weight, before[t]);
        after.push_back(doubtful ? g.ir().select(w.found, sum, before[t]) : sum);
      }
      return after;
    };
    const Value meets = c.meets(1, position.front(), kw);
    return meets == no_value ? body(sums) : g.when(meets, sums, body);
  }

  Sliding& c;
  GeneratedBuilder& g;
  std::int64_t step_ = 1, tile_ = 1, taps_ = 1, block_ = 1;
  int packed_ = -1;
  bool unrolled_ = false;
  Value phases_, tiles_, rows_, height_, sources_;
  std::vector<Value> index_;
};

}  // namespace

GeneratedKernel convolution_by_channels(Sliding& c) { return ByChannels(c).run(); }

}  // namespace noyau::jit
