// What a library call asks for, in the terms that vendors' libraries share: products of matrices
// over batches, and convolutions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device.hpp"

namespace noyau {

/// True when no two elements share memory and no stride is zero or negative: what libraries
/// describe.
bool is_ordinary(const TensorView& view);
/// True when the elements lie densely in the order N, H, W, C.
bool is_channels_last(const TensorView& view);

/// A matrix in memory: rows and columns apart by so many elements, one of the two by 1.
struct Matrix {
  std::int64_t row = 0, column = 0;
};

/// One axis of the batch, with each operand's stride (0 broadcasts).
struct Batch {
  std::int64_t extent, a, b, out;
};

/// out[m, n] = a[m, k] b[k, n], for each index of the batch.
struct Product {
  std::int64_t m = 0, k = 0, n = 0;
  Matrix a, b, out;
  std::vector<Batch> batch;
  bool bias = false;  ///< of n values
  bool relu = false;
  bool swapped = false;  ///< out^T = b^T a^T: inputs 1 and 0 are a and b
};

bool is_row_major(const Matrix& m, std::int64_t columns);
bool is_column_major(const Matrix& m, std::int64_t rows);

/// The product that a call asks for, with as few axes of batch as possible, and the output by rows
/// where that can be had. nullopt when it is none, or has strides that no library describes.
std::optional<Product> product_of(const LibraryCall& call);

/// How often a call of two matrices is made for these axes of batch; the largest number when that
/// is no number of 64 bits.
std::int64_t rounds_of(const std::vector<Batch>& axes);
/// The elements from each operand's beginning to its matrix of the `round`-th of them; extent 0.
Batch batch_at(const std::vector<Batch>& axes, std::int64_t round);

/// A matrix of a product as it lies: lines of `length` elements, `leading` apart. The lines are its
/// rows, or its columns where it is transposed.
struct BlasMatrix {
  int pointer = 0;  ///< which input; -1: the output
  std::int64_t lines = 0, length = 0, leading = 1, batch_stride = 0;
  bool transposed = false;
};

/// A product in the terms of a BLAS: out = op(a) op(b) by rows, for a batch whose matrices lie
/// equally far apart. By columns the same is out^T = op(b)^T op(a)^T.
struct BlasProduct {
  std::int64_t m = 0, k = 0, n = 0;
  BlasMatrix a, b, out;  ///< out is never transposed
  std::int64_t batch = 1;
  std::vector<Batch> outer;  ///< further axes of batch, each index of which is a launch: 64 at most
  bool bias = false;         ///< inputs[2], of n values
};
/// The product of float32 or float64 that a call asks for, if it is one that a BLAS can do; nullopt
/// for a call with relu.
std::optional<BlasProduct> blas_product_of(const LibraryCall& call);

/// "matmul of float32 (6, 8), float32 (8, 12) to float32 (6, 12)", for messages.
std::string describe(const LibraryCall& call);

/// The three arrays of a convolution, whichever of them is computed.
struct ConvolutionViews {
  const TensorView* x = nullptr;
  const TensorView* weights = nullptr;
  const TensorView* y = nullptr;
};

/// Of a call for a convolution or one of its gradients.
ConvolutionViews views_of(const LibraryCall& call);
/// Whether the call is a convolution of this kind whose arrays have one dtype, ordinary strides and
/// shapes that fit, and less than `most` elements from the first to the last.
bool is_convolution(const LibraryCall& call, LibraryCall::Kind kind, std::int64_t most);

}  // namespace noyau
