// The threads that kernels are compiled on: few, long-lived, with stacks of a known size.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>

namespace noyau::jit {

/// Runs all `tasks` on the compile threads, as many at once as there are cores, and returns when
/// every one has ended; then throws what the first failed one threw, if any. Each thread has 8 MiB
/// of stack, whatever `ulimit -s` says. Without threads (fault point "thread.start") the caller
/// runs them. DeviceError in a process forked from one that has compiled.
void run_on_compile_threads(std::span<const std::function<void()>> tasks);

}  // namespace noyau::jit
