// Generated kernels for matmul, convolution and pooling: what runs where no vendor library does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "core/device.hpp"
#include "core/graph.hpp"
#include "jit/program.hpp"

namespace noyau::jit {

/// A Program with what its launch needs. Buffers are the inputs, then the outputs; extents and
/// strides are parameters, so that a new size compiles nothing. Views may be strided in any way;
/// lanes run along the output's axis of stride 1 when there is one.
struct GeneratedKernel {
  Program program;
  std::int64_t extent[3] = {1, 1, 1};
  std::vector<std::uint64_t> parameters;
  /// Where not 0: the output is scratch memory of this many bytes, from which `then` (one kernel,
  /// scratch to output) makes the output.
  std::int64_t scratch_bytes = 0;
  std::vector<GeneratedKernel> then;
};

/// out[..., m, n] = sum over k of a[..., m, k] b[..., k, n] as one chain of fma (integers: wrapping
/// multiply and add) in the order of k. `block_threads`: as in DeviceLimits.
GeneratedKernel matmul_kernel(const TensorView& a, const TensorView& b, const TensorView& out,
                              int block_threads = 0);
/// The three convolutions of LibraryCall::Kind (no bias, no relu), as fma chains in row-major order
/// of (channel, kh, kw). The gradient by the weights: in that of windows (n, oh, ow), rows of
/// windows in chunks (chunk_of_windows), each a chain, which are then added in order.
GeneratedKernel convolution_kernel(LibraryCall::Kind kind, const TensorView& first,
                                   const TensorView& second, const TensorView& out,
                                   const WindowAttributes& window, int block_threads = 0);
/// Outputs values and int64 indices (position in the h * w plane); ties go to the first in
/// row-major order, NaN is the maximum.
GeneratedKernel max_pool_kernel(const TensorView& x, const TensorView& values,
                                const TensorView& indices, const WindowAttributes& window,
                                int block_threads = 0);
/// dx[h, w] = sum of the dy whose index names (h, w), in row-major order of the windows that cover
/// it.
GeneratedKernel max_pool_gradient_kernel(const TensorView& dy, const TensorView& indices,
                                         const TensorView& dx, const WindowAttributes& window,
                                         int block_threads = 0);
/// out = x at the indices.
GeneratedKernel max_pool_gather_kernel(const TensorView& x, const TensorView& indices,
                                       const TensorView& out, int block_threads = 0);
GeneratedKernel avg_pool_kernel(const TensorView& x, const TensorView& out,
                                const WindowAttributes& window, int block_threads = 0);
GeneratedKernel avg_pool_gradient_kernel(const TensorView& dy, const TensorView& dx,
                                         const WindowAttributes& window, int block_threads = 0);

}  // namespace noyau::jit
