// Reading library calls.
// SPDX-License-Identifier: Apache-2.0
#include "core/products.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>

namespace noyau {
namespace {

bool is_image_like(const TensorView& view, DType dtype, std::int64_t most) {
  if (view.dtype != dtype || view.shape.rank() != 4 || !is_ordinary(view)) return false;
  std::int64_t last = 0;
  for (int axis = 0; axis < 4; ++axis) last += (view.shape[axis] - 1) * view.strides[axis];
  return last < most;
}

bool is_bias(const TensorView& view, DType dtype, std::int64_t channels) {
  return view.dtype == dtype && view.shape.rank() == 1 && view.shape[0] == channels &&
         (channels == 1 || (view.strides.rank() == 1 && view.strides[0] == 1));
}

/// The extent of y along one spatial axis fits the others.
bool fits(std::int64_t x, std::int64_t taps, std::int64_t y, std::int64_t stride,
          std::int64_t dilation, std::int64_t low, std::int64_t high) {
  if (stride < 1 || dilation < 1 || low < 0 || high < 0) return false;
  const std::int64_t room = x + low + high - dilation * (taps - 1) - 1;
  return room >= 0 && room / stride + 1 == y;
}

bool broadcast_or_ordinary(const TensorView& view) {
  TensorView used = view;
  for (int axis = 0; axis < view.shape.rank() - 2; ++axis)
    if (view.strides[axis] == 0) used.shape[axis] = 1;
  return is_ordinary(used);
}

/// Adjacent axes of the batch become one where all three operands allow; axes of extent 1 go.
std::vector<Batch> collapsed_batch(const TensorView& a, const TensorView& b,
                                   const TensorView& out) {
  std::vector<Batch> axes;
  for (int axis = 0; axis < out.shape.rank() - 2; ++axis) {
    const Batch next = {out.shape[axis], a.strides[axis], b.strides[axis], out.strides[axis]};
    if (next.extent == 1) continue;
    if (!axes.empty() && axes.back().a == next.a * next.extent &&
        axes.back().b == next.b * next.extent && axes.back().out == next.out * next.extent) {
      axes.back() = {axes.back().extent * next.extent, next.a, next.b, next.out};
    } else {
      axes.push_back(next);
    }
  }
  return axes;
}

/// Strides of a matrix in which an axis of extent 1 continues the other densely.
Matrix matrix_of(const TensorView& view) {
  const int rank = view.shape.rank();
  const std::int64_t rows = view.shape[rank - 2], columns = view.shape[rank - 1];
  Matrix m = {view.strides[rank - 2], view.strides[rank - 1]};
  if (columns == 1) m.column = rows == 1 || m.row >= 1 ? 1 : m.column;
  if (rows == 1) m.row = m.column == 1 ? columns : 1;
  return m;
}

/// Makes the output row-major by computing its transpose where that is what lies in memory.
void swap_if_transposed(Product& p) {
  if (is_row_major(p.out, p.n) || !is_column_major(p.out, p.m) || p.bias) return;
  std::swap(p.m, p.n);
  std::swap(p.a, p.b);
  for (Matrix* matrix : {&p.a, &p.b, &p.out}) std::swap(matrix->row, matrix->column);
  for (Batch& axis : p.batch) std::swap(axis.a, axis.b);
  p.swapped = true;
}

/// A batch over rows of a alone is more rows.
void fold_batch_into_rows(Product& p) {
  while (!p.batch.empty()) {
    const Batch& inner = p.batch.back();
    if (inner.b != 0 || inner.a != p.a.row * p.m || inner.out != p.out.row * p.m) return;
    if (p.a.row == 1 && p.a.column < p.m * inner.extent) return;
    p.m *= inner.extent;
    p.batch.pop_back();
  }
}

}  // namespace

std::optional<Product> product_of(const LibraryCall& call) {
  if (call.kind != LibraryCall::Kind::matmul || call.inputs.size() != (call.bias ? 3U : 2U))
    return std::nullopt;
  const TensorView &a = call.inputs[0], &b = call.inputs[1], &out = call.output;
  const int rank = out.shape.rank();
  if (rank < 2 || a.shape.rank() != rank || b.shape.rank() != rank) return std::nullopt;
  for (const TensorView* view : {&a, &b, &out})
    if (view->dtype != a.dtype || view->strides.rank() != rank) return std::nullopt;
  if (!broadcast_or_ordinary(a) || !broadcast_or_ordinary(b) || !is_ordinary(out))
    return std::nullopt;
  Product p;
  p.m = out.shape[rank - 2];
  p.n = out.shape[rank - 1];
  p.k = a.shape[rank - 1];
  if (a.shape[rank - 2] != p.m || b.shape[rank - 2] != p.k || b.shape[rank - 1] != p.n)
    return std::nullopt;
  for (int axis = 0; axis < rank - 2; ++axis)
    if (a.shape[axis] != out.shape[axis] || b.shape[axis] != out.shape[axis]) return std::nullopt;
  if (call.bias) {
    const TensorView& bias = call.inputs[2];
    if (bias.dtype != a.dtype || bias.shape.rank() != 1 || bias.shape[0] != p.n ||
        (p.n > 1 && bias.strides[0] != 1))
      return std::nullopt;
  }
  p.a = matrix_of(a);
  p.b = matrix_of(b);
  p.out = matrix_of(out);
  p.batch = collapsed_batch(a, b, out);
  p.bias = call.bias;
  p.relu = call.relu;
  swap_if_transposed(p);
  fold_batch_into_rows(p);
  return p;
}

namespace {

constexpr std::int64_t most_launches = 64;

std::optional<BlasMatrix> blas_matrix(int pointer, const Matrix& m, std::int64_t rows,
                                      std::int64_t columns, std::int64_t batch_stride) {
  if (is_row_major(m, columns))
    return BlasMatrix{pointer, rows, columns, m.row, batch_stride, false};
  if (is_column_major(m, rows))
    return BlasMatrix{pointer, columns, rows, m.column, batch_stride, true};
  return std::nullopt;
}

}  // namespace

std::optional<BlasProduct> blas_product_of(const LibraryCall& call) {
  const auto product = product_of(call);
  if (!product || product->relu) return std::nullopt;
  const Product& p = *product;
  const DType dtype = call.output.dtype;
  if (dtype != float32 && dtype != float64) return std::nullopt;
  BlasProduct blas{p.m, p.k, p.n, {}, {}, {}, 1, p.batch, p.bias};
  Batch inner{1, 0, 0, 0};
  if (!blas.outer.empty()) {
    inner = blas.outer.back();
    blas.outer.pop_back();
  }
  blas.batch = inner.extent;
  const auto a = blas_matrix(p.swapped ? 1 : 0, p.a, p.m, p.k, inner.a);
  const auto b = blas_matrix(p.swapped ? 0 : 1, p.b, p.k, p.n, inner.b);
  const auto out = blas_matrix(-1, p.out, p.m, p.n, inner.out);
  if (!a || !b || !out || out->transposed || rounds_of(blas.outer) > most_launches)
    return std::nullopt;
  blas.a = *a;
  blas.b = *b;
  blas.out = *out;
  return blas;
}

std::string describe(const LibraryCall& call) {
  constexpr std::string_view kinds[] = {"matmul", "convolution", "convolution_input_gradient",
                                        "convolution_weight_gradient"};
  const auto view = [](const TensorView& v) {
    return fmt::format("{} {}", name(v.dtype), to_string(v.shape));
  };
  std::string text(kinds[static_cast<std::size_t>(call.kind)]);
  for (std::size_t k = 0; k < call.inputs.size(); ++k)
    text += (k == 0 ? " of " : ", ") + view(call.inputs[k]);
  return text + " to " + view(call.output) + (call.relu ? ", relu" : "");
}

std::int64_t rounds_of(const std::vector<Batch>& axes) {
  std::int64_t rounds = 1;
  for (const Batch& axis : axes) {
    if (__builtin_mul_overflow(rounds, axis.extent, &rounds))
      return std::numeric_limits<std::int64_t>::max();
  }
  return rounds;
}

Batch batch_at(const std::vector<Batch>& axes, std::int64_t round) {
  Batch at{0, 0, 0, 0};
  for (std::size_t k = axes.size(); k-- > 0;) {
    const Batch& axis = axes[k];
    at.a += round % axis.extent * axis.a;
    at.b += round % axis.extent * axis.b;
    at.out += round % axis.extent * axis.out;
    round /= axis.extent;
  }
  return at;
}

bool is_row_major(const Matrix& m, std::int64_t columns) {
  return m.column == 1 && m.row >= columns;
}
bool is_column_major(const Matrix& m, std::int64_t rows) { return m.row == 1 && m.column >= rows; }

bool is_ordinary(const TensorView& view) {
  if (view.strides.rank() != view.shape.rank()) return false;
  std::vector<int> axes;
  for (int axis = 0; axis < view.shape.rank(); ++axis) {
    if (view.shape[axis] < 1) return false;
    if (view.shape[axis] > 1) axes.push_back(axis);
  }
  std::sort(axes.begin(), axes.end(),
            [&](int a, int b) { return view.strides[a] < view.strides[b]; });
  std::int64_t least = 1;
  for (const int axis : axes) {
    if (view.strides[axis] < least) return false;
    if (__builtin_mul_overflow(view.strides[axis], view.shape[axis], &least)) return false;
  }
  return true;
}

bool is_channels_last(const TensorView& view) {
  std::int64_t stride = 1;
  for (const int axis : {1, 3, 2, 0}) {
    if (view.shape[axis] > 1 && view.strides[axis] != stride) return false;
    stride *= view.shape[axis];
  }
  return true;
}

ConvolutionViews views_of(const LibraryCall& call) {
  switch (call.kind) {
    case LibraryCall::Kind::convolution_input_gradient:
      return {&call.output, &call.inputs[1], &call.inputs[0]};
    case LibraryCall::Kind::convolution_weight_gradient:
      return {&call.inputs[0], &call.output, &call.inputs[1]};
    default:
      return {&call.inputs[0], &call.inputs[1], &call.output};
  }
}

bool is_convolution(const LibraryCall& call, LibraryCall::Kind kind, std::int64_t most) {
  const bool forward = kind == LibraryCall::Kind::convolution;
  if (call.kind != kind || call.inputs.size() != (call.bias ? 3U : 2U)) return false;
  if (!forward && (call.bias || call.relu)) return false;
  const auto [x, weights, y] = views_of(call);
  for (const TensorView* view : {x, weights, y})
    if (!is_image_like(*view, x->dtype, most)) return false;
  const std::int64_t groups = call.groups, outputs = weights->shape[0];
  if (groups < 1 || outputs % groups != 0 || x->shape[1] != weights->shape[1] * groups ||
      y->shape[1] != outputs || y->shape[0] != x->shape[0])
    return false;
  for (int i = 0; i < 2; ++i) {
    if (!fits(x->shape[2 + i], weights->shape[2 + i], y->shape[2 + i], call.stride[i],
              call.dilation[i], call.padding_low[i], call.padding_high[i]))
      return false;
  }
  return !call.bias || is_bias(call.inputs[2], x->dtype, outputs);
}

}  // namespace noyau
