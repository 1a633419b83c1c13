// Threads with a stack of 8 MiB, whatever `ulimit -s` gave the caller.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>

namespace noyau::llvm_backend {

inline constexpr std::size_t large_stack = std::size_t{8} << 20;

/// Starts a thread with a large stack; DeviceError when the system has none left. Fault point
/// "thread.start".
pthread_t start_thread(std::function<void()> work);

/// Runs `work` here when this thread has enough stack left for a compiler, else on a thread that
/// has; what it throws is thrown here.
void with_large_stack(const std::function<void()>& work);

}  // namespace noyau::llvm_backend
