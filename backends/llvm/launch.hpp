// The queue of the CPU: runs lists of steps in order, small ones at once on the caller.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "backends/llvm/compiler.hpp"
#include "core/queue.hpp"

namespace noyau::llvm_backend {

/// Runs steps on the thread that calls it; keeps the memory of shared and private arrays.
class StepRunner {
 public:
  explicit StepRunner(int threads) : threads_(threads) {}
  ~StepRunner();
  StepRunner(const StepRunner&) = delete;
  StepRunner& operator=(const StepRunner&) = delete;

  /// IndexError when a kernel reported a fault.
  void run(const LaunchStep& step);

 private:
  void run_step(const LaunchStep& step);
  void run_kernel(const LaunchStep& step);
  void* const* memory_table(const Kernel& kernel, const LaunchStep& step, int workers);
  void reserve(std::size_t bytes);
  int workers_for(std::int64_t units, double nanoseconds) const;

  const int threads_;
  std::vector<void*> tables_;  ///< one a worker, end to end
  std::byte* arena_ = nullptr;
  std::size_t arena_bytes_ = 0;
};

/// About how long a step takes on one thread.
double estimated_nanoseconds(const LaunchStep& step);

class Queue final : public noyau::Queue {
 public:
  Queue();
  std::uint64_t submit(Submission submission) override;

 private:
  struct Job {
    std::uint64_t ticket = 0;
    Submission submission;
  };
  void start();
  void loop();
  bool take(Job& job);
  void run(StepRunner& runner, Job& job);
  void complete(std::uint64_t ticket);
  void wait_for(std::uint64_t ticket) override;
  void stop(bool idle) override;

  std::condition_variable work_, done_;
  std::deque<Job> jobs_;
  std::atomic<std::uint64_t> submitted_{0};  ///< the newest ticket that the thread is to run
  std::atomic<int> waiting_{0};              ///< threads in done_
  std::mutex waiting_mutex_;
  StepRunner inline_runner_;
  bool started_ = false;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ended_{false};
  pthread_t thread_{};
};

}  // namespace noyau::llvm_backend
