// Enqueueing steps in order, and noticing when they have run.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/launch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "core/grid.hpp"
#include "core/log.hpp"
#include "jit/legalise.hpp"
#include "noyau/error.hpp"

namespace noyau::opencl {
namespace {

using Kind = jit::KernelArgument::Kind;
constexpr std::size_t block_threads = 256;

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

Runs spread_items(const std::int64_t* extent, double cost, std::int64_t units) {
  constexpr std::int64_t least_cost = 30'000, threads_of_unit = 8, line = 64;
  const auto most = static_cast<double>(units * threads_of_unit);
  auto wanted = static_cast<std::int64_t>(std::clamp(cost / least_cost, 1.0, most));
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

Queue::Queue(const Target& target, cl_command_queue queue, Memory& memory, std::int64_t units)
    : DeviceQueue(target.name), target_(target), queue_(queue), memory_(memory), units_(units) {}

Place Queue::place_of(const std::byte* pointer, const Held& held, ClJob& job) {
  const Place place = memory_.find(pointer);
  if (place.handle != nullptr) return place;
  for (const BufferRef& buffer : held) {
    if (!buffer->external || pointer < buffer->data || pointer > buffer->data + buffer->bytes) {
      continue;
    }
    const cl_mem handle = memory_.wrap(buffer->data, buffer->bytes);
    if (handle == nullptr) break;
    job.handles.push_back(handle);
    return {handle, static_cast<std::size_t>(pointer - buffer->data)};
  }
  throw DeviceError(fmt::format("{}: a step was given memory that is not this device's", device_));
}

void Queue::set_argument(const Kernel& kernel, const Code& code, cl_uint index,
                         const LaunchStep& step, const std::int64_t* extent, const Runs& runs,
                         const Held& held, ClJob& job) {
  const jit::KernelArgument& a = code.arguments[index];
  const auto n = static_cast<std::size_t>(a.number);
  cl_int status = CL_SUCCESS;
  const auto set = [&](const auto& value) {
    status = clSetKernelArg(code.kernel, index, sizeof value, &value);
  };
  switch (a.kind) {
    case Kind::buffer:
      set(place_of(step.pointers[n], held, job).handle);
      break;
    case Kind::offset: {
      // The argument before is the buffer's handle.
      const std::size_t size = size_of(code.arguments[index - 1].dtype);
      set(static_cast<cl_long>(place_of(step.pointers[n], held, job).offset / size));
      break;
    }
    case Kind::parameter:
      // The last one of gangs: how many items there are.
      if (n == step.parameters.size()) set(static_cast<cl_long>(step.extent[0]));
      else status = clSetKernelArg(code.kernel, index, size_of(a.dtype), &step.parameters[n]);
      break;
    case Kind::extent:
      set(static_cast<cl_long>(extent[n]));
      break;
    case Kind::run:
      set(static_cast<cl_long>(runs.run[n]));
      break;
    case Kind::local: {
      const jit::MemoryObject& m = kernel.program().memory[n];
      const std::size_t bytes =
          step.parameters[static_cast<std::size_t>(m.size_parameter)] * size_of(m.dtype);
      status = clSetKernelArg(code.kernel, index, std::max<std::size_t>(bytes, 1), nullptr);
      break;
    }
    case Kind::fault: {
      Fault& fault = job.faults.emplace_back();
      fault.kernel = kernel.program().name;
      fault.handle = memory_.shared()
                         ? memory_.wrap(reinterpret_cast<std::byte*>(fault.word), sizeof fault.word)
                         : memory_.copy_of(fault.word, sizeof fault.word);
      if (fault.handle == nullptr) status = CL_MEM_OBJECT_ALLOCATION_FAILURE;
      else set(fault.handle);
      break;
    }
  }
  check(status, device_,
        fmt::format("clSetKernelArg({}) of kernel '{}'", index, kernel.program().name));
}

void Queue::enqueue_kernel(const LaunchStep& step, const Held& held, ClJob& job, cl_event* event) {
  const auto& kernel = static_cast<const Kernel&>(*step.executable);
  const std::shared_ptr<const Code> code = kernel.code();
  const std::int64_t gangs = ceil_divide(step.extent[0], jit::lane_count);
  const std::int64_t extent[3] = {code->gangs ? gangs : step.extent[0], step.extent[1],
                                  step.extent[2]};
  if (extent[0] == 0 || extent[1] == 0 || extent[2] == 0) return;
  Runs runs;
  if (kernel.runs()) runs = spread_items(extent, kernel.cost_of(step), units_);
  for (cl_uint k = 0; k < code->arguments.size(); ++k)
    set_argument(kernel, *code, k, step, extent, runs, held, job);
  const std::int32_t* const block = kernel.program().block_size;
  std::size_t global[3], local[3];
  for (int axis = 0; axis < 3; ++axis) {
    local[axis] = static_cast<std::size_t>(block[axis]);
    global[axis] = kernel.runs() ? runs.threads[axis] : local[axis];
  }
  if (!kernel.items()) {
    global[0] *= static_cast<std::size_t>(extent[0] * extent[1] * extent[2]);
  } else if (!kernel.runs()) {
    std::size_t most = 1;
    clGetKernelWorkGroupInfo(code->kernel, target_.device, CL_KERNEL_WORK_GROUP_SIZE, sizeof most,
                             &most, nullptr);
    const Grid grid = grid_of_items(
        extent, units_, static_cast<std::int64_t>(std::bit_floor(std::min(most, block_threads))));
    for (int axis = 0; axis < 3; ++axis) {
      local[axis] = grid.threads[axis];
      global[axis] = local[axis] * grid.blocks[axis];
    }
  }
  check_launch(
      clEnqueueNDRangeKernel(queue_, code->kernel, 3, nullptr, global, local, 0, nullptr, event),
      device_, fmt::format("launching kernel '{}'", step.name));
}

void Queue::enqueue_library(const LaunchStep& step, const Held& held, ClJob& job, cl_event* begin,
                            cl_event* end) {
  std::vector<Place> places;
  for (const std::byte* pointer : step.pointers)
    places.push_back(pointer == nullptr ? Place{} : place_of(pointer, held, job));
  const std::size_t inputs = places.size() - 2;
  std::vector<const void*> in;
  for (std::size_t k = 0; k < inputs; ++k) in.push_back(&places[k]);
  const auto mark = [&](cl_event* event) {
    if (event != nullptr) clEnqueueMarkerWithWaitList(queue_, 0, nullptr, event);
  };
  mark(begin);
  step.call->enqueue(queue_, in, &places[inputs], &places[inputs + 1]);
  mark(end);
}

void Queue::enqueue_step(const LaunchStep& step, const Held& held, ClJob& job) {
  pass_launch_fault_point(step.name);
  cl_event begin = nullptr, event = nullptr;
  cl_event* const timed = logging::level() >= 2 ? &event : nullptr;
  const auto bytes = static_cast<std::size_t>(step.bytes);
  switch (step.kind) {
    case LaunchStep::Kind::kernel:
      enqueue_kernel(step, held, job, timed);
      break;
    case LaunchStep::Kind::library:
      enqueue_library(step, held, job, timed == nullptr ? nullptr : &begin, timed);
      break;
    case LaunchStep::Kind::copy: {
      if (bytes == 0) break;
      const Place from = place_of(step.pointers[0], held, job),
                  to = place_of(step.pointers[1], held, job);
      check(clEnqueueCopyBuffer(queue_, from.handle, to.handle, from.offset, to.offset, bytes, 0,
                                nullptr, timed),
            device_, "clEnqueueCopyBuffer");
      break;
    }
    case LaunchStep::Kind::fill: {
      if (bytes == 0) break;
      const Place to = place_of(step.pointers[0], held, job);
      const auto byte =
          static_cast<cl_uchar>(step.parameters.empty() ? 0 : step.parameters[0] & 0xff);
      check(clEnqueueFillBuffer(queue_, to.handle, &byte, 1, to.offset, bytes, 0, nullptr, timed),
            device_, "clEnqueueFillBuffer");
    }
  }
  if (event != nullptr) job.timed.push_back({begin, event, std::string(step.name), step.bytes});
}

std::shared_ptr<Queue::Job> Queue::make_job() { return std::make_shared<ClJob>(); }

void Queue::enqueue(const Submission& submission, Job& job) {
  for (const LaunchStep& step : submission.steps) {
    job.at = &step;
    enqueue_step(step, submission.keep_alive, static_cast<ClJob&>(job));
  }
}

void Queue::mark(Job& job) noexcept {
  auto& ours = static_cast<ClJob&>(job);
  for (Fault& fault : ours.faults) {
    if (memory_.shared() || fault.handle == nullptr) continue;
    fault.read = clEnqueueReadBuffer(queue_, fault.handle, CL_FALSE, 0, sizeof fault.word,
                                     fault.word, 0, nullptr, nullptr);
  }
  if (clEnqueueMarkerWithWaitList(queue_, 0, nullptr, &ours.finished) != CL_SUCCESS) {
    clFinish(queue_);
    ours.finished = nullptr;
  }
  clFlush(queue_);
}

bool Queue::is_over(const Job& job) noexcept {
  const cl_event finished = static_cast<const ClJob&>(job).finished;
  cl_int status = CL_COMPLETE;
  if (finished == nullptr || clGetEventInfo(finished, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                            sizeof status, &status, nullptr) != CL_SUCCESS) {
    return true;
  }
  return status == CL_COMPLETE || status < 0;
}

void Queue::wait_until_over(const Job& job) noexcept {
  const cl_event finished = static_cast<const ClJob&>(job).finished;
  if (finished != nullptr) clWaitForEvents(1, &finished);
}

Queue::ClJob::~ClJob() {
  if (finished != nullptr) clReleaseEvent(finished);
}

void Queue::log(const ClJob& job) const {
  for (const Timed& t : job.timed) {
    cl_ulong begin = 0, end = 0;
    const cl_event first = t.begin == nullptr ? t.event : t.begin;
    const cl_profiling_info from =
        t.begin == nullptr ? CL_PROFILING_COMMAND_START : CL_PROFILING_COMMAND_END;
    clGetEventProfilingInfo(first, from, sizeof begin, &begin, nullptr);
    clGetEventProfilingInfo(t.event, CL_PROFILING_COMMAND_END, sizeof end, &end, nullptr);
    if (t.begin != nullptr) clReleaseEvent(t.begin);
    clReleaseEvent(t.event);
    log_run(t.name, static_cast<double>(end - begin) * 1e-6, t.bytes);
  }
}

void Queue::settle(Job& job) {
  auto& ours = static_cast<ClJob&>(job);
  if (ours.finished != nullptr) {
    cl_int status = CL_COMPLETE;
    clGetEventInfo(ours.finished, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status,
                   nullptr);
    if (status < 0 && !job.failure) {
      job.failure = std::make_exception_ptr(LaunchError(fmt::format(
          "{}: a kernel failed, this one or one before: {}", device_, explained(status))));
    }
  }
  for (const Fault& fault : ours.faults) {
    if (fault.handle != nullptr) clReleaseMemObject(fault.handle);
    const auto code = static_cast<std::int32_t>(fault.word[0]);
    if (fault.read != CL_SUCCESS && !job.failure) {
      job.failure = std::make_exception_ptr(
          LaunchError(fmt::format("{}: reading whether kernel '{}' met a fault failed: {}", device_,
                                  fault.kernel, explained(fault.read))));
    }
    if (code == 0 || job.failure) continue;
    job.failure = std::make_exception_ptr(index_fault(fault.kernel, code, fault.word[1]));
  }
  for (const cl_mem handle : ours.handles) clReleaseMemObject(handle);
  log(ours);
}

}  // namespace noyau::opencl
