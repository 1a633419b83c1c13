// Matrix products with NumPy's rules, brought to nodes whose batch axes are equal.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/build.hpp"

namespace noyau {

using namespace ops;

namespace {

Shape batch_of(const Array& x) {
  Shape batch = x.shape();
  batch.erase(batch.rank() - 1);
  batch.erase(batch.rank() - 1);
  return batch;
}

Shape with_matrix(Shape batch, std::int64_t rows, std::int64_t columns) {
  batch.push_back(rows);
  batch.push_back(columns);
  return batch;
}

/// Integers have no fma chain: products and 64-bit sums, brought back to the dtype.
Array integer_product(const Array& a, const Array& b) {
  return astype(sum(expand_dims(a, -1) * expand_dims(b, -3), -2), a.dtype());
}

/// The product of arrays of rank 2 or more and one dtype, whose inner extents agree.
Array product(const Array& a, const Array& b, Caller caller) {
  const std::int64_t rows = a.shape()[a.rank() - 2], inner = a.shape().back();
  const std::int64_t columns = b.shape().back();
  const Shape batch = broadcast_shapes(batch_of(a), batch_of(b), "matmul");
  const Shape shape = with_matrix(batch, rows, columns);
  if (inner == 0 || shape.elements() == 0) {
    return constant(Scalar::of(0).as(a.dtype()), shape, a.device(), caller);
  }
  if (!is_floating(a.dtype())) return integer_product(a, b);
  if (b.rank() == 2 && a.rank() > 2) {
    // One matrix for the whole batch: a taller product.
    const Array tall = reshape_view(a, {batch.elements() * rows, inner}, caller);
    return reshape_view(product(tall, b, caller), shape, caller);
  }
  const Array inputs[] = {broadcast_view(a, with_matrix(batch, rows, inner), caller),
                          broadcast_view(b, with_matrix(batch, inner, columns), caller)};
  return make_node({.kind = NodeKind::matmul,
                    .dtype = a.dtype(),
                    .shape = shape,
                    .inputs = inputs,
                    .file = caller.file,
                    .line = caller.line});
}

}  // namespace

Array matmul(Operand x, Operand y) {
  const CallerScope scope(x.file(), x.line());
  Array a = to_array(x), b = to_array(y);
  const std::string both = fmt::format("{} and {}", to_string(a.shape()), to_string(b.shape()));
  if (a.rank() == 0 || b.rank() == 0) {
    throw ShapeError(fmt::format(
        "[matmul] shapes {}: an operand without axes is a number; multiply by it with x * y",
        both));
  }
  const std::int64_t a_inner = a.shape().back();
  const std::int64_t b_inner = b.shape()[b.rank() == 1 ? 0 : b.rank() - 2];
  if (a_inner != b_inner) {
    throw ShapeError(fmt::format(
        "[matmul] shapes {} do not multiply: the last axis of the first has extent {}, the {} axis "
        "of the second {}, and they must be equal; transpose one with swap_axes(x, -2, -1)?",
        both, a_inner, b.rank() == 1 ? "only" : "last but one", b_inner));
  }
  const DType dtype = promote(a.dtype(), b.dtype());
  if (dtype == bool_) {
    throw DtypeError(
        "[matmul] means nothing for bool: convert with astype(x, noyau::float32), or use "
        "any(expand_dims(a, -1) & expand_dims(b, -3), -2)");
  }
  a = cast(a, computed_in(dtype), {});
  b = cast(b, computed_in(dtype), {});
  const bool row = a.rank() == 1, column = b.rank() == 1;
  if (row) a = expand_dims(a, 0);
  if (column) b = expand_dims(b, 1);
  const Precision allowed(product_precision(dtype));
  const Array result = product(a, b, {});
  Shape shape = result.shape();
  if (column) shape.erase(shape.rank() - 1);
  if (row) shape.erase(shape.rank() - (column ? 1 : 2));
  return cast(reshape_view(result, shape, {}), dtype, {});
}

Array outer(Operand x, Operand y) {
  const CallerScope scope(x.file(), x.line());
  const Array a = to_array(x), b = to_array(y);
  if (a.rank() != 1 || b.rank() != 1) {
    throw ShapeError(fmt::format(
        "[outer] shapes {} and {}: takes two arrays of one axis; flatten with reshape(x, {{-1}})",
        to_string(a.shape()), to_string(b.shape())));
  }
  return expand_dims(a, 1) * expand_dims(b, 0);
}

}  // namespace noyau
