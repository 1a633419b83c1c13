// Generated convolutions with lanes along positions: each source element serves a tile of channels.
// SPDX-License-Identifier: Apache-2.0
#include "jit/generated_convolution.hpp"

namespace noyau::jit {
namespace {

/// Whether lanes run along the channels of the result: then there are no tiles of them.
bool lanes_are_channels(const TensorView& out) {
  if (out.shape[1] == 1) return false;
  for (int a = 0; a < 4; ++a)
    if (a != 1 && out.shape[a] > 1 && std::abs(out.strides[a]) < std::abs(out.strides[1]))
      return false;
  return true;
}

class ByPositions {
 public:
  explicit ByPositions(Sliding& sliding) : c(sliding), g(sliding.g) {
    const TensorView& out = c.result_view;
    tile_ = lanes_are_channels(out) ? 1 : tile_of(c.result_channels);
    const std::int64_t tiles = (c.result_channels + tile_ - 1) / tile_;
    sources_ = g.number(c.source_channels, "sources");
    const Value tiles_value = g.number(tiles, "tiles"),
                channels = g.number(c.result_channels, "channels");
    std::vector<std::int64_t> extents(out.shape.begin(), out.shape.end()),
        strides(out.strides.begin(), out.strides.end());
    extents[1] = tiles * c.window.groups;
    strides[1] *= tile_;
    index_ = g.spread(extents, strides);
    Value group = no_value, number = index_[1];
    if (c.window.groups > 1) {
      group = tiles == 1 ? number : g.ir().binary(Opcode::divide, number, tiles_value);
      number = tiles == 1 ? zero() : g.subtract(number, g.multiply(group, tiles_value));
    }
    first_source_ = group == no_value ? zero() : g.multiply(group, sources_);
    // Channels past the group's last are the last once more.
    const Value last = g.plus(channels, -1);
    for (std::int64_t t = 0; t < tile_; ++t) {
      const Value within = g.plus(g.times(number, tile_), t);
      within_.push_back(tile_ == 1 ? within : g.minimum(within, last));
      channel_.push_back(group == no_value ? within_.back()
                                           : g.add(g.multiply(group, channels), within_.back()));
    }
  }

  GeneratedKernel run() {
    unrolled_ = c.kernel[1] <= most_unrolled_columns;
    for (std::int64_t k = 0; k < c.kernel[1] && unrolled_; ++k)
      columns_.push_back(c.place(1, index_[3], g.ir().constant_i64(k)));
    std::vector<Value> sums(within_.size(), g.zero(c.result_view.dtype));
    sums = g.loop(zero(), sources_, sums, [&](Value s, std::span<const Value> of_source) {
      return g.loop(zero(), c.kernel_value[0], of_source,
                    [&](Value kh, std::span<const Value> before) { return row(s, kh, before); });
    });
    for (std::size_t t = 0; t < sums.size(); ++t)
      g.store(c.result, std::vector<Value>{index_[0], channel_[t], index_[2], index_[3]}, sums[t]);
    return g.take();
  }

 private:
  Value zero() { return g.ir().constant_i64(0); }

  std::vector<Value> row(Value s, Value kh, std::span<const Value> before) {
    const Place h = c.place(0, index_[2], kh);
    const auto columns = [&](std::span<const Value> sums) {
      std::size_t number = 0;
      return c.cells(c.kernel[1], unrolled_, {sums.begin(), sums.end()},
                     [&](Value kw, std::span<const Value> of_cell) {
                       const Place w = unrolled_ ? columns_[number++] : c.place(1, index_[3], kw);
                       return cell(s, kh, kw, h, w, of_cell);
                     });
    };
    return h.found == no_value ? columns(before) : g.when(h.found, before, columns);
  }

  std::vector<Value> cell(Value s, Value kh, Value kw, Place h, Place w,
                          std::span<const Value> before) {
    const auto load = [&] {
      return g.load(c.source, std::vector<Value>{index_[0], g.add(first_source_, s), h.at, w.at});
    };
    Value x = no_value;
    if (w.found == no_value) {
      x = load();
    } else {
      const Value none[] = {g.zero(c.result_view.dtype)};
      x = g.when(w.found, none,
                 [&](std::span<const Value>) { return std::vector<Value>{load()}; })[0];
    }
    std::vector<Value> after;
    for (std::size_t t = 0; t < before.size(); ++t) {
      const Value weight = g.ir().load(
          c.weights.memory, c.weight_offset(channel_[t], within_[t], s, first_source_, kh, kw));
      const Value sum = g.multiply_add(x, weight, before[t]);
      after.push_back(w.found == no_value ? sum : g.ir().select(w.found, sum, before[t]));
    }
    return after;
  }

  Sliding& c;
  GeneratedBuilder& g;
  std::int64_t tile_ = 1;
  bool unrolled_ = false;
  Value sources_ = no_value, first_source_ = no_value;
  std::vector<Value> index_, within_, channel_;  ///< the latter two: of each of the tile
  std::vector<Place> columns_;                   ///< of straight code
};

}  // namespace

GeneratedKernel convolution_by_positions(Sliding& c) { return ByPositions(c).run(); }

}  // namespace noyau::jit
