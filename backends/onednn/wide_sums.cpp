// Convolutions with sums in float64. The product of two float32 is exact in float64, so that the
// bits depend neither on the instructions nor on the number of threads.
// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/wide_sums.hpp"

#include <algorithm>
#include <cstring>

namespace noyau::onednn {
namespace {

/// Bounds of what is worth it: results and inputs of a 1x1 window, inputs of a picture.
constexpr std::int64_t most_results = 64, most_inputs = 512, picture_channels = 4;
constexpr std::int64_t most_picture_terms = 64;

constexpr std::int64_t lanes = 8;  ///< of a vector
using Vector = double __attribute__((vector_size(lanes * sizeof(double))));
using Narrow = float __attribute__((vector_size(lanes * sizeof(float))));

std::int64_t vectors_of(std::int64_t channels) { return (channels + lanes - 1) / lanes; }

/// What one thread computes at once: `tile` positions of `vectors` vectors of channels: as many
/// sums as AVX-512 has registers for, and the compiler keeps there.
constexpr std::int64_t tile_of(std::int64_t vectors) {
  return std::min<std::int64_t>(16 / vectors, 8);
}
static_assert(tile_of(2) == 8 && tile_of(8) == 2);

/// A convolution over images in memory; strides in elements.
struct Loop {
  std::int64_t images, rows, columns;  ///< of y
  std::int64_t outputs, taps_h, run;   ///< a run: the cells of a window's row, all channels
  std::int64_t x_image, x_row, x_column, x_tap;  ///< x_row and x_column: from window to window
  std::int64_t y_image, y_row, y_column;
  bool relu;

  std::int64_t terms() const { return taps_h * run; }
  std::int64_t vectors() const { return vectors_of(outputs); }
  std::int64_t tile() const { return tile_of(vectors()); }
  std::int64_t tiles() const { return (columns + tile() - 1) / tile(); }
};

/// The tiles [begin, end) of all images' rows. `weights` [terms][vectors] and `bias` [vectors] are
/// padded with zeros.
struct Part {
  const Loop& loop;
  const float* x;
  const Vector* weights;
  const Vector* bias;
  float* y;
  std::int64_t begin, end;
};

/// Fully inlined into functions for each instruction set.
#define NOYAU_INLINE inline __attribute__((always_inline))

NOYAU_INLINE void widen(const float* from, std::int64_t count, double* to) {
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    Narrow some;
    std::memcpy(&some, from + i, sizeof(some));
    const Vector wide = __builtin_convertvector(some, Vector);
    std::memcpy(to + i, &wide, sizeof(wide));
  }
  for (; i < count; ++i) to[i] = static_cast<double>(from[i]);
}

template <int vectors>
NOYAU_INLINE void sum_tiles(const Part& part) {
  constexpr int tile = static_cast<int>(tile_of(vectors));
  const Loop& l = part.loop;
  const std::int64_t terms = l.terms(), tiles = l.tiles();
  alignas(64) double cells[tile * most_inputs];
  for (std::int64_t number = part.begin; number < part.end; ++number) {
    const std::int64_t row = number / tiles % l.rows, image = number / tiles / l.rows;
    const std::int64_t first = number % tiles * tile;
    const float* from = part.x + image * l.x_image + row * l.x_row;
    for (int t = 0; t < tile; ++t) {  // past the end the last position once more
      const std::int64_t column = std::min(first + t, l.columns - 1);
      for (std::int64_t h = 0; h < l.taps_h; ++h) {
        const float* run = from + column * l.x_column + h * l.x_tap;
        widen(run, l.run, cells + t * terms + h * l.run);
      }
    }
    Vector sums[tile][vectors];
#pragma GCC unroll 8
    for (int t = 0; t < tile; ++t)
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) sums[t][v] = cells[t * terms] * part.weights[v];
    for (std::int64_t i = 1; i < terms; ++i) {
      const Vector* weights = part.weights + i * vectors;
#pragma GCC unroll 8
      for (int t = 0; t < tile; ++t) {
        const double cell = cells[t * terms + i];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) sums[t][v] += cell * weights[v];
      }
    }
    float* to = part.y + image * l.y_image + row * l.y_row;
#pragma GCC unroll 8
    for (int t = 0; t < tile; ++t) {
      if (first + t >= l.columns) break;
      float* out = to + (first + t) * l.y_column;
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) {
        Vector sum = sums[t][v] + part.bias[v];
        if (l.relu) sum = sum <= 0.0 ? Vector{} : sum;  // NaN stays
        const Narrow result = __builtin_convertvector(sum, Narrow);
        const std::int64_t count = std::min(lanes, l.outputs - v * lanes);
        if (count == lanes) std::memcpy(out + v * lanes, &result, sizeof(result));
        else std::memcpy(out + v * lanes, &result, static_cast<std::size_t>(count) * sizeof(float));
      }
    }
  }
}

