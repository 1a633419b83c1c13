// cpu:0: kernels compiled by LLVM, run by a queue and one team of threads.
// SPDX-License-Identifier: Apache-2.0
#include "core/device.hpp"

#include <fmt/format.h>
#include <llvm/Config/llvm-config.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "backends/llvm/compiler.hpp"
#include "backends/llvm/launch.hpp"
#include "backends/llvm/memory.hpp"
#include "backends/llvm/recompile.hpp"
#include "backends/llvm/threads.hpp"
#include "core/forked.hpp"
#include "core/host_memory.hpp"
#include "core/module.hpp"
#include "noyau/error.hpp"
#include "noyau_build_id.hpp"

namespace noyau::llvm_backend {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "a processor";
}

int vector_bytes() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") ? 64 : __builtin_cpu_supports("avx") ? 32 : 16;
}

DeviceLimits measure_limits() {
  DeviceLimits limits;
  limits.compute_units = thread_count();
  limits.fast_memory_bytes = cache_bytes(1, 32 << 10) / 2;
  limits.cache_bytes = cache_bytes(3, cache_bytes(2, 8 << 20));
  limits.memory_bytes = memory_bytes();
  limits.vector_bytes = vector_bytes();
  return limits;
}

class CpuDevice final : public QueuedDevice {
 public:
  CpuDevice() : limits_(measure_limits()), identity_(llvm_backend::code_identity()) {}

  std::string name() const override { return "cpu:0"; }
  std::string description() const override {
    return fmt::format("{}, {} threads, {} MiB of last cache, LLVM {}", processor_name(),
                       limits_.compute_units, limits_.cache_bytes >> 20, LLVM_VERSION_STRING);
  }
  bool can_run() const override { return true; }
  const DeviceLimits& limits() const override { return limits_; }

  std::byte* allocate(std::size_t bytes) override { return allocate_host_memory(bytes); }
  void release(std::byte* pointer, std::size_t bytes) override {
    release_host_memory(pointer, bytes);
  }

  std::string code_identity() const override {
    const char* tier = std::getenv("NOYAU_TIER");
    return tier == nullptr ? identity_ : fmt::format("{} tier {}", identity_, tier);
  }
  ExecutableRef compile(const jit::Program& program) override {
    check_process(name());
    return llvm_backend::compile(program);
  }
  ExecutableRef load(std::span<const std::byte> object, const jit::Program& program) override {
    return llvm_backend::load(object, program);
  }
  std::string code(const jit::Program& program) override { return code_text(program); }

  std::uint64_t submit(Submission submission) override {
    end_recompiler_with_main_thread();
    return QueuedDevice::submit(std::move(submission));
  }
  void finish() override {
    QueuedDevice::finish();
    if (!is_forked_child()) recompiler().finish();
  }

 private:
  Queue& queue() const override { return queue_; }

  const DeviceLimits limits_;
  const std::string identity_;
  mutable Queue queue_;
};

}  // namespace
}  // namespace noyau::llvm_backend

extern "C" const char* noyau_module_build_id() { return NOYAU_BUILD_ID; }
extern "C" void noyau_module(noyau::ModuleHost& host) {
  namespace here = noyau::llvm_backend;
#if !defined(__x86_64__)
  throw noyau::DeviceError("kernels are compiled for x86-64 processors only so far");
#endif
  auto device = std::make_unique<here::CpuDevice>();
  host.report(fmt::format("LLVM {}", LLVM_VERSION_STRING));
  finish_at_exit(*device);
  host.add_device(std::move(device));
}
