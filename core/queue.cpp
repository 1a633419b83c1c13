// Tickets, waiting and failures, once for all devices.
// SPDX-License-Identifier: Apache-2.0
#include "core/queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

#include "core/fault.hpp"
#include "core/forked.hpp"
#include "core/log.hpp"
#include "core/refused_call.hpp"

namespace noyau {

// ---- Queue

Queue::Queue(std::string device) : device_(std::move(device)) { watch_forks(); }
Queue::~Queue() = default;

bool Queue::has_run(std::uint64_t) { return is_forked_child(); }
void Queue::stop(bool) {}

std::uint64_t Queue::newest() {
  const std::lock_guard lock(mutex_);
  return last_;
}

void Queue::wait(std::uint64_t ticket) {
  check_process(device_);
  if (completed_.load(std::memory_order_acquire) < ticket) wait_for(ticket);
  failures_.rethrow(ticket);
}

void Queue::synchronize() {
  check_process(device_);
  const std::uint64_t last = newest();
  if (completed_.load(std::memory_order_acquire) < last) wait_for(last);
  failures_.rethrow_unseen(last);
}

void Queue::finish() {
  using namespace std::chrono_literals;
  if (is_forked_child()) return;
  const std::uint64_t last = newest();
  const auto end = std::chrono::steady_clock::now() + 2s;
  while (!done(last) && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(200us);
  stop(done(last));
}

// ---- DeviceQueue

DeviceQueue::Job::~Job() = default;

std::uint64_t DeviceQueue::submit(Submission submission) {
  check_process(device_);
  retire();
  // Everything runs in order, so the pool may use the memory again for later submissions at once;
  // it goes after the lock, which is declared below it.
  const Submission held = std::move(submission);
  const std::lock_guard lock(mutex_);
  Job& job = *pending_.emplace_back(make_job());
  job.ticket = ++last_;
  job.owner = held.owner;
  job.after = held.after;
  try {
    job.failure = failures_.of(job.after);
    if (!job.failure) enqueue(held, job);
  } catch (const RefusedCall&) {
    job.failure = std::current_exception();
    job.abandoned = std::none_of(held.steps.data(), job.at == nullptr ? held.steps.data() : job.at,
                                 [](const LaunchStep& step) { return step.overwrites; });
  } catch (...) {
    job.failure = std::current_exception();
  }
  const std::exception_ptr refusal = job.abandoned ? job.failure : nullptr;
  mark(job);
  if (refusal) std::rethrow_exception(refusal);
  return job.ticket;
}

/// Takes out what is over. What the jobs hold goes outside of the lock: its deleters may ask for
/// us.
void DeviceQueue::retire() {
  std::vector<std::shared_ptr<Job>> finished;
  const std::lock_guard lock(mutex_);
  while (!pending_.empty() && is_over(*pending_.front())) {
    Job& job = *pending_.front();
    settle(job);
    // What it read may have failed meanwhile: then what it computed is worth nothing.
    const std::exception_ptr earlier = failures_.of(job.after);
    if (job.abandoned) {
      // Nobody has its ticket.
    } else if (earlier) failures_.add(job.ticket, earlier, true);
    else if (job.failure) failures_.add(job.ticket, job.failure);
    completed_.store(job.ticket, std::memory_order_release);
    finished.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
}

bool DeviceQueue::has_run(std::uint64_t ticket) {
  if (is_forked_child()) return true;
  const std::lock_guard lock(mutex_);
  if (completed_.load(std::memory_order_acquire) >= ticket) return true;
  for (const auto& job : pending_) {
    if (job->ticket == ticket) return is_over(*job);
  }
  return false;
}

void DeviceQueue::wait_for(std::uint64_t ticket) {
  std::shared_ptr<Job> job;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& pending : pending_) {
      if (pending->ticket > ticket) break;
      job = pending;
    }
  }
  if (job) wait_until_over(*job);
  retire();
}

// ---- QueuedDevice

QueuedDevice::~QueuedDevice() = default;
std::uint64_t QueuedDevice::submit(Submission submission) {
  return queue().submit(std::move(submission));
}
bool QueuedDevice::done(std::uint64_t ticket) const { return queue().done(ticket); }
void QueuedDevice::wait(std::uint64_t ticket) { queue().wait(ticket); }
void QueuedDevice::synchronize() { queue().synchronize(); }
void QueuedDevice::finish() { queue().finish(); }

void finish_at_exit(QueuedDevice& device) {
  static auto& devices = *new std::vector<QueuedDevice*>;
  devices.push_back(&device);
  std::atexit([] {  // one handler a device, so that each runs before its own driver's
    QueuedDevice* last = devices.back();
    devices.pop_back();
    last->finish();
  });
}

// ---- Words

void pass_launch_fault_point(std::string_view step) {
  if (!fault::should_fail("launch")) return;
  throw LaunchError(fmt::format("launch of '{}': a fault that a test asked for", step));
}

IndexError index_fault(std::string_view kernel, std::int64_t code, std::int64_t detail) {
  return IndexError(fmt::format(
      "kernel '{}': index {} is out of range (fault {}); check the indices that it was given",
      kernel, detail, code));
}

void log_run(std::string_view step, double milliseconds, std::int64_t bytes) {
  logging::write(2, fmt::format("ran {} in {:.4f} ms, {} bytes, {:.1f} GB/s", step, milliseconds,
                                bytes, static_cast<double>(bytes) / milliseconds * 1e-6));
}

}  // namespace noyau
