// A small pool of threads, started as they are needed and never stopped.
// SPDX-License-Identifier: Apache-2.0
#include "jit/compile_threads.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <vector>

#include "core/fault.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

constexpr std::size_t stack_bytes = std::size_t{8} << 20;
constexpr int most_threads = 16;

int cores() {
  cpu_set_t allowed;
  const bool known = ::sched_getaffinity(0, sizeof allowed, &allowed) == 0;
  return std::clamp(known ? CPU_COUNT(&allowed) : 1, 1, most_threads);
}

/// One call of run_on_compile_threads.
struct Batch {
  std::span<const std::function<void()>> tasks;
  std::vector<std::exception_ptr> failures;
  std::size_t left;
};

class CompileThreads {
 public:
  void run(std::span<const std::function<void()>> tasks);

 private:
  struct Task {
    Batch* batch;
    std::size_t number;
  };
  void start_threads();
  void work();
  void run_next(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable more_, finished_;
  std::deque<Task> queue_;
  int threads_ = 0, idle_ = 0;
  const pid_t process_ = ::getpid();
};

void CompileThreads::run(std::span<const std::function<void()>> tasks) {
  if (::getpid() != process_) {
    throw DeviceError(
        "[compile] this process was forked from one that had compiled kernels, whose threads it "
        "does not have: start it with exec or posix_spawn, or fork before the first array");
  }
  Batch batch{tasks, std::vector<std::exception_ptr>(tasks.size()), tasks.size()};
  std::unique_lock lock(mutex_);
  try {
    for (std::size_t i = 0; i < tasks.size(); ++i) queue_.push_back({&batch, i});
    start_threads();
  } catch (...) {
    std::erase_if(queue_, [&](const Task& task) { return task.batch == &batch; });
    throw;
  }
  more_.notify_all();
  while (threads_ == 0 && !queue_.empty()) run_next(lock);
  finished_.wait(lock, [&] { return batch.left == 0; });
  for (const std::exception_ptr& failure : batch.failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

/// As many as there is work for and cores allow. Fewer are enough; none means the caller works.
void CompileThreads::start_threads() {
  static const int most = cores();
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return;
  (void)::pthread_attr_setstacksize(&attributes, stack_bytes);
  (void)::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigset_t all_signals;  // the program's handlers run on the program's threads
  sigfillset(&all_signals);
  (void)::pthread_attr_setsigmask_np(&attributes, &all_signals);
  auto enter = [](void* pool) -> void* {
    static_cast<CompileThreads*>(pool)->work();
    return nullptr;
  };
  for (int wanted = static_cast<int>(queue_.size()) - idle_; wanted > 0 && threads_ < most;
       --wanted) {
    pthread_t thread;
    if (fault::should_fail("thread.start")) break;
    if (::pthread_create(&thread, &attributes, enter, this) != 0) break;
    ++threads_;
  }
  (void)::pthread_attr_destroy(&attributes);
}

void CompileThreads::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    more_.wait(lock, [this] { return !queue_.empty(); });
    --idle_;
    run_next(lock);
  }
}

/// Runs the task at the head of the queue, without the lock.
void CompileThreads::run_next(std::unique_lock<std::mutex>& lock) {
  const Task task = queue_.front();
  queue_.pop_front();
  lock.unlock();
  std::exception_ptr failure;
  try {
    task.batch->tasks[task.number]();
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  task.batch->failures[task.number] = std::move(failure);
  if (--task.batch->left == 0) finished_.notify_all();
}

}  // namespace

void run_on_compile_threads(std::span<const std::function<void()>> tasks) {
  static auto& pool = *new CompileThreads;  // its threads outlive static destructors
  pool.run(tasks);
}

}  // namespace noyau::jit
