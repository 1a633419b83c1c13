// Threads with a stack of 8 MiB, whatever `ulimit -s` gave the caller.
// SPDX-License-Identifier: Apache-2.0
#include "backends/llvm/stack.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>

#include "core/fault.hpp"
#include "noyau/error.hpp"

namespace noyau::llvm_backend {
namespace {

/// Measured need of code generation: well below 1 MiB.
constexpr std::size_t enough_stack = std::size_t{2} << 20;

void* run_work(void* argument) {
  const std::unique_ptr<std::function<void()>> work(static_cast<std::function<void()>*>(argument));
  (*work)();
  return nullptr;
}

/// The lowest address of this thread's stack. The main thread's grows to `ulimit -s`.
const std::byte* stack_end() {
  thread_local const std::byte* const end = [] {
    pthread_attr_t attributes;
    void* lowest = nullptr;
    std::size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return (const std::byte*)nullptr;
    pthread_attr_getstack(&attributes, &lowest, &size);
    pthread_attr_destroy(&attributes);
    return static_cast<const std::byte*>(lowest);
  }();
  return end;
}

}  // namespace

pthread_t start_thread(std::function<void()> work) {
  auto kept = std::make_unique<std::function<void()>>(std::move(work));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, large_stack);
  // Signals are for the user's threads.
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pthread_t thread{};
  const int failed = fault::should_fail("thread.start")
                         ? EAGAIN
                         : pthread_create(&thread, &attributes, run_work, kept.get());
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  pthread_attr_destroy(&attributes);
  if (failed != 0) {
    throw DeviceError(
        fmt::format("cpu:0: cannot start a thread: {}; raise the limit of processes or of memory",
                    std::strerror(failed)));
  }
  kept.release();
  return thread;
}

void with_large_stack(const std::function<void()>& work) {
  const std::byte here{};
  const std::byte* end = stack_end();
  if (end == nullptr || static_cast<std::size_t>(&here - end) >= enough_stack) {
    work();
    return;
  }
  std::exception_ptr failure;
  const pthread_t thread = start_thread([&] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  pthread_join(thread, nullptr);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace noyau::llvm_backend
