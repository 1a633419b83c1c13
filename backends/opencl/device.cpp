// opencl:0, opencl:1...: the devices of every OpenCL platform.
// SPDX-License-Identifier: Apache-2.0
#include "core/device.hpp"

#include <CL/cl.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backends/opencl/compiler.hpp"
#include "backends/opencl/launch.hpp"
#include "backends/opencl/memory.hpp"
#include "backends/opencl/pocl.hpp"
#include "backends/opencl/pose.hpp"
#include "core/forked.hpp"
#include "core/log.hpp"
#include "core/module.hpp"
#include "noyau/error.hpp"
#include "noyau_build_id.hpp"

namespace noyau::opencl {
namespace {

/// Changes when the same Program begins to give other code.
constexpr int code_version = 3;

template <class T>
T number_of(cl_device_id device, cl_device_info what) {
  T value{};
  clGetDeviceInfo(device, what, sizeof value, &value, nullptr);
  return value;
}

template <class Get>
std::string text_from(Get get) {
  std::size_t size = 0;
  if (get(0, nullptr, &size) != CL_SUCCESS || size == 0) return {};
  std::string text(size, '\0');
  get(size, text.data(), nullptr);
  while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.pop_back();
  return text;
}
std::string text_of(cl_device_id device, cl_device_info what) {
  return text_from([&](std::size_t size, char* to, std::size_t* needed) {
    return clGetDeviceInfo(device, what, size, to, needed);
  });
}
std::string text_of(cl_platform_id platform, cl_platform_info what) {
  return text_from([&](std::size_t size, char* to, std::size_t* needed) {
    return clGetPlatformInfo(platform, what, size, to, needed);
  });
}

bool is_cpu(cl_device_id device) {
  return (number_of<cl_device_type>(device, CL_DEVICE_TYPE) & CL_DEVICE_TYPE_CPU) != 0 &&
         !pose().gpu;
}

/// Whether host and device may work on the same memory without being told of each other's writes.
/// GPUs that share the host's memory want buffers mapped for that; they get buffers of their own.
bool shares_memory(cl_device_id device) {
  return is_cpu(device) && !pose().memory &&
         number_of<cl_bool>(device, CL_DEVICE_HOST_UNIFIED_MEMORY) != CL_FALSE;
}

bool has_float64(cl_device_id device) {
  return number_of<cl_device_fp_config>(device, CL_DEVICE_DOUBLE_FP_CONFIG) != 0 && !pose().float32;
}

/// GPUs: as many as the device takes, up to 256. CPUs have items for threads.
int block_threads(cl_device_id device) {
  if (is_cpu(device)) return 0;
  const auto most = static_cast<int>(number_of<std::size_t>(device, CL_DEVICE_MAX_WORK_GROUP_SIZE));
  int threads = 32;
  while (2 * threads <= std::min(most, 256)) threads *= 2;
  return threads;
}

DeviceLimits limits_of(cl_device_id device) {
  DeviceLimits limits;
  limits.compute_units = number_of<cl_uint>(device, CL_DEVICE_MAX_COMPUTE_UNITS);
  limits.fast_memory_bytes =
      static_cast<std::int64_t>(number_of<cl_ulong>(device, CL_DEVICE_LOCAL_MEM_SIZE));
  limits.cache_bytes =
      static_cast<std::int64_t>(number_of<cl_ulong>(device, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE));
  limits.memory_bytes =
      static_cast<std::int64_t>(number_of<cl_ulong>(device, CL_DEVICE_GLOBAL_MEM_SIZE));
  limits.vector_bytes =
      static_cast<int>(4 * number_of<cl_uint>(device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT));
  limits.largest_buffer_bytes =
      static_cast<std::int64_t>(number_of<cl_ulong>(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE));
  limits.argument_bytes =
      static_cast<std::int64_t>(number_of<std::size_t>(device, CL_DEVICE_MAX_PARAMETER_SIZE));
  limits.float64 = has_float64(device);
  limits.gangs = false;
  limits.host_memory = shares_memory(device);
  limits.block_threads = block_threads(device);
  return limits;
}

Target target_of(cl_platform_id platform, cl_device_id device, int number) {
  Target target;
  target.device = device;
  target.name = fmt::format("opencl:{}", number);
  target.runs = is_cpu(device);
  target.float64 = has_float64(device);
  target.two_tiers = target.declares = is_pocl(text_of(platform, CL_PLATFORM_NAME));
  target.runs_any_size = target.declares && runs_any_size();
  target.options = "-cl-std=CL1.2 -w";
  const auto floats = number_of<cl_device_fp_config>(device, CL_DEVICE_SINGLE_FP_CONFIG);
  if ((floats & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0) {
    target.options += " -cl-fp32-correctly-rounded-divide-sqrt";
  }
  target.identity =
      fmt::format("opencl {} | {} | {} | {} | {} | {} | {} | {}",
                  text_of(platform, CL_PLATFORM_VERSION), text_of(device, CL_DEVICE_NAME),
                  text_of(device, CL_DEVICE_VERSION), text_of(device, CL_DRIVER_VERSION),
                  target.options, target.runs, target.runs_any_size, code_version);
  cl_int status = CL_SUCCESS;
  target.context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &status);
  check(status, target.name, "clCreateContext");
  return target;
}

cl_command_queue make_queue(const Target& target) {
  cl_int status = CL_SUCCESS;
  const cl_command_queue queue =
      clCreateCommandQueue(target.context, target.device,
                           logging::level() >= 2 ? CL_QUEUE_PROFILING_ENABLE : 0, &status);
  check(status, target.name, "clCreateCommandQueue");
  return queue;
}

class OpenClDevice final : public QueuedDevice {
 public:
  OpenClDevice(cl_platform_id platform, cl_device_id device, int number)
      : limits_(limits_of(device)),
        target_(target_of(platform, device, number)),
        description_(
            fmt::format("{}, {} units, {} MiB {}, {}, driver {}", text_of(device, CL_DEVICE_NAME),
                        limits_.compute_units, limits_.memory_bytes >> 20,
                        limits_.host_memory ? "shared with the host" : "of its own",
                        text_of(device, CL_DEVICE_VERSION), text_of(device, CL_DRIVER_VERSION))),
        commands_(make_queue(target_)),
        memory_(target_.name, target_.context, commands_, limits_.host_memory,
                static_cast<std::size_t>(limits_.largest_buffer_bytes)),
        queue_(target_, commands_, memory_, limits_.compute_units) {}

