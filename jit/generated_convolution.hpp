// What the generated convolutions share: how results and sources lie to each other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>

#include "jit/generated_matmul.hpp"

namespace noyau::jit {

/// Kernels of at most so many columns are straight code along them.
inline constexpr std::int64_t most_unrolled_columns = 8;

/// A place in the source, and whether there is one (no_value: always).
struct Place {
  Value at = no_value, found = no_value;
};

/// A convolution, or its gradient by the input: result[n, r, ph, pw] = the sum over (s, kh, kw) of
/// source[n, s, sh, sw] times a weight, in that order. For the convolution s are input channels
/// and sh = ph * stride + kh * dilation - low; for the gradient s are output channels and ph and
/// sh change places.
class Sliding {
 public:
  Sliding(const char* name, bool gradient, const TensorView& source, const TensorView& weights,
          const TensorView& result, const WindowAttributes& window, int block_threads);

  /// The place of the source that cell k of the kernel meets at position p of the result. Where
  /// none is found, the place may be anywhere.
  Place place(int d, Value p, Value k);
  /// Whether the stride lets cell k meet position p at all; no_value: always.
  Value meets(int d, Value p, Value k);
  Value weight_offset(Value result_channel, Value channel_in_group, Value s, Value first_source,
                      Value kh, Value kw);
  /// sums = body(k, sums) for k in [0, count), unrolled when `unrolled`.
  std::vector<Value> cells(std::int64_t count, bool unrolled, std::vector<Value> sums,
                           const GeneratedBuilder::Body& body);

  GeneratedBuilder g;
  const WindowAttributes& window;
  bool gradient;
  TensorView result_view;
  StridedBuffer source, weights, result;
  std::int64_t kernel[2];                         ///< extents of the weights
  std::int64_t result_channels, source_channels;  ///< of one group
  Value source_extent[2], kernel_value[2], last_result[2];
  bool whole[2];  ///< every cell meets the source at every position
};

/// The terms [first, end) of a product by blocks whose numbers are three in one, k = (outer *
/// middle extent + middle) * inner extent + inner: the first threads of a block split those of a
/// step for all, into shared memory, where steps take turns.
class SplitTerms {
 public:
  SplitTerms(GeneratedBuilder& g, const ProductTiles& tiles, Value first, Value end,
             Value middle_extent, Value inner_extent);

  /// For the step from `start` on, one barrier before they are read; past the last is the last once
  /// more.
  void split(Value start);
  struct Numbers {
    Value outer, middle, inner;
  };
  /// Of term k of the step from `start` on.
  Numbers of(Value start, Value k);

 private:
  Value place_of(Value start, Value k);

  GeneratedBuilder& g;
  const ProductTiles& tiles_;
  const int memory_;
  const Value first_, end_, middle_extent_, inner_extent_;
};

/// Lanes along positions (or anything), tiles of result channels.
GeneratedKernel convolution_by_positions(Sliding& c);
/// Lanes along result channels, tiles of positions, weights packed. One group.
GeneratedKernel convolution_by_channels(Sliding& c);
/// For devices whose blocks have many threads; `tile`: other than the best.
GeneratedKernel convolution_by_blocks(Sliding& c, std::optional<ProductTile> tile = {});
/// How many rows of windows (n, oh) the gradient by the weights adds up in one chain: a function of
/// extents alone. A chunk has 512 windows at least, and there are at most 128 chunks, fewer where
/// all their results together would be more than 2^25 numbers.
std::int64_t chunk_of_windows(const Shape& dy, const Shape& dweights);

/// The gradient by the weights: lanes along output channels, tiles of cells. Where blocks have many
/// threads, an item has one chunk.
GeneratedKernel convolution_weight_gradient(const TensorView& x, const TensorView& dy,
                                            const TensorView& dweights,
                                            const WindowAttributes& window, int block_threads);
/// For devices whose blocks have many threads: a block has one chunk of a tile of weights.
GeneratedKernel weight_gradient_by_blocks(const TensorView& x, const TensorView& dy,
                                          const TensorView& dweights,
                                          const WindowAttributes& window,
                                          std::optional<ProductTile> tile = {});
/// The results of chunks in dense memory, chunk by chunk; and what adds them up in order.
TensorView chunks_of(const TensorView& result, std::int64_t chunks);
void add_chunks(GeneratedKernel& kernel, const TensorView& result, std::int64_t chunks,
                int block_threads);

/// The extent of a tile along an axis: 8, or less where the axis is short.
std::int64_t tile_of(std::int64_t extent);

}  // namespace noyau::jit
