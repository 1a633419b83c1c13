// Enqueueing steps in order, and noticing when they have run.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/launch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "core/forked.hpp"
#include "core/grid.hpp"
#include "core/log.hpp"
#include "noyau/error.hpp"

namespace noyau::cuda {
namespace {

using Kind = jit::KernelArgument::Kind;
/// Of static and dynamic shared memory together; more must be asked for.
constexpr std::int64_t default_shared_bytes = 48 << 10;

Address address(const std::byte* pointer) { return reinterpret_cast<Address>(pointer); }

/// Nothing to run.
bool is_empty(const LaunchStep& step) {
  switch (step.kind) {
    case LaunchStep::Kind::kernel:
      return step.extent[0] == 0 || step.extent[1] == 0 || step.extent[2] == 0;
    case LaunchStep::Kind::library:
      return false;
    default:
      return step.bytes == 0;
  }
}

}  // namespace

Queue::Queue(const Target& target, std::int64_t units)
    : DeviceQueue(target.name),
      target_(target),
      units_(units),
      graphs_(environment::number("NOYAU_CUDA_GRAPHS", 1, 0, 1) != 0),
      staging_(target.name) {}

void Queue::make_streams() {
  std::call_once(streams_once_, [this] {
    const ContextScope scope(target_.context());
    for (Stream* made : {&stream_, &capture_stream_})
      check(driver().stream_create(made, stream_non_blocking), device_, "cuStreamCreate");
  });
}

Stream Queue::stream() {
  make_streams();
  return stream_;
}

Stream Queue::capture_stream() {
  make_streams();
  return capture_stream_;
}

KernelCall Queue::call_of(const LaunchStep& step, CudaJob& job) {
  const auto& kernel = static_cast<const Kernel&>(*step.executable);
  const std::int64_t* extent = step.extent;
  KernelCall call;
  call.function = kernel.function();
  call.arguments.reserve(kernel.arguments.size());
  for (const jit::KernelArgument& a : kernel.arguments) {
    const auto n = static_cast<std::size_t>(a.number);
    switch (a.kind) {
      case Kind::buffer:
        call.arguments.push_back(address(step.pointers[n]));
        break;
      case Kind::parameter:  // little-endian: narrow ones lie at the beginning
        call.arguments.push_back(step.parameters[n]);
        break;
      case Kind::extent:
        call.arguments.push_back(static_cast<std::uint64_t>(extent[n]));
        break;
      case Kind::fault: {
        Fault& fault = job.faults.emplace_back();
        fault.kernel = kernel.name;
        fault.words = fault_pool_.take(device_);
        call.arguments.push_back(reinterpret_cast<Address>(fault.words));
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
                                    device_, kernel.name, blocks, most_blocks[0]));
    }
    grid.blocks[0] = static_cast<unsigned>(blocks);
    for (int axis = 0; axis < 3; ++axis)
      grid.threads[axis] = static_cast<unsigned>(kernel.block_size[axis]);
  }
  std::copy(grid.blocks, grid.blocks + 3, call.blocks);
  std::copy(grid.threads, grid.threads + 3, call.threads);
  const std::int64_t shared = kernel.shared_bytes(step.parameters.data());
  call.shared_bytes = static_cast<unsigned>(shared);
  if (shared > 0 && shared + kernel.static_shared_bytes > default_shared_bytes) {
    check(driver().func_set_attribute(kernel.function(), max_dynamic_shared_size,
                                      static_cast<int>(shared)),
          device_, fmt::format("giving kernel '{}' {} bytes of shared memory", step.name, shared));
  }
  return call;
}

void Queue::enqueue_kernel(const LaunchStep& step, CudaJob& job) {
  KernelCall call = call_of(step, job);
  std::vector<void*> places;
  places.reserve(call.arguments.size());
  for (std::uint64_t& word : call.arguments) places.push_back(&word);
  const Status status = driver().launch_kernel(
      call.function, call.blocks[0], call.blocks[1], call.blocks[2], call.threads[0],
      call.threads[1], call.threads[2], call.shared_bytes, stream(), places.data(), nullptr);
  if (status != success) {
    throw LaunchError(fmt::format("{}: launching kernel '{}' failed: {}", device_, step.name,
                                  status_text(status)));
  }
}

