// The host's memory as the CPU device sees it: its size and its caches. core/host_memory allocates.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace noyau::llvm_backend {

/// Bytes of the data or unified cache of a level, by sysfs; `otherwise` when it does not say.
std::int64_t cache_bytes(int level, std::int64_t otherwise);
/// Bytes of the host's memory.
std::int64_t memory_bytes();

}  // namespace noyau::llvm_backend
