// Memory of a null device.
// SPDX-License-Identifier: Apache-2.0
#include "backends/null/memory.hpp"

#include <cstdlib>

namespace noyau::null {

constexpr std::size_t alignment = 64;

std::byte* allocate(std::size_t bytes) {
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (rounded < bytes) return nullptr;
  return static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
}

void release(std::byte* pointer) { std::free(pointer); }

}  // namespace noyau::null
