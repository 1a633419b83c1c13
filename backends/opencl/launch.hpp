// The queue of an OpenCL device: enqueues lists of steps.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "backends/opencl/compiler.hpp"
#include "backends/opencl/memory.hpp"
#include "core/queue.hpp"

namespace noyau::opencl {

/// How items are spread over threads that take runs of them.
struct Runs {
  std::size_t threads[3] = {1, 1, 1};
  std::int64_t run[3] = {1, 1, 1};
};
/// Enough threads for `units` cores, none with too little to do; `cost`: instructions of all items.
Runs spread_items(const std::int64_t* extent, double cost, std::int64_t units);

class Queue final : public DeviceQueue {
 public:
  /// `queue` is in order.
  Queue(const Target& target, cl_command_queue queue, Memory& memory, std::int64_t units);

 private:
  /// What a submission holds: where external memory is found.
  using Held = std::vector<BufferRef>;
  /// Code and detail of a fault, where a kernel writes them.
  struct Fault {
    std::int64_t word[2] = {0, 0};
    cl_mem handle = nullptr;
    cl_int read = CL_SUCCESS;  ///< of reading them, where the host does not share them
    std::string kernel;
  };
  struct Timed {
    cl_event begin = nullptr;  ///< of a library's call: a marker before it
    cl_event event = nullptr;
    std::string name;
    std::int64_t bytes = 0;
  };
  struct ClJob final : Job {
    ~ClJob() override;
    cl_event finished = nullptr;
    std::vector<cl_mem> handles;  ///< of external memory, to be released
    std::deque<Fault> faults;     ///< addresses stay
    std::vector<Timed> timed;     ///< when launches are logged
  };

  std::shared_ptr<Job> make_job() override;
  void enqueue(const Submission& submission, Job& job) override;
  void mark(Job& job) noexcept override;
  bool is_over(const Job& job) noexcept override;
  void wait_until_over(const Job& job) noexcept override;
  void settle(Job& job) override;

  void enqueue_step(const LaunchStep& step, const Held& held, ClJob& job);
  void enqueue_kernel(const LaunchStep& step, const Held& held, ClJob& job, cl_event* event);
  void set_argument(const Kernel& kernel, const Code& code, cl_uint index, const LaunchStep& step,
                    const std::int64_t* extent, const Runs& runs, const Held& held, ClJob& job);
  void enqueue_library(const LaunchStep& step, const Held& held, ClJob& job, cl_event* begin,
                       cl_event* end);
  Place place_of(const std::byte* pointer, const Held& held, ClJob& job);
  void log(const ClJob& job) const;

  const Target& target_;
  const cl_command_queue queue_;
  Memory& memory_;
  const std::int64_t units_;
};

}  // namespace noyau::opencl
