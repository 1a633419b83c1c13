// Enqueueing steps in order, and noticing when they have run.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/launch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <thread>
#include <utility>

#include "core/fault.hpp"
#include "core/forked.hpp"
#include "core/log.hpp"
#include "noyau/error.hpp"

namespace noyau::cuda {
namespace {

using Kind = jit::KernelArgument::Kind;
constexpr std::int64_t most_blocks[3] = {0x7fffffff, 65535, 65535};
constexpr std::int64_t default_shared_bytes = 48 << 10;  // more must be asked for

Address address(const std::byte* pointer) { return reinterpret_cast<Address>(pointer); }

Stream make_stream(const Target& target) {
  const ContextScope scope(target.context);
  Stream stream = nullptr;
  check(driver().stream_create(&stream, stream_non_blocking), target.name, "cuStreamCreate");
  return stream;
}

}  // namespace

Grid grid_of_items(const std::int64_t* extent, std::int64_t units) {
  constexpr std::int64_t block = 256, blocks_of_unit = 32;
  Grid grid;
  std::int64_t free_threads = block, wanted = std::max<std::int64_t>(units, 1) * blocks_of_unit;
  for (int axis = 0; axis < 3; ++axis) {
    const auto up = static_cast<std::int64_t>(
        std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(extent[axis], 1))));
    const std::int64_t threads = std::min(free_threads, up);
    free_threads /= threads;
    const std::int64_t needed = (extent[axis] + threads - 1) / threads;
    const std::int64_t blocks =
        std::clamp<std::int64_t>(std::min(needed, wanted), 1, most_blocks[axis]);
    wanted = std::max<std::int64_t>(wanted / blocks, 1);
    grid.threads[axis] = static_cast<unsigned>(threads);
    grid.blocks[axis] = static_cast<unsigned>(blocks);
  }
  return grid;
}

Queue::Queue(const Target& target, std::int64_t units)
    : target_(target), units_(units), stream_(make_stream(target)), staging_(target.name, stream_) {
  watch_forks();
}

void Queue::enqueue_kernel(const LaunchStep& step, Pending& job) {
  const auto& kernel = static_cast<const Kernel&>(*step.executable);
  const std::int64_t* extent = step.extent;
  if (extent[0] == 0 || extent[1] == 0 || extent[2] == 0) return;
  std::vector<std::uint64_t> values(kernel.arguments.size());
  std::vector<void*> places(kernel.arguments.size());
  for (std::size_t k = 0; k < kernel.arguments.size(); ++k) {
    const jit::KernelArgument& a = kernel.arguments[k];
    const auto n = static_cast<std::size_t>(a.number);
    places[k] = &values[k];
    switch (a.kind) {
      case Kind::buffer:
        values[k] = address(step.pointers[n]);
        break;
      case Kind::parameter:
        values[k] = step.parameters[n];  // little-endian: narrow ones lie at the beginning
        break;
      case Kind::extent:
        values[k] = static_cast<std::uint64_t>(extent[n]);
        break;
      case Kind::fault: {
        Fault& fault = job.faults.emplace_back();
        fault.kernel = kernel.name;
        fault.words = fault_pool_.take(target_.name);
        values[k] = reinterpret_cast<Address>(fault.words);
        break;
      }
      default:
        throw InternalError(
            fmt::format("kernel '{}' has an argument that CUDA kernels do not have", kernel.name));
    }
  }
  Grid grid = kernel.items ? grid_of_items(extent, units_) : Grid{};
  if (!kernel.items) {
    const std::int64_t blocks = extent[0] * extent[1] * extent[2];
    if (blocks > most_blocks[0]) {
      throw LaunchError(fmt::format("{}: kernel '{}' has {} blocks, more than the {} of one launch",
                                    target_.name, kernel.name, blocks, most_blocks[0]));
    }
    grid.blocks[0] = static_cast<unsigned>(blocks);
    for (int axis = 0; axis < 3; ++axis)
      grid.threads[axis] = static_cast<unsigned>(kernel.block_size[axis]);
  }
  const std::int64_t shared = kernel.shared_bytes(step.parameters.data());
  if (shared > default_shared_bytes) {
    check(driver().func_set_attribute(kernel.function(), max_dynamic_shared_size,
                                      static_cast<int>(shared)),
          target_.name,
          fmt::format("giving kernel '{}' {} bytes of shared memory", step.name, shared));
  }
  const Status status =
      driver().launch_kernel(kernel.function(), grid.blocks[0], grid.blocks[1], grid.blocks[2],
                             grid.threads[0], grid.threads[1], grid.threads[2],
                             static_cast<unsigned>(shared), stream_, places.data(), nullptr);
  if (status != success) {
    throw LaunchError(fmt::format("{}: launching kernel '{}' failed: {}", target_.name, step.name,
                                  status_text(status)));
  }
}

