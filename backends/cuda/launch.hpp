// The queue of a CUDA device: a stream that steps are enqueued on, and what is known of its jobs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <vector>

#include "backends/cuda/compiler.hpp"
#include "backends/cuda/memory.hpp"
#include "core/device.hpp"
#include "core/failures.hpp"

namespace noyau::cuda {

/// Threads of a launch.
struct Grid {
  unsigned blocks[3] = {1, 1, 1};
  unsigned threads[3] = {1, 1, 1};
};
/// For `extent` items, which step by the size of the launch, on `units` multiprocessors.
Grid grid_of_items(const std::int64_t* extent, std::int64_t units);

/// Runs steps in order on one stream. Any thread.
class Queue {
 public:
  Queue(const Target& target, std::int64_t units);
  std::uint64_t submit(Submission submission);
  bool done(std::uint64_t ticket);
  void wait(std::uint64_t ticket);
  void synchronize();
  /// At exit: waits at most two seconds for what is queued.
  void finish();
  void copy_to_host(const std::byte* from, void* to, std::size_t bytes);
  void copy_from_host(const void* from, std::byte* to, std::size_t bytes);

 private:
  struct Fault {
    FaultWords* words = nullptr;
    std::string kernel;
  };
  struct Timed {
    Event begin = nullptr, end = nullptr;
    std::string name;
    std::int64_t bytes = 0;
  };
  struct Pending {
    std::uint64_t ticket = 0;
    Event finished = nullptr;
    std::shared_ptr<const void> owner;  ///< of the executables
    std::vector<Fault> faults;
    std::vector<Timed> timed;  ///< when launches are logged
    std::exception_ptr failure;
    bool inherited = false;            ///< the failure is that of a job it read from
    std::vector<std::uint64_t> after;  ///< those jobs
  };

  void enqueue(const LaunchStep& step, Pending& job);
  void enqueue_timed(const LaunchStep& step, Pending& job);
  void enqueue_kernel(const LaunchStep& step, Pending& job);
  Event take_event();
  bool is_over(Pending& job);
  void settle(Pending& job);
  void log(const Pending& job);
  void retire();

  const Target& target_;
  const std::int64_t units_;
  Stream stream_ = nullptr;
  Staging staging_;
  FaultPool fault_pool_;
  std::mutex mutex_;
  std::vector<Event> events_;  ///< that nobody uses
  std::deque<Pending> pending_;
  std::uint64_t last_ = 0, completed_ = 0;
  Failures failures_;
};

}  // namespace noyau::cuda
