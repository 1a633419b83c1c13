// Index arithmetic: how the elements of one array are reached from the axes of another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "noyau/shape.hpp"

namespace noyau::jit {

/// offset + sum of strides[x] * index[x] over some list of axes.
struct AffineMap {
  std::int64_t offset = 0;
  std::vector<std::int64_t> strides;
  bool operator==(const AffineMap&) const = default;
};

/// True when (offset, strides) over `shape` walks exactly the row-major elements of an array of the
/// same size, axes of extent 1 aside.
bool is_dense(std::int64_t offset, const Shape& strides, const Shape& shape);

/// Splits `map`, over axes of the given extents and into the row-major elements of `shape`, into
/// one map for each axis of `shape`. nullopt when an axis would wrap around, so that no such maps
/// exist.
std::optional<std::vector<AffineMap>> decompose(const AffineMap& map,
                                                std::span<const std::int64_t> extents,
                                                const Shape& shape);

/// The map of outer(inner): `coordinates` gives each axis of the inner shape as a map over the
/// kernel's axes, and (offset, strides) is over those axes.
AffineMap compose(std::int64_t offset, const Shape& strides, std::span<const AffineMap> coordinates,
                  std::size_t axes);

/// The strides over `extents` that reach, in memory laid out with `storage` strides, the elements
/// that `map` names in row-major order of `shape`; nullopt when they are not affine there.
std::optional<AffineMap> in_storage(const AffineMap& map, std::span<const std::int64_t> extents,
                                    const Shape& shape, const Shape& storage);

/// Cut points of a row-major space: the suffix products of its extents, from the whole size down to
/// 1, without repeats.
std::vector<std::int64_t> cut_points(const Shape& shape);
/// The common refinement of two lists of cut points; nullopt when they do not nest.
std::optional<std::vector<std::int64_t>> refine(std::span<const std::int64_t> a,
                                                std::span<const std::int64_t> b);

}  // namespace noyau::jit
