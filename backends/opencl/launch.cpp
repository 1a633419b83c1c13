// Enqueueing steps in order, and noticing when they have run.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/launch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "core/fault.hpp"
#include "core/forked.hpp"
#include "core/log.hpp"
#include "jit/legalise.hpp"
#include "noyau/error.hpp"

namespace noyau::opencl {
namespace {

using Kind = jit::KernelArgument::Kind;

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

bool is_over(cl_event event) {
  cl_int status = CL_QUEUED;
  if (clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr) !=
      CL_SUCCESS) {
    return true;
  }
  return status == CL_COMPLETE || status < 0;
}

}  // namespace

Runs spread_items(const std::int64_t* extent, std::int64_t cost, std::int64_t units) {
  constexpr std::int64_t least_cost = 30'000, threads_of_unit = 8, line = 64;
  const std::int64_t items = extent[0] * extent[1] * extent[2];
  std::int64_t wanted =
      std::clamp<std::int64_t>(ceil_divide(items, 1) * std::max<std::int64_t>(cost, 1) / least_cost,
                               1, units * threads_of_unit);
  Runs runs;
  for (int axis = 2; axis >= 0; --axis) {
    const std::int64_t parts = std::min(wanted, extent[axis]);
    std::int64_t run = ceil_divide(extent[axis], parts);
    // Runs along memory begin on cache lines, so that two threads never write to one.
    if (axis == 0 && run < extent[0] && extent[0] > line) run = ceil_divide(run, line) * line;
    runs.run[axis] = run;
    runs.threads[axis] = static_cast<std::size_t>(ceil_divide(extent[axis], run));
    wanted = ceil_divide(wanted, parts);
  }
  return runs;
}

Queue::Queue(const Target& target, Memory& memory, std::int64_t units)
    : target_(target), memory_(memory), units_(units) {
  cl_int status = CL_SUCCESS;
  queue_ = clCreateCommandQueue(target.context, target.device,
                                logging::level() >= 2 ? CL_QUEUE_PROFILING_ENABLE : 0, &status);
  check(status, target.name, "clCreateCommandQueue");
  watch_forks();
}

Place Queue::place_of(std::byte* pointer, Pending& job) {
  const Place place = memory_.find(pointer);
  if (place.handle != nullptr) return place;
  for (const BufferRef& buffer : job.submission.keep_alive) {
    if (!buffer->external || pointer < buffer->data || pointer > buffer->data + buffer->bytes) {
      continue;
    }
    const cl_mem handle = memory_.wrap(buffer->data, buffer->bytes);
    if (handle == nullptr) break;
    job.handles.push_back(handle);
    return {handle, static_cast<std::size_t>(pointer - buffer->data)};
  }
  throw DeviceError(
      fmt::format("{}: a step was given memory that is not this device's", target_.name));
}

void Queue::set_argument(const Kernel& kernel, cl_uint index, const LaunchStep& step,
                         const std::int64_t* extent, const Runs& runs, Pending& job) {
  const jit::KernelArgument& a = kernel.arguments[index];
  const auto n = static_cast<std::size_t>(a.number);
  cl_int status = CL_SUCCESS;
  const auto set = [&](const auto& value) {
    status = clSetKernelArg(kernel.kernel(), index, sizeof value, &value);
  };
  switch (a.kind) {
    case Kind::buffer:
      set(place_of(step.pointers[n], job).handle);
      break;
    case Kind::offset: {
      // The argument before is the buffer's handle.
      const std::size_t size = size_of(kernel.arguments[index - 1].dtype);
      set(static_cast<cl_long>(place_of(step.pointers[n], job).offset / size));
      break;
    }
    case Kind::parameter:
      // The last one of gangs: how many items there are.
      if (n == step.parameters.size()) set(static_cast<cl_long>(step.extent[0]));
      else status = clSetKernelArg(kernel.kernel(), index, size_of(a.dtype), &step.parameters[n]);
      break;
    case Kind::extent:
      set(static_cast<cl_long>(extent[n]));
      break;
    case Kind::run:
      set(static_cast<cl_long>(runs.run[n]));
      break;
    case Kind::local: {
      const jit::MemoryObject& m = kernel.memory[n];
      const std::size_t bytes =
          step.parameters[static_cast<std::size_t>(m.size_parameter)] * size_of(m.dtype);
      status = clSetKernelArg(kernel.kernel(), index, std::max<std::size_t>(bytes, 1), nullptr);
      break;
    }
    case Kind::fault: {
      Fault& fault = job.faults.emplace_back();
      fault.kernel = kernel.name;
      fault.handle = memory_.wrap(reinterpret_cast<std::byte*>(fault.word), sizeof fault.word);
      if (fault.handle == nullptr) status = CL_MEM_OBJECT_ALLOCATION_FAILURE;
      else set(fault.handle);
      break;
    }
  }
  check(status, target_.name, fmt::format("clSetKernelArg({}) of kernel '{}'", index, kernel.name));
}

