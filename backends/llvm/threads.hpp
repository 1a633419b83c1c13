// The one team of threads: OpenMP's, because oneDNN runs on it too.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace noyau::llvm_backend {

/// $NOYAU_THREADS, else the processors that this process may use. Read once.
int thread_count();

/// What runs a chunk of work: units [begin, end), by worker number `worker`.
struct Chunk {
  int worker;
  std::int64_t begin, end;
};
using ChunkFunction = void (*)(void* context, Chunk chunk);

/// Cuts `units` into one contiguous chunk for each thread, always the same one, so that a worker
/// meets the memory that it touched before. Only from the queue's thread: OpenMP keeps one team for
/// each thread that asks. `run` must not throw.
void parallel_for(std::int64_t units, int threads, ChunkFunction run, void* context);

}  // namespace noyau::llvm_backend