NOYAU_INLINE void sum_any(const Part& part) {
  switch (part.loop.vectors()) {
    case 1:
      return sum_tiles<1>(part);
    case 2:
      return sum_tiles<2>(part);
    case 3:
      return sum_tiles<3>(part);
    case 4:
      return sum_tiles<4>(part);
    case 5:
      return sum_tiles<5>(part);
    case 6:
      return sum_tiles<6>(part);
    case 7:
      return sum_tiles<7>(part);
    default:
      return sum_tiles<8>(part);
  }
}
#undef NOYAU_INLINE

void sum_baseline(const Part& part) { sum_any(part); }
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void sum_avx2(const Part& part) { sum_any(part); }
__attribute__((target("avx512f,avx512vl,avx512dq"))) void sum_avx512(const Part& part) {
  sum_any(part);
}
#endif

using Sum = void (*)(const Part&);
Sum sum_for_this_cpu() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    return sum_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return sum_avx2;
#endif
  return sum_baseline;
}

void run(const Loop& loop, const float* x, const Vector* weights, const Vector* bias, float* y) {
  static const Sum sum = sum_for_this_cpu();
  constexpr std::int64_t chunk = 16;  // tiles
  const std::int64_t tiles = loop.images * loop.rows * loop.tiles();
#pragma omp parallel for schedule(static)
  for (std::int64_t begin = 0; begin < tiles; begin += chunk)
    sum({loop, x, weights, bias, y, begin, std::min(begin + chunk, tiles)});
}

/// Weights o, c, kh, kw of any strides into kh, kw, c, o: float64, padded to whole vectors.
struct Pack {
  std::int64_t outputs, inputs, taps_h, taps_w;
  std::int64_t stride_output, stride_input, stride_h, stride_w;

  void operator()(const float* from, double* to) const {
    const std::int64_t width = vectors_of(outputs) * lanes;
    for (std::int64_t h = 0; h < taps_h; ++h)
      for (std::int64_t w = 0; w < taps_w; ++w)
        for (std::int64_t c = 0; c < inputs; ++c, to += width) {
          const float* source = from + h * stride_h + w * stride_w + c * stride_input;
          for (std::int64_t o = 0; o < outputs; ++o)
            to[o] = static_cast<double>(source[o * stride_output]);
          std::fill(to + outputs, to + width, 0.0);
        }
  }
};

/// An image that the loop reads or writes.
struct Image {
  Operand at;
  Dims strides;
};

/// As it lies where channels, and with them the cells of a window's row, follow each other.
bool is_readable(const TensorView& view, std::int64_t columns_of_window) {
  return (view.shape[1] == 1 || view.strides[1] == 1) &&
         (columns_of_window == 1 || view.strides[3] == view.shape[1]);
}

