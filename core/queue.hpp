// What the queues of all devices have in common: tickets, waiting, failures by ticket, the end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.hpp"
#include "core/failures.hpp"
#include "noyau/error.hpp"

namespace noyau {

/// Runs submissions in order. Any thread may call.
class Queue {
 public:
  /// `device`: its name, for messages.
  explicit Queue(std::string device);
  virtual ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// As DeviceBackend::submit, done, wait and synchronize.
  virtual std::uint64_t submit(Submission submission) = 0;
  bool done(std::uint64_t ticket) {
    return completed_.load(std::memory_order_acquire) >= ticket || has_run(ticket);
  }
  void wait(std::uint64_t ticket);
  void synchronize();
  /// At exit: waits at most two seconds for what is queued, then stops.
  void finish();

 protected:
  /// Returns when everything up to `ticket` has run and what failed is in failures_.
  virtual void wait_for(std::uint64_t ticket) = 0;
  /// Looks whether `ticket` has run when completed_ does not tell. Gives nothing back: the pool
  /// asks under its lock.
  virtual bool has_run(std::uint64_t ticket);
  /// Ends what the queue started; `idle` when nothing is left to run.
  virtual void stop(bool idle);
  std::uint64_t newest();

  const std::string device_;
  std::mutex mutex_;
  std::uint64_t last_ = 0;                   ///< the newest ticket; guarded by mutex_
  std::atomic<std::uint64_t> completed_{0};  ///< everything up to it has run
  Failures failures_;
};

/// The queue of a device that runs by itself: steps are enqueued there, and jobs looked at until
/// they are over.
class DeviceQueue : public Queue {
 public:
  using Queue::Queue;
  std::uint64_t submit(Submission submission) final;

 protected:
  /// A submission that may not have run yet. Its destructor gives back what stands for its end;
  /// that happens outside of the lock.
  struct Job {
    virtual ~Job();
    std::uint64_t ticket = 0;
    std::shared_ptr<const void> owner;  ///< of executables, calls and names
    std::vector<std::uint64_t> after;   ///< the tickets that it reads from
    std::exception_ptr failure;
    const LaunchStep* at = nullptr;  ///< what is being enqueued; nullptr: nothing has been
    bool abandoned = false;          ///< begun in vain: another submission does the same
  };

  virtual std::shared_ptr<Job> make_job() = 0;
  /// Enqueues the steps, each noted in job.at before.
  virtual void enqueue(const Submission& submission, Job& job) = 0;
  /// Enqueues what tells that the job is over; where that fails, waits until it is.
  virtual void mark(Job& job) noexcept = 0;
  virtual bool is_over(const Job& job) noexcept = 0;
  virtual void wait_until_over(const Job& job) noexcept = 0;
  /// Reads what a job that is over left; sets its failure, if there is none yet.
  virtual void settle(Job& job) = 0;

 private:
  void wait_for(std::uint64_t ticket) final;
  bool has_run(std::uint64_t ticket) final;
  void retire();

  std::deque<std::shared_ptr<Job>> pending_;  ///< guarded by mutex_
};

/// A device that hands its part of the contract to a queue.
class QueuedDevice : public DeviceBackend {
 public:
  ~QueuedDevice() override;
  std::uint64_t submit(Submission submission) override;
  bool done(std::uint64_t ticket) const final;
  void wait(std::uint64_t ticket) final;
  void synchronize() final;
  /// At exit, once.
  virtual void finish();

 protected:
  virtual Queue& queue() const = 0;
};

/// Has the device finish when the process exits, before what was registered earlier: call it after
/// the driver has been initialised. The device stays for ever.
void finish_at_exit(QueuedDevice& device);

/// The fault point "launch": LaunchError when a test asked for it.
void pass_launch_fault_point(std::string_view step);
/// What a kernel's fault word becomes.
IndexError index_fault(std::string_view kernel, std::int64_t code, std::int64_t detail);
/// One line at NOYAU_DEBUG=2.
void log_run(std::string_view step, double milliseconds, std::int64_t bytes);

}  // namespace noyau
