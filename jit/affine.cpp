// Index arithmetic: decomposing, composing and refining affine maps.
// SPDX-License-Identifier: Apache-2.0
#include "jit/affine.hpp"

#include <algorithm>
#include <functional>

namespace noyau::jit {

bool is_dense(std::int64_t offset, const Shape& strides, const Shape& shape) {
  if (offset != 0) return false;
  std::int64_t expected = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    if (shape[axis] != 1 && strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

namespace {

/// The axis of `shape` whose row-major stride divides `step`, as coarse as possible, extents of 1
/// skipped; -1 for none.
int axis_of_step(std::int64_t step, const Shape& shape, const Shape& dense) {
  const std::int64_t size = step < 0 ? -step : step;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] != 1 && dense[axis] <= size && size % dense[axis] == 0) return axis;
  return -1;
}

}  // namespace

std::optional<std::vector<AffineMap>> decompose(const AffineMap& map,
                                                std::span<const std::int64_t> extents,
                                                const Shape& shape) {
  const Shape dense = shape.dense_strides();
  std::vector<AffineMap> result(shape.size(),
                                AffineMap{0, std::vector<std::int64_t>(extents.size(), 0)});
  std::int64_t rest = map.offset;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1 || dense[axis] == 0) continue;
    result[static_cast<std::size_t>(axis)].offset = rest / dense[axis];
    rest %= dense[axis];
  }
  for (std::size_t x = 0; x < extents.size(); ++x) {
    if (map.strides[x] == 0 || extents[x] <= 1) continue;
    const int axis = axis_of_step(map.strides[x], shape, dense);
    if (axis < 0) return std::nullopt;
    result[static_cast<std::size_t>(axis)].strides[x] = map.strides[x] / dense[axis];
  }
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const AffineMap& m = result[static_cast<std::size_t>(axis)];
    std::int64_t low = m.offset, high = m.offset;
    for (std::size_t x = 0; x < extents.size(); ++x) {
      const std::int64_t reach = m.strides[x] * std::max<std::int64_t>(extents[x] - 1, 0);
      (reach < 0 ? low : high) += reach;
    }
    if (low < 0 || high >= std::max<std::int64_t>(shape[axis], 1)) return std::nullopt;
  }
  return result;
}

AffineMap compose(std::int64_t offset, const Shape& strides, std::span<const AffineMap> coordinates,
                  std::size_t axes) {
  AffineMap result{offset, std::vector<std::int64_t>(axes, 0)};
  for (int k = 0; k < strides.rank(); ++k) {
    const AffineMap& c = coordinates[static_cast<std::size_t>(k)];
    result.offset += strides[k] * c.offset;
    for (std::size_t x = 0; x < axes; ++x) result.strides[x] += strides[k] * c.strides[x];
  }
  return result;
}

std::optional<AffineMap> in_storage(const AffineMap& map, std::span<const std::int64_t> extents,
                                    const Shape& shape, const Shape& storage) {
  const Shape dense = shape.dense_strides();
  if (storage == dense) return map;  // row-major memory: the map says where already
  AffineMap result{0, std::vector<std::int64_t>(extents.size(), 0)};
  std::vector<std::int64_t> reach_of(shape.size(),
                                     0);  // highest coordinate used, to see that none wraps
  std::int64_t rest = map.offset;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1 || dense[axis] == 0) continue;
    const std::int64_t digit = rest / dense[axis];
    rest %= dense[axis];
    result.offset += digit * storage[axis];
    reach_of[static_cast<std::size_t>(axis)] = digit;
  }
  std::vector<std::int64_t> low_of = reach_of;
  for (std::size_t x = 0; x < extents.size(); ++x) {
    const std::int64_t step = map.strides[x];
    if (step == 0 || extents[x] <= 1) continue;
    int axis = axis_of_step(step, shape, dense);
    if (axis < 0) return std::nullopt;
    result.strides[x] = step / dense[axis] * storage[axis];
    const std::int64_t count = step / dense[axis];
    if (count == 1 && extents[x] > shape[axis]) {
      // The axis runs over several axes of the array: fine when they also follow each other in
      // storage, and it covers them whole.
      std::int64_t covered = shape[axis], expected = storage[axis] * shape[axis];
      reach_of[static_cast<std::size_t>(axis)] += shape[axis] - 1;
      while (covered < extents[x]) {
        do --axis;
        while (axis >= 0 && shape[axis] == 1);
        if (axis < 0 || storage[axis] != expected) return std::nullopt;
        const std::int64_t part = std::min(shape[axis], extents[x] / covered);
        if (extents[x] % covered != 0) return std::nullopt;
        reach_of[static_cast<std::size_t>(axis)] += part - 1;
        covered *= part;
        expected *= shape[axis];
        if (part < shape[axis] && covered < extents[x]) return std::nullopt;
      }
    } else {
      const std::int64_t reach = count * (extents[x] - 1);
      (reach < 0 ? low_of : reach_of)[static_cast<std::size_t>(axis)] += reach;
    }
  }
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto k = static_cast<std::size_t>(axis);
    if (low_of[k] < 0 || reach_of[k] >= std::max<std::int64_t>(shape[axis], 1)) return std::nullopt;
  }
  return result;
}

std::vector<std::int64_t> cut_points(const Shape& shape) {
  std::vector<std::int64_t> cuts{1};
  for (int axis = shape.rank() - 1; axis >= 0; --axis)
    if (shape[axis] != 1) cuts.push_back(cuts.back() * shape[axis]);
  std::reverse(cuts.begin(), cuts.end());
  return cuts;
}

std::optional<std::vector<std::int64_t>> refine(std::span<const std::int64_t> a,
                                                std::span<const std::int64_t> b) {
  std::vector<std::int64_t> cuts;
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(cuts), std::greater<>());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  for (std::size_t k = 0; k + 1 < cuts.size(); ++k)
    if (cuts[k + 1] == 0 || cuts[k] % cuts[k + 1] != 0) return std::nullopt;
  return cuts;
}

}  // namespace noyau::jit
