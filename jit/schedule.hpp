// Schedule: how a kernel is spread over a device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/device.hpp"
#include "jit/kernel.hpp"

namespace noyau::jit {

/// Chosen by one function, part of the key through the Program it leads to, printed by explain.
struct Schedule {
  enum class Shape : std::uint8_t {
    map,     ///< an item an element; lanes along the innermost axis
    flat,    ///< an item an element; lanes along all axes, for tiny innermost axes
    serial,  ///< an item a row of at most serial_rows elements
    column,  ///< an item a row whose neighbours lie side by side; virtual lanes in a private array
    gang,    ///< a block of 32 lanes a row
    split    ///< a block of 32 lanes a chunk of a row; the last block to finish combines
  };
  Shape shape = Shape::map;
  bool streamed = false;    ///< outputs bypass the cache
  bool row_buffer = false;  ///< dear row values are kept between stages
  bool strips = false;      ///< column, split: no blocks; an item goes through its row in strips of
                            ///< all its virtual lanes, side by side in private arrays
};
Schedule choose_schedule(const Kernel& kernel, const DeviceLimits& limits);
std::string print(const Schedule& schedule);

}  // namespace noyau::jit
