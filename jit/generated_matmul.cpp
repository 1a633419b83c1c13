// The generated matrix product: tiles of rows, lanes along columns.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "jit/generated_tools.hpp"

namespace noyau::jit {
namespace {

/// One batch axis of the three views.
struct BatchAxis {
  std::int64_t extent, a, b, out;
};

/// The batch axes, outermost first, those that are one run of memory joined.
std::vector<BatchAxis> batch_axes(const TensorView& a, const TensorView& b, const TensorView& out) {
  std::vector<BatchAxis> axes;
  for (int k = 0; k + 2 < out.shape.rank(); ++k) {
    const std::int64_t extent = out.shape[k];
    if (extent == 1) continue;
    const BatchAxis axis{extent, a.strides[k], b.strides[k], out.strides[k]};
    if (!axes.empty()) {
      BatchAxis& outer = axes.back();
      if (outer.a == axis.a * extent && outer.b == axis.b * extent &&
          outer.out == axis.out * extent) {
        outer = {outer.extent * extent, axis.a, axis.b, axis.out};
        continue;
      }
    }
    axes.push_back(axis);
  }
  return axes;
}

/// `view` with these batch axes before its last two.
TensorView with_batch(const TensorView& view, const std::vector<BatchAxis>& axes,
                      std::int64_t BatchAxis::*stride, bool transposed) {
  TensorView made{view.dtype, {}, {}};
  for (const BatchAxis& axis : axes) {
    made.shape.push_back(axis.extent);
    made.strides.push_back(axis.*stride);
  }
  const int rank = view.shape.rank();
  for (int k : {transposed ? rank - 1 : rank - 2, transposed ? rank - 2 : rank - 1}) {
    made.shape.push_back(view.shape[k]);
    made.strides.push_back(view.strides[k]);
  }
  return made;
}

std::int64_t rows_of_tile(std::int64_t rows) {
  for (std::int64_t tile : {8, 4, 2})
    if (rows >= tile) return tile;
  return 1;
}

/// `swapped`: b is the launch's first buffer.
GeneratedKernel tiled(const TensorView& a, const TensorView& b, const TensorView& out,
                      bool swapped) {
  const int rank = out.shape.rank();
  const auto m = static_cast<std::size_t>(rank - 2), n = m + 1;
  const std::int64_t rows = out.shape[rank - 2], tile = rows_of_tile(rows);
  GeneratedBuilder g("matmul");
  StridedBuffer first = g.input(swapped ? b : a, "a"), second = g.input(swapped ? a : b, "b");
  if (swapped) std::swap(first, second);
  const StridedBuffer &from_a = first, &from_b = second, to = g.output(out, "out");
  const Value inner = g.number(a.shape[rank - 1], "inner"),
              last_row = g.number(rows - 1, "last_row");
  std::vector<std::int64_t> extents(out.shape.begin(), out.shape.end()),
      strides(out.strides.begin(), out.strides.end());
  extents[m] = (rows + tile - 1) / tile;
  strides[m] *= tile;
  const std::vector<Value> index = g.spread(extents, strides);

  // Rows past the last are the last once more: computed and stored again, the same value.
  std::vector<Value> row, row_offset, sums;
  std::vector<Value> at = index;
  const Value zero = g.ir().constant_i64(0);
  for (std::int64_t r = 0; r < tile; ++r) {
    at[m] = tile == 1 ? index[m] : g.minimum(g.plus(g.times(index[m], tile), r), last_row);
    row.push_back(at[m]);
    std::vector<Value> start = at;
    start[n] = zero;
    row_offset.push_back(g.offset(from_a, start));
    sums.push_back(g.zero(out.dtype));
  }
  at = index;
  at[m] = zero;
  const Value column_offset = g.offset(from_b, at);
  sums = g.loop(zero, inner, sums, [&](Value k, std::span<const Value> before) {
    const Value x = g.ir().load(from_b.memory, g.add(g.term(from_b, m, k), column_offset));
    const Value step = g.term(from_a, n, k);
    std::vector<Value> after;
    for (std::size_t r = 0; r < before.size(); ++r) {
      const Value factor = g.ir().load(from_a.memory, g.add(row_offset[r], step));
      after.push_back(g.multiply_add(factor, x, before[r]));
    }
    return after;
  });
  for (std::size_t r = 0; r < sums.size(); ++r) {
    at = index;
    at[m] = row[r];
    g.store(to, at, sums[r]);
  }
  return g.take();
}

}  // namespace

GeneratedKernel matmul_kernel(const TensorView& a, const TensorView& b, const TensorView& out) {
  require(a.dtype == out.dtype && b.dtype == out.dtype, "matmul of mixed dtypes");
  const int rank = out.shape.rank();
  require(rank >= 2 && a.shape.rank() == rank && b.shape.rank() == rank, "matmul of other ranks");
  const auto axes = batch_axes(a, b, out);
  // Lanes run along columns; when rows are the contiguous axis, the transposed product is computed.
  const std::int64_t rows = out.shape[rank - 2], columns = out.shape[rank - 1];
  const bool by_rows = rows > 1 && (columns == 1 || std::abs(out.strides[rank - 2]) <
                                                        std::abs(out.strides[rank - 1]));
  const TensorView to = with_batch(out, axes, &BatchAxis::out, by_rows);
  const TensorView left = with_batch(a, axes, &BatchAxis::a, by_rows);
  const TensorView right = with_batch(b, axes, &BatchAxis::b, by_rows);
  return by_rows ? tiled(right, left, to, true) : tiled(left, right, to, false);
}

}  // namespace noyau::jit
