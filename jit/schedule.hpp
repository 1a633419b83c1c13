// Schedule: how a kernel is spread over a device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/device.hpp"
#include "jit/kernel.hpp"

namespace noyau::jit {

/// Chosen by one function for each class of device, part of the key through the Program it leads
/// to, printed by explain. In brackets: what it is where blocks have many threads.
struct Schedule {
  enum class Shape : std::uint8_t {
    map,     ///< an item an element; lanes along the innermost axis [a thread some vectors]
    flat,    ///< an item an element; lanes along all axes, for tiny innermost axes
    serial,  ///< an item a row of at most serial_rows elements [a thread a row]
    column,  ///< an item a row whose neighbours lie side by side; virtual lanes in a private array
             ///< [a block `width` such rows, a thread some virtual lanes of one of them]
    gang,    ///< a block of 32 lanes a row [32 threads a row, several rows a block]
    split,   ///< a block of 32 lanes a chunk of a row; the last block to finish combines [a block a
             ///< chunk, of `width` rows where they lie side by side]
    // Of blocks of many threads alone:
    block,  ///< a block a row
    tile  ///< a block 32 x 32 `batch` elements; loads that run along another axis go through shared
          ///< memory
  };
  Shape shape = Shape::map;
  bool streamed = false;    ///< outputs bypass the cache
  bool row_buffer = false;  ///< dear row values are kept between stages
  bool strips = false;      ///< column, split: no blocks; an item goes through its row in strips of
                            ///< all its virtual lanes, side by side in private arrays
  std::int32_t threads = 0;  ///< of a block; 0: items, or blocks of 32 lanes
  std::int32_t vector = 1;  ///< map, serial: elements that a thread loads (map: and stores) at once
  std::int32_t batch = 1;   ///< map: vectors of a thread; rows: elements that a thread loads before
                            ///< it uses the first
  bool columns = false;     ///< split: rows lie side by side
  std::int32_t width = 32;  ///< column, split of columns: rows of a block
  bool narrow = false;      ///< indices have 32 bits
  std::int32_t tile_axis = -1;  ///< tile: the axis along which the slow loads are contiguous
  std::int64_t row_bytes = 0;   ///< gang, block: shared memory of a block for row values that later
                                ///< stages need
};
Schedule choose_schedule(const Kernel& kernel, const DeviceLimits& limits);
std::string print(const Schedule& schedule);

}  // namespace noyau::jit
