// The queue of an OpenCL device: enqueues lists of steps, keeps their memory until they have run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <vector>

#include "backends/opencl/compiler.hpp"
#include "backends/opencl/memory.hpp"
#include "core/device.hpp"
#include "core/failures.hpp"

namespace noyau::opencl {

/// How items are spread over threads that take runs of them.
struct Runs {
  std::size_t threads[3] = {1, 1, 1};
  std::int64_t run[3] = {1, 1, 1};
};
/// Enough threads for `units` cores, none with too little to do.
Runs spread_items(const std::int64_t* extent, std::int64_t cost, std::int64_t units);

class Queue {
 public:
  Queue(const Target& target, Memory& memory, std::int64_t units);
  std::uint64_t submit(Submission submission);
  bool done(std::uint64_t ticket);
  void wait(std::uint64_t ticket);
  void synchronize();
  /// At exit: waits at most two seconds for what is queued.
  void finish();

 private:
  /// Code and detail of a fault, where a kernel writes them.
  struct Fault {
    std::int64_t word[2] = {0, 0};
    cl_mem handle = nullptr;
    std::string kernel;
  };
  struct Pending {
    std::uint64_t ticket = 0;
    cl_event finished = nullptr;
    Submission submission;
    std::vector<cl_mem> handles;  ///< of external memory, to be released
    std::deque<Fault> faults;     ///< addresses stay
    std::exception_ptr failure;
    std::vector<cl_event> timed;  ///< one a step, when launches are logged
  };

  void enqueue(const LaunchStep& step, Pending& job);
  void enqueue_kernel(const LaunchStep& step, Pending& job, cl_event* event);
  void set_argument(const Kernel& kernel, cl_uint index, const LaunchStep& step,
                    const std::int64_t* extent, const Runs& runs, Pending& job);
  Place place_of(std::byte* pointer, Pending& job);
  /// Takes out what has finished, in order; its memory goes when the list does.
  std::vector<Pending> take_finished();
  void settle(Pending& job);
  void log(const Pending& job) const;
  void retire();

  const Target& target_;
  Memory& memory_;
  const std::int64_t units_;
  cl_command_queue queue_ = nullptr;
  std::mutex mutex_;
  std::deque<Pending> pending_;
  std::uint64_t last_ = 0, completed_ = 0;
  Failures failures_;
};

}  // namespace noyau::opencl