void Queue::enqueue(const LaunchStep& step, Pending& job) {
  if (fault::should_fail("launch")) {
    throw LaunchError(fmt::format("launch of '{}': a fault that a test asked for", step.name));
  }
  const auto bytes = static_cast<std::size_t>(step.bytes);
  switch (step.kind) {
    case LaunchStep::Kind::kernel:
      return enqueue_kernel(step, job);
    case LaunchStep::Kind::library:
      throw InternalError("a library call was planned for a CUDA device, which has none");
    case LaunchStep::Kind::copy:
      if (bytes == 0) return;
      return check(driver().memcpy_dtod_async(address(step.pointers[1]), address(step.pointers[0]),
                                              bytes, stream_),
                   target_.name, "cuMemcpyDtoDAsync");
    case LaunchStep::Kind::fill: {
      if (bytes == 0) return;
      const auto value =
          static_cast<unsigned char>(step.parameters.empty() ? 0 : step.parameters[0] & 0xff);
      return check(driver().memset_d8_async(address(step.pointers[0]), value, bytes, stream_),
                   target_.name, "cuMemsetD8Async");
    }
  }
}

void Queue::enqueue_timed(const LaunchStep& step, Pending& job) {
  Timed timed{nullptr, nullptr, std::string(step.name), step.bytes};
  check(driver().event_create(&timed.begin, 0), target_.name, "cuEventCreate");
  check(driver().event_create(&timed.end, 0), target_.name, "cuEventCreate");
  driver().event_record(timed.begin, stream_);
  enqueue(step, job);
  driver().event_record(timed.end, stream_);
  job.timed.push_back(std::move(timed));
}

Event Queue::take_event() {
  Event event = nullptr;
  if (events_.empty()) {
    check(driver().event_create(&event, event_disable_timing), target_.name, "cuEventCreate");
    return event;
  }
  event = events_.back();
  events_.pop_back();
  return event;
}

std::uint64_t Queue::submit(Submission submission) {
  check_process(target_.name);
  retire();
  const ContextScope scope(target_.context);
  const std::lock_guard lock(mutex_);
  Pending& job = pending_.emplace_back();
  job.ticket = ++last_;
  job.owner = std::move(submission.owner);
  job.after = std::move(submission.after);
  try {
    job.failure = failures_.of(job.after);
    job.inherited = job.failure != nullptr;
    if (job.inherited) submission.steps.clear();
    for (const LaunchStep& step : submission.steps) {
      if (logging::level() >= 2) enqueue_timed(step, job);
      else enqueue(step, job);
    }
    job.finished = take_event();
    check(driver().event_record(job.finished, stream_), target_.name, "cuEventRecord");
  } catch (...) {
    job.failure = std::current_exception();
    // What was enqueued must have run before its memory goes.
    if (job.finished == nullptr || driver().event_record(job.finished, stream_) != success) {
      driver().stream_synchronize(stream_);
      if (job.finished != nullptr) events_.push_back(std::exchange(job.finished, nullptr));
    }
  }
  return job.ticket;
}

