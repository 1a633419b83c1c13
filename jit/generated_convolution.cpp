// Generated convolutions and their gradients by the input: chains of fma, one for each result.
// SPDX-License-Identifier: Apache-2.0
#include "jit/generated_convolution.hpp"

#include <cstdlib>

namespace noyau::jit {
namespace {

bool is_whole(const WindowAttributes& w, bool gradient, int d, std::int64_t source,
              std::int64_t kernel, std::int64_t result) {
  const std::int64_t reach = (kernel - 1) * w.dilation[d];
  if (gradient) return w.stride[d] == 1 && w.low[d] >= reach && result - 1 + w.low[d] < source;
  return w.low[d] == 0 && (result - 1) * w.stride[d] + reach < source;
}

}  // namespace

std::int64_t tile_of(std::int64_t extent) {
  for (std::int64_t tile : {8, 4, 2})
    if (extent >= tile) return tile;
  return 1;
}

Sliding::Sliding(const char* name, bool is_gradient, const TensorView& from,
                 const TensorView& weight, const TensorView& out,
                 const WindowAttributes& attributes, int block_threads)
    : g(name, block_threads), window(attributes), gradient(is_gradient), result_view(out) {
  source = g.input(from, "source");
  weights = g.input(weight, "weights");
  result = g.output(out, "result");
  result_channels = out.shape[1] / window.groups;
  source_channels = from.shape[1] / window.groups;
  for (int d = 0; d < 2; ++d) {
    kernel[d] = weight.shape[2 + d];
    source_extent[d] = g.number(from.shape[2 + d], "source_extent");
    kernel_value[d] = g.number(kernel[d], "kernel");
    last_result[d] = g.number(out.shape[2 + d] - 1, "last_result");
    g.consider(window.low[d] + window.high[d]);
    whole[d] = is_whole(window, gradient, d, from.shape[2 + d], kernel[d], out.shape[2 + d]);
  }
}

Value Sliding::meets(int d, Value p, Value k) {
  const std::int64_t stride = window.stride[d];
  if (!gradient || stride == 1) return no_value;
  const Value from = g.subtract(g.plus(p, window.low[d]), g.times(k, window.dilation[d]));
  const Value rest = g.ir().binary(Opcode::remainder, from, g.ir().constant_i64(stride));
  return g.ir().compare(Opcode::equal, rest, g.ir().constant_i64(0));
}

Place Sliding::place(int d, Value p, Value k) {
  const std::int64_t stride = window.stride[d], dilation = window.dilation[d];
  if (!gradient) {
    const Value at = g.plus(g.add(g.times(p, stride), g.times(k, dilation)), -window.low[d]);
    return {at, whole[d] ? no_value : g.inside(at, source_extent[d])};
  }
  const Value from = g.subtract(g.plus(p, window.low[d]), g.times(k, dilation));
  if (stride == 1) return {from, whole[d] ? no_value : g.inside(from, source_extent[d])};
  const Value at = g.divided(g.maximum(from, g.ir().constant_i64(0)), stride);
  return {at,
          g.ir().binary(Opcode::bit_and, g.ir().compare(Opcode::equal, g.times(at, stride), from),
                        g.ir().compare(Opcode::less, at, source_extent[d]))};
}

Value Sliding::weight_offset(Value result_channel, Value channel_in_group, Value s,
                             Value first_source, Value kh, Value kw) {
  if (gradient)
    return g.offset(weights, std::vector<Value>{g.add(first_source, s), channel_in_group, kh, kw});
  return g.offset(weights, std::vector<Value>{result_channel, s, kh, kw});
}

std::vector<Value> Sliding::cells(std::int64_t count, bool unrolled, std::vector<Value> sums,
                                  const GeneratedBuilder::Body& body) {
  for (std::int64_t k = 0; k < count && unrolled; ++k) sums = body(g.ir().constant_i64(k), sums);
  if (unrolled) return sums;
  return g.loop(g.ir().constant_i64(0), kernel_value[1], sums, body);
}

namespace {

/// Tiles want 256 threads, and rows for more than a few of them.
constexpr std::int64_t least_channels = 8;

GeneratedKernel weight_gradient(const TensorView& x, const TensorView& dy, const TensorView& out,
                                const WindowAttributes& window, int block_threads) {
  const bool blocks = block_threads >= ProductTiles::threads &&
                      out.shape[0] / window.groups >= least_channels &&
                      out.shape[1] * out.shape[2] * out.shape[3] >= least_channels;
  return blocks ? weight_gradient_by_blocks(x, dy, out, window)
                : convolution_weight_gradient(x, dy, out, window, block_threads);
}

}  // namespace

GeneratedKernel convolution_kernel(LibraryCall::Kind kind, const TensorView& first,
                                   const TensorView& second, const TensorView& out,
                                   const WindowAttributes& window, int block_threads) {
  require(first.dtype == out.dtype && second.dtype == out.dtype, "convolution of mixed dtypes");
  if (kind == LibraryCall::Kind::convolution_weight_gradient)
    return weight_gradient(first, second, out, window, block_threads);
  const bool gradient = kind == LibraryCall::Kind::convolution_input_gradient;
  require(gradient || kind == LibraryCall::Kind::convolution, "no convolution of this kind");
  Sliding c(gradient ? "convolution_input_gradient" : "convolution", gradient, first, second, out,
            window, block_threads);
  if (block_threads >= ProductTiles::threads && c.result_channels >= least_channels)
    return convolution_by_blocks(c);
  bool by_channels = window.groups == 1 && out.shape[1] > 1;
  for (int a = 0; a < 4; ++a)
    if (a != 1 && out.shape[a] > 1)
      by_channels &= std::abs(out.strides[1]) <= std::abs(out.strides[a]);
  return by_channels ? convolution_by_channels(c) : convolution_by_positions(c);
}

}  // namespace noyau::jit
