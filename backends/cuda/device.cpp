// cuda:0, cuda:1...: the GPUs that NVIDIA's driver lists.
// SPDX-License-Identifier: Apache-2.0
#include "core/device.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <memory>
#include <string>
#include <vector>

#include "backends/cuda/compiler.hpp"
#include "backends/cuda/launch.hpp"
#include "backends/cuda/memory.hpp"
#include "backends/cuda/nvrtc.hpp"
#include "core/forked.hpp"
#include "core/module.hpp"
#include "noyau/error.hpp"
#include "noyau_build_id.hpp"

namespace noyau::cuda {
namespace {

/// Changes when the same Program begins to give other code.
constexpr int code_version = 2;

std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

/// What the driver says of one device.
struct Found {
  std::string name, model;
  DeviceNumber number = 0;
  int capability = 0;
  DeviceLimits limits;
};

Found look_at(int ordinal) {
  Found f;
  f.name = fmt::format("cuda:{}", ordinal);
  check(driver().device_get(&f.number, ordinal), f.name, "cuDeviceGet");
  const auto attribute = [&](int which) {
    int value = 0;
    check(driver().device_get_attribute(&value, which, f.number), f.name, "cuDeviceGetAttribute");
    return value;
  };
  char model[256] = "";
  check(driver().device_get_name(model, sizeof model, f.number), f.name, "cuDeviceGetName");
  std::size_t bytes = 0;
  check(driver().device_total_mem(&bytes, f.number), f.name, "cuDeviceTotalMem");
  f.model = model;
  f.capability = 10 * attribute(capability_major) + attribute(capability_minor);
  f.limits.compute_units = attribute(multiprocessor_count);
  f.limits.fast_memory_bytes =
      std::max(attribute(shared_memory_per_block), attribute(shared_memory_per_block_opt_in));
  f.limits.cache_bytes = attribute(l2_cache_size);
  f.limits.memory_bytes = static_cast<std::int64_t>(bytes);
  f.limits.vector_bytes = 16;
  f.limits.block_threads = 256;
  f.limits.argument_bytes = 4096;  // more needs CUDA 12.1 and compute capability 7.0
  f.limits.host_memory = false;
  return f;
}

Target target_of(const Found& found) {
  int driver_version = 0;
  check(driver().driver_get_version(&driver_version), found.name, "cuDriverGetVersion");
  const Nvrtc& compiler = nvrtc();
  Target target;
  target.name = found.name;
  target.architecture =
      choose_architecture(found.capability, compiler.supported, compiler.number, driver_version);
  target.identity = fmt::format("cuda {} | NVRTC {} | {} | {}", target.architecture.name(),
                                compiler.number, fmt::join(compile_options(), " "), code_version);
  // The driver finishes PTX, so that its version counts too.
  if (!target.architecture.machine_code) target.identity += fmt::format(" | {}", driver_version);
  target.primary = std::make_shared<const PrimaryContext>(found.name, found.number);
  return target;
}

class CudaDevice final : public QueuedDevice {
 public:
  explicit CudaDevice(const Found& found)
      : limits_(found.limits),
        target_(target_of(found)),
        description_(fmt::format("{}, compute capability {}.{} ({}), {} units, {} MiB", found.model,
                                 found.capability / 10, found.capability % 10,
                                 target_.architecture.name(), limits_.compute_units,
                                 limits_.memory_bytes >> 20)),
        queue_(target_, limits_.compute_units) {}

  std::string name() const override { return target_.name; }
  std::string description() const override { return description_; }
  bool can_run() const override { return true; }
  const DeviceLimits& limits() const override { return limits_; }

  std::byte* allocate(std::size_t bytes) override {
    check_process(target_.name);
    const ContextScope scope(target_.context());
    return cuda::allocate(target_.name, bytes);
  }
  void release(std::byte* pointer, std::size_t) override {
    if (is_forked_child()) return;
    const ContextScope scope(target_.context());
    driver().mem_free(reinterpret_cast<Address>(pointer));
  }
  void copy_to_host(const std::byte* from, void* to, std::size_t bytes) override {
    queue_.copy_to_host(from, to, bytes);
  }
  void copy_from_host(const void* from, std::byte* to, std::size_t bytes) override {
    queue_.copy_from_host(from, to, bytes);
  }

  bool copy_from_device(DeviceBackend& source, const std::byte* from, std::byte* to,
                        std::size_t bytes) override {
    auto* other = dynamic_cast<CudaDevice*>(&source);
    if (other != nullptr) queue_.copy_from_device(other->queue_, from, to, bytes);
    return other != nullptr;
  }
  void* native_context() override { return target_.context(); }

  std::string code_identity() const override { return target_.identity; }
  ExecutableRef compile(const jit::Program& program) override {
    check_process(target_.name);
    return cuda::compile(target_, program);
  }
  ExecutableRef load(std::span<const std::byte> object, const jit::Program& program) override {
    check_process(target_.name);
    return cuda::load(target_, object, program);
  }
  std::string code(const jit::Program& program) override { return code_text(program); }

 private:
  Queue& queue() const override { return queue_; }

  const DeviceLimits limits_;
  const Target target_;
  const std::string description_;
  mutable Queue queue_;
};

void add_devices(ModuleHost& host) {
  int version_number = 0, count = 0;
  check(driver().driver_get_version(&version_number), driver().file, "cuDriverGetVersion");
  check(driver().device_get_count(&count), driver().file, "cuDeviceGetCount");
  if (count == 0) {
    throw DeviceError(
        fmt::format("the driver ({}, for CUDA {}) lists no device; is there a GPU, and does "
                    "CUDA_VISIBLE_DEVICES show it?",
                    driver().file, version(version_number)));
  }
  host.report(fmt::format("{}, for CUDA {}", driver().description, version(version_number)));
  host.report(fmt::format("{}, NVRTC {}, for sm_{}", nvrtc().description, version(nvrtc().number),
                          fmt::join(nvrtc().supported, " sm_")));
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    try {
      auto device = std::make_unique<CudaDevice>(look_at(ordinal));
      host.report(fmt::format("{}: {}", device->name(), device->description()));
      finish_at_exit(*device);
      host.add_device(std::move(device));
    } catch (const DeviceError& error) {
      host.report(fmt::format("cuda:{} is not used: {}", ordinal, error.what()));
    }
  }
}

}  // namespace
}  // namespace noyau::cuda

extern "C" const char* noyau_module_build_id() { return NOYAU_BUILD_ID; }
extern "C" void noyau_module(noyau::ModuleHost& host) { noyau::cuda::add_devices(host); }
