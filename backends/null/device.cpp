// The smallest device: plans and prints programs, never runs. It shows what a backend must have.
// SPDX-License-Identifier: Apache-2.0
#include "core/device.hpp"

#include <cstdlib>

#include "core/module.hpp"
#include "noyau/error.hpp"
#include "noyau_build_id.hpp"

namespace noyau::null {
namespace {

constexpr std::size_t alignment = 64;

[[noreturn]] void never_runs() {
  throw DeviceError(
      "submit: null devices plan and never run; move the arrays to another device with "
      ".to(noyau::device(name))");
}

/// Keeps only the text of its program.
class NullExecutable final : public Executable {
 public:
  std::vector<std::byte> object() const override { return {}; }
};

class NullDevice final : public DeviceBackend {
 public:
  std::string name() const override { return "null:0"; }
  std::string description() const override { return "plans and never runs"; }
  bool can_run() const override { return false; }
  const DeviceLimits& limits() const override { return limits_; }

  std::byte* allocate(std::size_t bytes) override {
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    if (rounded < bytes) return nullptr;
    return static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
  }
  void release(std::byte* pointer, std::size_t) override { std::free(pointer); }

  std::string code_identity() const override { return "null"; }
  ExecutableRef compile(const jit::Program& program) override {
    jit::verify(program);
    return std::make_shared<NullExecutable>();
  }
  ExecutableRef load(std::span<const std::byte>, const jit::Program&) override { return nullptr; }
  std::string code(const jit::Program& program) override { return jit::print(program); }

  std::uint64_t submit(Submission) override { never_runs(); }
  bool done(std::uint64_t) const override { return true; }
  void wait(std::uint64_t) override {}
  void synchronize() override {}

 private:
  DeviceLimits limits_;
};

}  // namespace
}  // namespace noyau::null

extern "C" const char* noyau_module_build_id() { return NOYAU_BUILD_ID; }
extern "C" void noyau_module(noyau::ModuleHost& host) {
  host.add_device(std::make_unique<noyau::null::NullDevice>());
}
