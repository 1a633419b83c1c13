// The one team of threads: OpenMP's, because oneDNN runs on it too.
// SPDX-License-Identifier: Apache-2.0
#include "backends/llvm/threads.hpp"

#include <omp.h>
#include <sched.h>

#include <algorithm>

#include "core/log.hpp"

namespace noyau::llvm_backend {

int thread_count() {
  static const int count = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    const int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return static_cast<int>(environment::number("NOYAU_THREADS", std::max(allowed, 1), 1, 4096));
  }();
  return count;
}

void parallel_for(std::int64_t units, int threads, ChunkFunction run, void* context) {
  const int wanted = static_cast<int>(std::min<std::int64_t>(threads, units));
  if (wanted <= 1) {
    run(context, {0, 0, units});
    return;
  }
#pragma omp parallel num_threads(wanted)
  {
    const int worker = omp_get_thread_num(), workers = omp_get_num_threads();
    const std::int64_t each = units / workers, more = units % workers;
    const std::int64_t begin = worker * each + std::min<std::int64_t>(worker, more);
    const std::int64_t end = begin + each + (worker < more ? 1 : 0);
    if (begin < end) run(context, {worker, begin, end});
  }
}

}  // namespace noyau::llvm_backend