void Queue::log(const Pending& job) {
  for (const Timed& t : job.timed) {
    float ms = 0;
    if (driver().event_elapsed_time(&ms, t.begin, t.end) == success && ms > 0) {
      logging::write(2, fmt::format("ran {} in {:.4f} ms, {} bytes, {:.1f} GB/s", t.name, ms,
                                    t.bytes, static_cast<double>(t.bytes) / ms * 1e-6));
    }
    driver().event_destroy(t.begin);
    driver().event_destroy(t.end);
  }
}

/// Whether the job has run; learns of its failure.
bool Queue::is_over(Pending& job) {
  if (job.finished == nullptr) return true;
  const Status status = driver().event_query(job.finished);
  if (status == not_ready) return false;
  if (status != success && !job.failure) {
    job.failure = std::make_exception_ptr(LaunchError(
        fmt::format("{}: a kernel failed, this one or one before: {}; the device can no longer be "
                    "used by this process",
                    target_.name, status_text(status))));
  }
  return true;
}

/// Reads what a finished job left.
void Queue::settle(Pending& job) {
  for (const Fault& fault : job.faults) {
    if (fault.words == nullptr) continue;
    const FaultWords said = *fault.words;
    fault_pool_.give_back(fault.words);
    if (static_cast<std::int32_t>(said.code) == 0 || job.failure) continue;
    job.failure = std::make_exception_ptr(IndexError(fmt::format(
        "kernel '{}': index {} is out of range (fault {}); check the indices that it was given",
        fault.kernel, said.detail, static_cast<std::int32_t>(said.code))));
  }
  log(job);
  if (job.finished != nullptr) events_.push_back(job.finished);
  if (!job.failure) {
    job.failure = failures_.of(job.after);
    job.inherited = job.failure != nullptr;
  }
  if (job.failure) failures_.add(job.ticket, job.failure, job.inherited);
  completed_ = job.ticket;
}

/// Takes out what has finished. Executables go outside of the lock.
void Queue::retire() {
  std::vector<Pending> finished;
  const ContextScope scope(target_.context);
  const std::lock_guard lock(mutex_);
  while (!pending_.empty() && is_over(pending_.front())) {
    settle(pending_.front());
    finished.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
}

bool Queue::done(std::uint64_t ticket) {
  if (is_forked_child()) return true;
  retire();
  const std::lock_guard lock(mutex_);
  return completed_ >= ticket;
}

void Queue::wait(std::uint64_t ticket) {
  check_process(target_.name);
  Event event = nullptr;
  {
    const std::lock_guard lock(mutex_);
    for (const Pending& job : pending_) {
      if (job.ticket > ticket) break;
      if (job.finished != nullptr) event = job.finished;
    }
  }
  if (event != nullptr) {  // recycled meanwhile, it stands for later work: longer, never too short
    const ContextScope scope(target_.context);
    driver().event_synchronize(event);
  }
  retire();
  failures_.rethrow(ticket);
}

void Queue::synchronize() {
  check_process(target_.name);
  std::uint64_t last = 0;
  {
    const std::lock_guard lock(mutex_);
    last = last_;
  }
  {
    const ContextScope scope(target_.context);
    driver().stream_synchronize(stream_);
  }
  retire();
  failures_.rethrow_unseen(last);
}

void Queue::finish() {
  using namespace std::chrono_literals;
  if (is_forked_child()) return;
  const auto end = std::chrono::steady_clock::now() + 2s;
  std::uint64_t last = 0;
  {
    const std::lock_guard lock(mutex_);
    last = last_;
  }
  while (!done(last) && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(200us);
}

void Queue::copy_to_host(const std::byte* from, void* to, std::size_t bytes) {
  check_process(target_.name);
  const ContextScope scope(target_.context);
  staging_.to_host(from, to, bytes);
}

void Queue::copy_from_host(const void* from, std::byte* to, std::size_t bytes) {
  check_process(target_.name);
  const ContextScope scope(target_.context);
  staging_.from_host(from, to, bytes);
}

}  // namespace noyau::cuda
