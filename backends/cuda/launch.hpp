// The queue of a CUDA device: a stream that steps are enqueued on, and what is known of its jobs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/cuda/compiler.hpp"
#include "backends/cuda/graph.hpp"
#include "backends/cuda/memory.hpp"
#include "core/queue.hpp"

namespace noyau::cuda {

/// Runs steps in order on one stream. Any thread.
class Queue final : public DeviceQueue {
 public:
  Queue(const Target& target, std::int64_t units);
  void copy_to_host(const std::byte* from, void* to, std::size_t bytes);
  void copy_from_host(const void* from, std::byte* to, std::size_t bytes);
  /// From memory of `source`: peer to peer where the hardware can, else the driver goes through
  /// pinned memory.
  void copy_from_device(Queue& source, const std::byte* from, std::byte* to, std::size_t bytes);

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
  struct CudaJob final : Job {
    explicit CudaJob(Queue& its) : queue(its) {}
    ~CudaJob() override;
    Queue& queue;
    Event finished = nullptr;
    std::vector<Fault> faults;
    std::vector<Timed> timed;  ///< when launches are logged
  };

  std::shared_ptr<Job> make_job() override;
  void enqueue(const Submission& submission, Job& job) override;
  void mark(Job& job) noexcept override;
  bool is_over(const Job& job) noexcept override;
  void wait_until_over(const Job& job) noexcept override;
  void settle(Job& job) override;

  bool run_as_graph(const Submission& submission, CudaJob& job);
  KernelCall call_of(const LaunchStep& step, CudaJob& job);
  void enqueue_step(const LaunchStep& step, CudaJob& job);
  void enqueue_timed(const LaunchStep& step, CudaJob& job);
  void enqueue_kernel(const LaunchStep& step, CudaJob& job);
  void log(const CudaJob& job);
  /// The streams, made with the context when they are first needed: that of the work, and one on
  /// which library calls are captured.
  Stream stream();
  Stream capture_stream();
  void make_streams();
  /// What is enqueued here later comes after what is enqueued at `other` by now.
  void follow(Queue& other);
  void use_memory_of(const Queue& other);
  Event take_event();
  void give_back(Event event);

  const Target& target_;
  const std::int64_t units_;
  const bool graphs_;
  std::once_flag streams_once_;
  Stream stream_ = nullptr, capture_stream_ = nullptr;
  Staging staging_;
  FaultPool fault_pool_;
  std::mutex events_mutex_;
  std::vector<Event> events_;  ///< that nobody uses
  std::mutex peers_mutex_;
  std::vector<Context> peers_;  ///< looked at: their memory may be reached from here, or not
};

}  // namespace noyau::cuda
