// The registry of open gradient frames: which there are, and which nodes wait for their close.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace noyau {

/// Opens a frame in this thread and returns its number: larger than that of any before.
std::uint64_t open_frame();
/// Closes it; evaluated nodes that kept their inputs for it alone let go of them.
void close_frame(std::uint64_t frame);

}  // namespace noyau
