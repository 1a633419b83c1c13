// The interpreter as a device: runs each step at once, within the bounds of the buffers.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/interpreter_device.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

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

class InterpreterDevice final : public DeviceBackend {
 public:
  std::string name() const override { return "interpreter:0"; }
  std::string description() const override { return "runs programs one instruction at a time"; }
  bool can_run() const override { return true; }
  const DeviceLimits& limits() const override { return limits_; }

  std::byte* allocate(std::size_t bytes) override {
    return static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
  }
  void release(std::byte* pointer, std::size_t) override { std::free(pointer); }

  std::string code_identity() const override { return "interpreter"; }
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
  static void run(const LaunchStep& step, const Submission& submission) {
    switch (step.kind) {
      case LaunchStep::Kind::copy:
        std::memcpy(step.pointers[1], step.pointers[0], static_cast<std::size_t>(step.bytes));
        return;
      case LaunchStep::Kind::fill:
        std::memset(step.pointers[0], 0, static_cast<std::size_t>(step.bytes));
        return;
      case LaunchStep::Kind::library:
        throw InternalError("a library call was planned for the interpreter");
      case LaunchStep::Kind::kernel:
        return run_kernel(step, submission);
    }
  }
  static void run_kernel(const LaunchStep& step, const Submission& submission) {
    const auto& program = static_cast<const InterpretedProgram*>(step.executable)->program();
    std::vector<jit::InterpreterBuffer> buffers;
    for (const jit::MemoryObject& object : program.memory) {
      if (object.kind != jit::MemoryObject::Kind::buffer) continue;
      buffers.push_back(bounds_of(step.pointers.at(buffers.size()), submission, object.dtype));
    }
    const std::int64_t fault = jit::interpret(program, step.extent, buffers, step.parameters);
    if (fault != 0) throw LaunchError(fmt::format("{}: fault {}", step.name, fault));
  }
  /// The elements of the buffer that the pointer points into, on both sides of it.
  static jit::InterpreterBuffer bounds_of(std::byte* pointer, const Submission& submission,
                                          DType dtype) {
    const auto bytes = static_cast<std::int64_t>(size_of(dtype));
    for (const BufferRef& buffer : submission.keep_alive) {
      const std::byte* end = buffer->data + buffer->bytes;
      if (pointer < buffer->data || pointer >= end) continue;
      return {pointer, (end - pointer) / bytes, (pointer - buffer->data) / bytes};
    }
    throw InternalError("a pointer outside of the buffers that its submission keeps alive");
  }

  DeviceLimits limits_;
};

}  // namespace

Device interpreter_device() {
  static auto& leaked = *new InterpreterDevice;  // buffers may outlive every static object
  return Device(&leaked);
}

}  // namespace noyau::test
