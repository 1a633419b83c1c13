// The rules of reductions.
// SPDX-License-Identifier: Apache-2.0
#include "ops/gradient_rules.hpp"

namespace noyau::ops {
namespace {

/// What belongs to the reduced array, spread over the input's shape.
Array spread(const Array& reduced, const Array& x, const std::vector<int>& axes) {
  return broadcast_view(reshape_view(reduced, reduced_shape(x.shape(), axes, true), {}), x.shape(),
                        {});
}

/// For each element the product of all others along the last axis: right where some are zero, for
/// nothing is divided. A tree: products of pairs, of fours ... upwards; then each one's product of
/// others from its parent's, times its sibling. The extent is a power of two.
Array products_of_others(const Array& x) {
  std::vector<Array> levels{x};
  while (levels.back().shape().back() > 1) {
    const Array& level = levels.back();
    Shape pairs = level.shape();
    pairs[pairs.rank() - 1] /= 2;
    pairs.push_back(2);
    levels.push_back(prod(reshape_view(level, pairs, {}), -1));
  }
  Array others = constant_like(1, levels.back());
  for (std::size_t k = levels.size() - 1; k-- > 0;) {
    const Shape& shape = levels[k].shape();
    Shape pairs = shape;
    pairs[pairs.rank() - 1] /= 2;
    pairs.push_back(2);
    const Array siblings = flip(reshape_view(levels[k], pairs, {}), -1);
    others = reshape_view(expand_dims(others, -1) * siblings, shape, {});
  }
  return others;
}

Array product_gradient(const Array& x, const Array& cotangent, const std::vector<int>& axes) {
  // The reduced axes become one, the last, and are filled up with ones to a power of two.
  std::vector<int> order;
  Shape kept;
  std::int64_t count = 1;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (std::binary_search(axes.begin(), axes.end(), axis)) continue;
    order.push_back(axis);
    kept.push_back(x.shape()[axis]);
  }
  for (int axis : axes) {
    order.push_back(axis);
    count *= x.shape()[axis];
  }
  std::int64_t padded = 1;
  while (padded < count) padded *= 2;

  const Array moved = permute_view(x, order, {});
  const std::int64_t rows = kept.elements();
  const Array rows_of = reshape_view(moved, {rows, count}, {});
  const Array others =
      products_of_others(pad(rows_of, {{0, 0}, {0, padded - count}}, Pad::constant, 1));
  const Array back =
      reshape_view(slice_view(others, {rows, count}, {0, 0}, {1, 1}, {}), moved.shape(), {});
  std::vector<int> inverse(order.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    inverse[static_cast<std::size_t>(order[k])] = static_cast<int>(k);
  }
  return spread(cotangent, x, axes) * permute_view(back, inverse, {});
}

/// The number of each element among those that are reduced together, in row-major order.
Array positions(const Array& x, const std::vector<int>& axes) {
  Shape shape = Shape::filled(x.rank(), 1);
  for (int axis : axes) shape[axis] = x.shape()[axis];
  const Array number = make_node({.kind = NodeKind::iota,
                                  .dtype = int64,
                                  .shape = Shape{shape.elements()},
                                  .attributes = IotaAttributes{.start = Scalar::of(std::int64_t{0}),
                                                               .step = Scalar::of(std::int64_t{1})},
                                  .device = x.device()});
  return broadcast_view(reshape_view(number, shape, {}), x.shape(), {});
}

/// The first extreme in row-major order gets it all.
Array extreme_gradient(const Array& x, const Array& cotangent, const Node& node,
                       const std::vector<int>& axes) {
  const Array first = make_node({.kind = NodeKind::arg_reduce,
                                 .code = node.code,
                                 .dtype = int64,
                                 .shape = reduced_shape(x.shape(), axes, true),
                                 .inputs = {&x, 1},
                                 .attributes = AxesAttributes{axes, true}});
  const Array chosen = equal(positions(x, axes), broadcast_view(first, x.shape(), {}));
  return where(chosen, spread(cotangent, x, axes), 0);
}

}  // namespace

void differentiate_reduce(Backward& b) {
  const std::vector<int>& axes = std::get<AxesAttributes>(b.node.attributes).axes;
  const Array x = b.input(0);
  switch (static_cast<ReduceOp>(b.node.code)) {
    case ReduceOp::sum:
      b.cotangents[0] = spread(b.cotangent, x, axes);
      return;
    case ReduceOp::product:
      b.cotangents[0] = product_gradient(x, b.cotangent, axes);
      return;
    case ReduceOp::minimum:
    case ReduceOp::maximum:
      b.cotangents[0] = extreme_gradient(x, b.cotangent, b.node, axes);
      b.masks = true;
      return;
    case ReduceOp::any:
    case ReduceOp::all:
      return;
  }
}

}  // namespace noyau::ops
