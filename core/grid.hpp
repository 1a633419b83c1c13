// How items are spread over the blocks of threads of a GPU.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace noyau {

/// Threads of a launch.
struct Grid {
  unsigned blocks[3] = {1, 1, 1};
  unsigned threads[3] = {1, 1, 1};
};
/// The most blocks of a launch on each axis.
inline constexpr std::int64_t most_blocks[3] = {0x7fffffff, 65535, 65535};

/// For `extent` items, which step by the size of the launch, on `units` multiprocessors: blocks of
/// at most `threads` threads, a power of two.
Grid grid_of_items(const std::int64_t* extent, std::int64_t units, std::int64_t threads = 256);

}  // namespace noyau