Loop loop_of(const Convolution& c, const Dims& x_strides, const Dims& y_strides) {
  Loop l{};
  l.images = c.y[0];
  l.rows = c.y[2];
  l.columns = c.y[3];
  l.outputs = c.y[1];
  l.taps_h = c.weights[2];
  l.run = c.weights[3] * c.x[1];
  l.x_image = x_strides[0];
  l.x_row = x_strides[2] * c.stride[0];
  l.x_column = x_strides[3] * c.stride[1];
  l.x_tap = x_strides[2];
  l.y_image = y_strides[0];
  l.y_row = y_strides[2];
  l.y_column = y_strides[3];
  l.relu = c.relu;
  // Rows that follow each other are one, and so are images: fewer tiles with a rest.
  if (l.x_row == l.columns * l.x_column && l.y_row == l.columns * l.y_column) {
    l.columns *= l.rows;
    l.rows = 1;
    if (l.x_image == l.columns * l.x_column && l.y_image == l.columns * l.y_column) {
      l.columns *= l.images;
      l.images = 1;
    }
  }
  return l;
}

}  // namespace

bool has_wide_sums(const Convolution& c) {
  if (c.groups() != 1) return false;
  for (std::size_t i = 0; i < 2; ++i)
    if (c.padding_low[i] != 0 || c.padding_high[i] != 0 || c.dilation[i] != 0) return false;
  const std::int64_t inputs = c.x[1], outputs = c.y[1], taps = c.weights[2] * c.weights[3];
  if (outputs > most_results) return false;
  if (taps == 1) return outputs < inputs && inputs <= most_inputs;
  return inputs <= picture_channels && inputs * taps <= most_picture_terms;
}

void set_wide_sums(const Convolution& c, const TensorView& x, const TensorView& weights,
                   bool turned, const TensorView& y, Sequence& sequence) {
  Image from = {sequence.input(0, layout_of(x)), dims_of(x.strides)};
  Image to = {sequence.output(layout_of(y)), dims_of(y.strides)};
  const Operand result = to.at;
  const Layout x_dense = channels_last_layout(c.x), y_dense = channels_last_layout(c.y);
  if (!is_readable(x, c.weights[3])) {
    from = {sequence.workspace(x_dense), strides_of(x_dense)};
    sequence.reorder(sequence.input(0, layout_of(x)), from.at);
  }
  const bool direct = is_readable(y, 1);
  if (!direct) to = {sequence.workspace(y_dense), strides_of(y_dense)};
  const Loop loop = loop_of(c, from.strides, to.strides);
  const Operand packed = sequence.kept(dense_layout(
      {loop.terms() * loop.vectors() * lanes * std::int64_t{sizeof(double) / sizeof(float)}}));
  const Operand given = sequence.input(1, {});
  const Pack pack = {c.y[1],
                     c.x[1],
                     c.weights[2],
                     c.weights[3],
                     weights.strides[turned ? 1 : 0],
                     weights.strides[turned ? 0 : 1],
                     weights.strides[2],
                     weights.strides[3]};
  sequence.begin_packing(1);
  sequence.loop([&sequence, pack, given, packed](const Pointers& pointers) {
    pack(static_cast<const float*>(sequence.pointer_to(given, pointers)),
         static_cast<double*>(sequence.pointer_to(packed, pointers)));
  });
  sequence.end_packing();
  sequence.loop([&sequence, loop, packed, from = from.at, to = to.at,
                 bias = c.bias](const Pointers& pointers) {
    Vector wide[most_results / lanes] = {};
    if (bias)
      for (std::int64_t i = 0; i < loop.outputs; ++i)
        wide[i / lanes][i % lanes] =
            static_cast<double>(static_cast<const float*>(pointers.inputs[2])[i]);
    run(loop, static_cast<const float*>(sequence.pointer_to(from, pointers)),
        static_cast<const Vector*>(sequence.pointer_to(packed, pointers)), wide,
        static_cast<float*>(sequence.pointer_to(to, pointers)));
  });
  if (!direct) sequence.reorder(to.at, result);
}

}  // namespace noyau::onednn