void Queue::enqueue_step(const LaunchStep& step, CudaJob& job) {
  if (is_empty(step)) return;
  const auto bytes = static_cast<std::size_t>(step.bytes);
  switch (step.kind) {
    case LaunchStep::Kind::kernel:
      return enqueue_kernel(step, job);
    case LaunchStep::Kind::library:
      return enqueue_call(step, stream());
    case LaunchStep::Kind::copy:
      return check(driver().memcpy_dtod_async(address(step.pointers[1]), address(step.pointers[0]),
                                              bytes, stream()),
                   device_, "cuMemcpyDtoDAsync");
    case LaunchStep::Kind::fill: {
      const auto value =
          static_cast<unsigned char>(step.parameters.empty() ? 0 : step.parameters[0] & 0xff);
      return check(driver().memset_d8_async(address(step.pointers[0]), value, bytes, stream()),
                   device_, "cuMemsetD8Async");
    }
  }
}

void Queue::enqueue_timed(const LaunchStep& step, CudaJob& job) {
  Timed timed{nullptr, nullptr, std::string(step.name), step.bytes};
  check(driver().event_create(&timed.begin, 0), device_, "cuEventCreate");
  check(driver().event_create(&timed.end, 0), device_, "cuEventCreate");
  driver().event_record(timed.begin, stream());
  enqueue_step(step, job);
  driver().event_record(timed.end, stream());
  job.timed.push_back(std::move(timed));
}

Event Queue::take_event() {
  {
    const std::lock_guard lock(events_mutex_);
    if (!events_.empty()) {
      Event event = events_.back();
      events_.pop_back();
      return event;
    }
  }
  Event event = nullptr;
  check(driver().event_create(&event, event_disable_timing), device_, "cuEventCreate");
  return event;
}

void Queue::give_back(Event event) {
  const std::lock_guard lock(events_mutex_);
  events_.push_back(event);
}

Queue::CudaJob::~CudaJob() {
  if (finished != nullptr) queue.give_back(finished);
}

std::shared_ptr<Queue::Job> Queue::make_job() { return std::make_shared<CudaJob>(*this); }

void Queue::enqueue(const Submission& submission, Job& job) {
  const ContextScope scope(target_.context());
  auto& ours = static_cast<CudaJob&>(job);
  if (run_as_graph(submission, ours)) return;
  for (const LaunchStep& step : submission.steps) {
    job.at = &step;
    pass_launch_fault_point(step.name);
    if (logging::level() >= 2) enqueue_timed(step, ours);
    else enqueue_step(step, ours);
  }
}

/// A plan that comes a second time becomes a graph. One of a single step has nothing to gain, and
/// steps that are timed run one by one.
bool Queue::run_as_graph(const Submission& submission, CudaJob& job) {
  if (submission.memo == nullptr || submission.steps.size() < 2 || !graphs_ ||
      logging::level() >= 2) {
    return false;
  }
  if (!*submission.memo) {
    *submission.memo = std::make_shared<PlanGraph>(device_, target_.context());
    return false;
  }
  std::vector<ReadyStep> ready;
  ready.reserve(submission.steps.size());
  for (const LaunchStep& step : submission.steps) {
    pass_launch_fault_point(step.name);
    if (is_empty(step)) continue;
    ready.push_back({&step, {}});
    if (step.kind == LaunchStep::Kind::kernel) ready.back().kernel = call_of(step, job);
  }
  if (ready.empty()) return true;
  return static_cast<PlanGraph*>(submission.memo->get())->run(ready, stream(), capture_stream());
}

void Queue::mark(Job& job) noexcept {
  const ContextScope scope(target_.context());
  auto& ours = static_cast<CudaJob&>(job);
  try {
    ours.finished = take_event();
    check(driver().event_record(ours.finished, stream()), device_, "cuEventRecord");
  } catch (...) {
    if (!job.failure) job.failure = std::current_exception();
    if (stream_ != nullptr) driver().stream_synchronize(stream_);
    if (ours.finished != nullptr) give_back(std::exchange(ours.finished, nullptr));
  }
}

