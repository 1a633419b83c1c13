// Blocks for items.
// SPDX-License-Identifier: Apache-2.0
#include "core/grid.hpp"

#include <algorithm>
#include <bit>

namespace noyau {

Grid grid_of_items(const std::int64_t* extent, std::int64_t units, std::int64_t threads) {
  constexpr std::int64_t blocks_of_unit = 32, most_threads[3] = {1024, 1024, 64};
  Grid grid;
  std::int64_t free_threads = threads, wanted = std::max<std::int64_t>(units, 1) * blocks_of_unit;
  for (int axis = 0; axis < 3; ++axis) {
    const auto up = static_cast<std::int64_t>(
        std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(extent[axis], 1))));
    const std::int64_t used = std::min({free_threads, up, most_threads[axis]});
    free_threads /= used;
    const std::int64_t needed = (extent[axis] + used - 1) / used;
    const std::int64_t blocks =
        std::clamp<std::int64_t>(std::min(needed, wanted), 1, most_blocks[axis]);
    wanted = std::max<std::int64_t>(wanted / blocks, 1);
    grid.threads[axis] = static_cast<unsigned>(used);
    grid.blocks[axis] = static_cast<unsigned>(blocks);
  }
  return grid;
}

}  // namespace noyau
