// The interpreter as a device: runs each step at once, within the bounds of the buffers.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/interpreter_device.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "core/device.hpp"
#include "jit/interpret.hpp"
#include "noyau/error.hpp"

namespace noyau::test {
namespace {

class InterpretedProgram final : public Executable {
 public:
  explicit InterpretedProgram(const jit::Program& program) : program_(program) {}
  std::vector<std::byte> object() const override { return {}; }
  const jit::Program& program() const { return program_; }

 private:
  jit::Program program_;
};

/// Where a remote device's blocks really are. The addresses that it hands out cannot be read.
class RemoteMemory {
 public:
  std::byte* allocate(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    auto* real = static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    std::byte* const shown = next_;
    next_ += (bytes + 4096) / 64 * 64;
    if (next_ > reserved_ + reserve) throw InternalError("a test used up its remote memory");
    blocks_[shown] = real;
    return shown;
  }
  void release(std::byte* shown) {
    const std::lock_guard lock(mutex_);
    std::free(blocks_.at(shown));
    blocks_.erase(shown);
  }
  std::byte* real(const std::byte* shown) const {
    const std::lock_guard lock(mutex_);
    const auto block = std::prev(blocks_.upper_bound(shown));
    return block->second + (shown - block->first);
  }

 private:
  static constexpr std::size_t reserve = std::size_t{1} << 38;
  std::byte* const reserved_ = static_cast<std::byte*>(
      mmap(nullptr, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  std::byte* next_ = reserved_;
  mutable std::mutex mutex_;
  std::map<const std::byte*, std::byte*> blocks_;
};

/// Of the LaunchWatch that lives.
jit::testing::Visit& watching() {
  static auto& leaked = *new jit::testing::Visit;
  return leaked;
}

class InterpreterDevice final : public DeviceBackend {
 public:
  InterpreterDevice(std::string name, bool remote, int block_threads = 0) : name_(std::move(name)) {
    limits_.host_memory = !remote;
    limits_.block_threads = block_threads;
    if (remote) remote_ = std::make_unique<RemoteMemory>();
  }
  std::string name() const override { return name_; }
  std::string description() const override { return "runs programs one instruction at a time"; }
  bool can_run() const override { return true; }
  const DeviceLimits& limits() const override { return limits_; }

  std::byte* allocate(std::size_t bytes) override {
    if (remote_) return remote_->allocate(bytes);
    return static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
  }
  void release(std::byte* pointer, std::size_t) override {
    if (remote_) remote_->release(pointer);
    else std::free(pointer);
  }
  void copy_to_host(const std::byte* from, void* to, std::size_t bytes) override {
    std::memcpy(to, real(from), bytes);
  }
  void copy_from_host(const void* from, std::byte* to, std::size_t bytes) override {
    std::memcpy(real(to), from, bytes);
  }

  std::string code_identity() const override {
    return fmt::format("interpreter {}", limits_.block_threads);
  }
  ExecutableRef compile(const jit::Program& program) override {
    jit::verify(program);
    return std::make_shared<InterpretedProgram>(program);
  }
  ExecutableRef load(std::span<const std::byte>, const jit::Program&) override { return nullptr; }
  std::string code(const jit::Program& program) override { return jit::print(program); }

  std::uint64_t submit(Submission submission) override {
    for (const LaunchStep& step : submission.steps) run(step, submission);
    return 0;
  }
  bool done(std::uint64_t) const override { return true; }
  void wait(std::uint64_t) override {}
  void synchronize() override {}

 private:
  std::byte* real(const std::byte* shown) const {
    return remote_ ? remote_->real(shown) : const_cast<std::byte*>(shown);
  }
  void run(const LaunchStep& step, const Submission& submission) const {
    const auto bytes = static_cast<std::size_t>(step.bytes);
    switch (step.kind) {
      case LaunchStep::Kind::copy:
        std::memcpy(real(step.pointers[1]), real(step.pointers[0]), bytes);
        return;
      case LaunchStep::Kind::fill:
        std::memset(real(step.pointers[0]), 0, bytes);
        return;
      case LaunchStep::Kind::library:
        throw InternalError("a library call was planned for the interpreter");
      case LaunchStep::Kind::kernel:
        return run_kernel(step, submission);
    }
  }
  void run_kernel(const LaunchStep& step, const Submission& submission) const {
    const auto& program = static_cast<const InterpretedProgram*>(step.executable)->program();
    std::vector<jit::InterpreterBuffer> buffers;
    for (const jit::MemoryObject& object : program.memory) {
      if (object.kind != jit::MemoryObject::Kind::buffer) continue;
      buffers.push_back(bounds_of(step.pointers.at(buffers.size()), submission, object.dtype));
    }
    if (watching() && limits_.block_threads > 0)
      watching()(program, {step.extent[0], step.extent[1], step.extent[2]}, step.parameters,
                 copies_of(buffers, program));
    const std::int64_t fault = jit::interpret(program, step.extent, buffers, step.parameters);
    if (fault != 0) throw LaunchError(fmt::format("{}: fault {}", step.name, fault));
  }
  /// From each pointer on.
  static std::vector<jit::testing::HostBuffer> copies_of(
      const std::vector<jit::InterpreterBuffer>& buffers, const jit::Program& program) {
    std::vector<jit::testing::HostBuffer> copies;
    for (const jit::MemoryObject& object : program.memory) {
      if (object.kind != jit::MemoryObject::Kind::buffer) continue;
      const jit::InterpreterBuffer& b = buffers[copies.size()];
      jit::testing::HostBuffer& copy = copies.emplace_back(
          jit::testing::zeros(object.dtype, static_cast<std::size_t>(b.elements)));
      std::memcpy(copy.bytes.data(), b.data, copy.bytes.size());
    }
    return copies;
  }
  /// The elements of the buffer that the pointer points into, on both sides of it.
  jit::InterpreterBuffer bounds_of(std::byte* pointer, const Submission& submission,
                                   DType dtype) const {
    const auto bytes = static_cast<std::int64_t>(size_of(dtype));
    for (const BufferRef& buffer : submission.keep_alive) {
      const std::byte* end = buffer->data + buffer->bytes;
      if (pointer < buffer->data || pointer >= end) continue;
      return {real(pointer), (end - pointer) / bytes, (pointer - buffer->data) / bytes};
    }
    throw InternalError("a pointer outside of the buffers that its submission keeps alive");
  }

  const std::string name_;
  DeviceLimits limits_;
  std::unique_ptr<RemoteMemory> remote_;
};

}  // namespace

Device interpreter_device() {
  // Buffers may outlive every static object.
  static auto& leaked = *new InterpreterDevice("interpreter:0", false);
  return Device(&leaked);
}

Device remote_device() {
  static auto& leaked = *new InterpreterDevice("remote:0", true);
  return Device(&leaked);
}

Device blocks_device(int threads) {
  static auto& few = *new InterpreterDevice("blocks_of_64:0", false, 64);
  static auto& many = *new InterpreterDevice("blocks_of_256:0", false, 256);
  return Device(threads == 64 ? &few : &many);
}

LaunchWatch::LaunchWatch(jit::testing::Visit visit) { watching() = std::move(visit); }
LaunchWatch::~LaunchWatch() { watching() = nullptr; }

}  // namespace noyau::test