bool Queue::is_over(const Job& job) noexcept {
  const Event finished = static_cast<const CudaJob&>(job).finished;
  if (finished == nullptr) return true;
  const ContextScope scope(target_.context());
  return driver().event_query(finished) != not_ready;
}

void Queue::wait_until_over(const Job& job) noexcept {
  const Event finished = static_cast<const CudaJob&>(job).finished;
  if (finished == nullptr) return;
  const ContextScope scope(target_.context());
  driver().event_synchronize(finished);
}

void Queue::log(const CudaJob& job) {
  for (const Timed& t : job.timed) {
    float ms = 0;
    if (driver().event_elapsed_time(&ms, t.begin, t.end) == success && ms > 0) {
      log_run(t.name, ms, t.bytes);
    }
    driver().event_destroy(t.begin);
    driver().event_destroy(t.end);
  }
}

void Queue::settle(Job& job) {
  const ContextScope scope(target_.context());
  auto& ours = static_cast<CudaJob&>(job);
  const Status status = ours.finished == nullptr ? success : driver().event_query(ours.finished);
  if (status != success && !job.failure) {
    job.failure = std::make_exception_ptr(LaunchError(
        fmt::format("{}: a kernel failed, this one or one before: {}; the device can no longer be "
                    "used by this process",
                    device_, status_text(status))));
  }
  for (const Fault& fault : ours.faults) {
    if (fault.words == nullptr) continue;
    const FaultWords said = *fault.words;
    fault_pool_.give_back(fault.words);
    const auto code = static_cast<std::int32_t>(said.code);
    if (code == 0 || job.failure) continue;
    job.failure = std::make_exception_ptr(index_fault(fault.kernel, code, said.detail));
  }
  log(ours);
}

void Queue::copy_to_host(const std::byte* from, void* to, std::size_t bytes) {
  check_process(device_);
  const ContextScope scope(target_.context());
  staging_.to_host(stream(), from, to, bytes);
}

void Queue::copy_from_host(const void* from, std::byte* to, std::size_t bytes) {
  check_process(device_);
  const ContextScope scope(target_.context());
  staging_.from_host(stream(), from, to, bytes);
}

void Queue::follow(Queue& other) {
  const ContextScope scope(other.target_.context());
  const Event event = other.take_event();
  const Status recorded = driver().event_record(event, other.stream());
  const Status waits = driver().stream_wait_event(stream(), event, 0);
  other.give_back(event);  // recorded again later, it changes nothing for who waits already
  check(recorded, other.device_, "cuEventRecord");
  check(waits, device_, "cuStreamWaitEvent");
}

void Queue::use_memory_of(const Queue& other) {
  const Context peer = other.target_.context();
  const std::lock_guard lock(peers_mutex_);
  if (std::find(peers_.begin(), peers_.end(), peer) != peers_.end()) return;
  int can = 0;
  check(driver().device_can_access_peer(&can, target_.primary->number(),
                                        other.target_.primary->number()),
        device_, "cuDeviceCanAccessPeer");
  if (can != 0) {
    const Status status = driver().ctx_enable_peer_access(peer, 0);
    if (status != peer_access_already_enabled) check(status, device_, "cuCtxEnablePeerAccess");
  }
  peers_.push_back(peer);
}

void Queue::copy_from_device(Queue& source, const std::byte* from, std::byte* to,
                             std::size_t bytes) {
  check_process(device_);
  const ContextScope scope(target_.context());
  if (&source == this) {
    return check(driver().memcpy_dtod_async(address(to), address(from), bytes, stream()), device_,
                 "cuMemcpyDtoDAsync");
  }
  use_memory_of(source);
  follow(source);
  check(driver().memcpy_peer_async(address(to), target_.context(), address(from),
                                   source.target_.context(), bytes, stream()),
        device_, "cuMemcpyPeerAsync");
  source.follow(*this);  // its pool may give the memory to later work
}

}  // namespace noyau::cuda