void Queue::enqueue_kernel(const LaunchStep& step, Pending& job, cl_event* event) {
  const auto& kernel = static_cast<const Kernel&>(*step.executable);
  const std::int64_t gangs = ceil_divide(step.extent[0], jit::lane_count);
  const std::int64_t extent[3] = {kernel.gangs ? gangs : step.extent[0], step.extent[1],
                                  step.extent[2]};
  if (extent[0] == 0 || extent[1] == 0 || extent[2] == 0) return;
  Runs runs;
  if (kernel.runs) runs = spread_items(extent, kernel.cost, units_);
  for (cl_uint k = 0; k < kernel.arguments.size(); ++k)
    set_argument(kernel, k, step, extent, runs, job);
  std::size_t global[3], local[3];
  for (int axis = 0; axis < 3; ++axis) {
    local[axis] = static_cast<std::size_t>(kernel.block_size[axis]);
    global[axis] = kernel.runs ? runs.threads[axis] : static_cast<std::size_t>(extent[axis]);
  }
  if (!kernel.items) {
    global[0] = static_cast<std::size_t>(extent[0] * extent[1] * extent[2]) * local[0];
    global[1] = local[1];
    global[2] = local[2];
  }
  const bool fixed = kernel.runs || !kernel.items;
  check(clEnqueueNDRangeKernel(queue_, kernel.kernel(), 3, nullptr, global, fixed ? local : nullptr,
                               0, nullptr, event),
        target_.name, fmt::format("launching kernel '{}'", step.name));
}

void Queue::enqueue(const LaunchStep& step, Pending& job) {
  if (fault::should_fail("launch")) {
    throw LaunchError(fmt::format("launch of '{}': a fault that a test asked for", step.name));
  }
  cl_event event = nullptr;
  cl_event* const timed = logging::level() >= 2 ? &event : nullptr;
  const auto bytes = static_cast<std::size_t>(step.bytes);
  switch (step.kind) {
    case LaunchStep::Kind::kernel:
      enqueue_kernel(step, job, timed);
      break;
    case LaunchStep::Kind::library: {
      // Routines work on memory that the host shares: after everything before them.
      check(clFinish(queue_), target_.name, "clFinish");
      const std::size_t inputs = step.pointers.size() - 2;
      const std::vector<const void*> in(
          step.pointers.begin(), step.pointers.begin() + static_cast<std::ptrdiff_t>(inputs));
      step.call->run(in, step.pointers[inputs], step.pointers[inputs + 1]);
      break;
    }
    case LaunchStep::Kind::copy: {
      if (bytes == 0) break;
      const Place from = place_of(step.pointers[0], job), to = place_of(step.pointers[1], job);
      check(clEnqueueCopyBuffer(queue_, from.handle, to.handle, from.offset, to.offset, bytes, 0,
                                nullptr, timed),
            target_.name, "clEnqueueCopyBuffer");
      break;
    }
    case LaunchStep::Kind::fill: {
      if (bytes == 0) break;
      const Place to = place_of(step.pointers[0], job);
      const auto byte =
          static_cast<cl_uchar>(step.parameters.empty() ? 0 : step.parameters[0] & 0xff);
      check(clEnqueueFillBuffer(queue_, to.handle, &byte, 1, to.offset, bytes, 0, nullptr, timed),
            target_.name, "clEnqueueFillBuffer");
    }
  }
  if (timed != nullptr) job.timed.push_back(event);
}

