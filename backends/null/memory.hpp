// Memory of a null device: the host's, treated as if the host could not touch it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace noyau::null {

/// Aligned to 64 bytes; nullptr when there is none left.
std::byte* allocate(std::size_t bytes);
void release(std::byte* pointer);

}  // namespace noyau::null