  std::string name() const override { return target_.name; }
  std::string description() const override { return description_; }
  bool can_run() const override { return true; }
  const DeviceLimits& limits() const override { return limits_; }

  std::byte* allocate(std::size_t bytes) override {
    check_process(target_.name);
    return memory_.allocate(bytes);
  }
  void release(std::byte* pointer, std::size_t bytes) override {
    if (!is_forked_child()) memory_.release(pointer, bytes);
  }
  void copy_to_host(const std::byte* from, void* to, std::size_t bytes) override {
    check_process(target_.name);
    memory_.copy_to_host(from, to, bytes);
  }
  void copy_from_host(const void* from, std::byte* to, std::size_t bytes) override {
    check_process(target_.name);
    memory_.copy_from_host(from, to, bytes);
  }
  bool copy_from_device(DeviceBackend& source, const std::byte* from, std::byte* to,
                        std::size_t bytes) override {
    if (&source != this) return false;  // contexts share no buffers
    check_process(target_.name);
    memory_.copy(from, to, bytes);
    return true;
  }
  void* native_context() override { return commands_; }

  std::string code_identity() const override { return target_.identity; }
  ExecutableRef compile(const jit::Program& program) override {
    check_process(target_.name);
    return opencl::compile(target_, program);
  }
  ExecutableRef load(std::span<const std::byte> object, const jit::Program& program) override {
    check_process(target_.name);
    return opencl::load(target_, object, program);
  }
  std::string code(const jit::Program& program) override { return code_text(target_, program); }

  std::uint64_t submit(Submission submission) override {
    check_process(target_.name);
    improve_hot(target_, submission.steps);
    return QueuedDevice::submit(std::move(submission));
  }

 private:
  Queue& queue() const override { return queue_; }

  const DeviceLimits limits_;
  const Target target_;
  const std::string description_;
  const cl_command_queue commands_;
  Memory memory_;
  mutable Queue queue_;
};

std::vector<cl_platform_id> platforms() {
  cl_uint count = 0;
  const cl_int status = clGetPlatformIDs(0, nullptr, &count);
  if (status != CL_SUCCESS || count == 0) {
    throw DeviceError(
        fmt::format("libOpenCL finds no platform ({}): no driver is installed, or its file in "
                    "/etc/OpenCL/vendors names a library that does not load",
                    status_text(status)));
  }
  std::vector<cl_platform_id> found(count);
  clGetPlatformIDs(count, found.data(), nullptr);
  return found;
}

std::vector<cl_device_id> devices_of(cl_platform_id platform) {
  cl_uint count = 0;
  if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count) != CL_SUCCESS) return {};
  std::vector<cl_device_id> found(count);
  clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, found.data(), nullptr);
  return found;
}

void add_devices(ModuleHost& host) {
  prepare_pocl();
  int number = 0;
  std::string looked_at;  // what is not used, and why
  const auto report = [&](const std::string& line) {
    host.report(line);
    looked_at += "\n    " + line;
  };
  for (const cl_platform_id platform : platforms()) {
    const std::vector<cl_device_id> ids = devices_of(platform);
    report(fmt::format("platform {}, {}{}", text_of(platform, CL_PLATFORM_NAME),
                       text_of(platform, CL_PLATFORM_VERSION),
                       ids.empty() ? ": has no device; is the hardware there, and may this user "
                                     "open it?"
                                   : ""));
    for (const cl_device_id id : ids) {
      const std::string called = text_of(id, CL_DEVICE_NAME);
      if (number_of<cl_bool>(id, CL_DEVICE_AVAILABLE) == CL_FALSE ||
          number_of<cl_bool>(id, CL_DEVICE_COMPILER_AVAILABLE) == CL_FALSE) {
        report(fmt::format("  {}: not used, it is not available or has no compiler", called));
        continue;
      }
      try {
        auto device = std::make_unique<OpenClDevice>(platform, id, number);
        report(fmt::format("  {}: {}", device->name(), device->description()));
        finish_at_exit(*device);
        host.add_device(std::move(device));
        ++number;
      } catch (const Error& error) {
        report(fmt::format("  {}: not used: {}", called, error.what()));
      }
    }
  }
  if (number == 0) throw DeviceError("OpenCL finds no device that can be used:" + looked_at);
}

}  // namespace
}  // namespace noyau::opencl

extern "C" const char* noyau_module_build_id() { return NOYAU_BUILD_ID; }
extern "C" void noyau_module(noyau::ModuleHost& host) { noyau::opencl::add_devices(host); }