std::uint64_t Queue::submit(Submission submission) {
  check_process(target_.name);
  retire();
  // Everything runs in order, so the pool may use the memory again for later submissions at once.
  std::vector<BufferRef> let_go;
  const std::lock_guard lock(mutex_);
  Pending& job = pending_.emplace_back();
  job.ticket = ++last_;
  job.submission = std::move(submission);
  try {
    if (!failures_.of(job.submission.after)) {
      for (const LaunchStep& step : job.submission.steps) enqueue(step, job);
    }
  } catch (...) {
    job.failure = std::current_exception();
  }
  if (clEnqueueMarkerWithWaitList(queue_, 0, nullptr, &job.finished) != CL_SUCCESS) {
    clFinish(queue_);
    job.finished = nullptr;
  }
  clFlush(queue_);
  let_go.swap(job.submission.keep_alive);
  return job.ticket;
}

void Queue::log(const Pending& job) const {
  for (std::size_t k = 0; k < job.timed.size(); ++k) {
    if (job.timed[k] == nullptr) continue;
    cl_ulong begin = 0, end = 0;
    clGetEventProfilingInfo(job.timed[k], CL_PROFILING_COMMAND_START, sizeof begin, &begin,
                            nullptr);
    clGetEventProfilingInfo(job.timed[k], CL_PROFILING_COMMAND_END, sizeof end, &end, nullptr);
    clReleaseEvent(job.timed[k]);
    const LaunchStep& step = job.submission.steps[k];
    const double ms = static_cast<double>(end - begin) * 1e-6;
    logging::write(2, fmt::format("ran {} in {:.4f} ms, {} bytes, {:.1f} GB/s", step.name, ms,
                                  step.bytes, static_cast<double>(step.bytes) / ms * 1e-6));
  }
}

/// Reads what a finished job left: its status and its faults.
void Queue::settle(Pending& job) {
  if (job.finished != nullptr) {
    cl_int status = CL_COMPLETE;
    clGetEventInfo(job.finished, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status,
                   nullptr);
    if (status < 0 && !job.failure) {
      job.failure = std::make_exception_ptr(
          LaunchError(fmt::format("{}: a launch failed: {}", target_.name, status_text(status))));
    }
    clReleaseEvent(job.finished);
  }
  for (const Fault& fault : job.faults) {
    if (fault.handle != nullptr) clReleaseMemObject(fault.handle);
    if (static_cast<std::int32_t>(fault.word[0]) == 0 || job.failure) continue;
    job.failure = std::make_exception_ptr(IndexError(fmt::format(
        "kernel '{}': index {} is out of range (fault {}); check the indices that it was given",
        fault.kernel, fault.word[1], static_cast<std::int32_t>(fault.word[0]))));
  }
  for (const cl_mem handle : job.handles) clReleaseMemObject(handle);
  if (!job.timed.empty()) log(job);
  // What it read may have failed meanwhile: then what it computed is worth nothing.
  const std::exception_ptr earlier = failures_.of(job.submission.after);
  if (earlier) failures_.add(job.ticket, earlier, true);
  else if (job.failure) failures_.add(job.ticket, job.failure);
  completed_ = job.ticket;
}

std::vector<Queue::Pending> Queue::take_finished() {
  std::vector<Pending> finished;
  while (!pending_.empty() &&
         (pending_.front().finished == nullptr || is_over(pending_.front().finished))) {
    settle(pending_.front());
    finished.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  return finished;
}

/// The memory of what has finished goes outside of the lock: its deleters may ask for us.
void Queue::retire() {
  std::vector<Pending> finished;
  const std::lock_guard lock(mutex_);
  finished = take_finished();
}

/// Looks only: the pool asks under its lock, so nothing may be given back from here.
bool Queue::done(std::uint64_t ticket) {
  if (is_forked_child()) return true;
  const std::lock_guard lock(mutex_);
  if (completed_ >= ticket) return true;
  for (const Pending& job : pending_) {
    if (job.ticket == ticket) return job.finished == nullptr || is_over(job.finished);
  }
  return false;
}

void Queue::wait(std::uint64_t ticket) {
  check_process(target_.name);
  cl_event event = nullptr;
  {
    const std::lock_guard lock(mutex_);
    for (const Pending& job : pending_) {
      if (job.ticket > ticket) break;
      if (job.finished != nullptr) event = job.finished;
    }
    if (event != nullptr) clRetainEvent(event);
  }
  if (event != nullptr) {
    clWaitForEvents(1, &event);
    clReleaseEvent(event);
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
  clFinish(queue_);
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

}  // namespace noyau::opencl
