// The geometry of pooling windows along one direction, for the kernels that pool and their
// gradients.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "jit/generated_tools.hpp"

namespace noyau::jit {

/// Windows of at most so many cells are straight code; larger ones are loops.
inline constexpr std::int64_t most_unrolled_cells = 25;

/// One direction of pooling. `index` is that of a window or of a position, as the kernel says.
struct PoolDirection {
  std::int64_t window, stride, low, high;  ///< constants of straight code
  std::int64_t extent, windows;            ///< of the input and of the output
  Value extent_value, last, windows_value, last_window;
  Value window_value, stride_value, low_value;  ///< parameters of loops, constants of straight code
  Value padded_end;                             ///< extent + high
  bool whole;                                   ///< every window lies inside the input
};
PoolDirection pool_direction(GeneratedBuilder& g, const WindowAttributes& w, int d,
                             std::int64_t extent, std::int64_t windows, bool unrolled);

/// Whether the windows are small enough for straight code.
bool is_unrolled(const WindowAttributes& w);

/// How many windows can cover one position.
std::int64_t covering_windows(const PoolDirection& d);
/// The first cell of window o, which may lie in the padding.
Value window_begin(GeneratedBuilder& g, const PoolDirection& d, Value o);
/// The cells of window o inside the padded input, in this direction.
Value window_cells(GeneratedBuilder& g, const PoolDirection& d, Value o);

}  // namespace noyau::jit
