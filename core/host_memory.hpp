// The host's memory: big blocks on huge pages of their own, the rest from malloc.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace noyau {

/// Uninitialised, aligned to 64 bytes; nullptr when there is none left. Pages come with first use.
std::byte* allocate_host_memory(std::size_t bytes);
/// `bytes` as it was allocated with.
void release_host_memory(std::byte* pointer, std::size_t bytes);

}  // namespace noyau
