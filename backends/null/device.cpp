// null:0, null:1...: devices that plan and print code and never run. They show what a backend must
// have.
// SPDX-License-Identifier: Apache-2.0
#include "core/device.hpp"

#include <fmt/format.h>

#include "backends/null/compiler.hpp"
#include "backends/null/launch.hpp"
#include "backends/null/memory.hpp"
#include "core/log.hpp"
#include "core/module.hpp"
#include "noyau_build_id.hpp"

namespace noyau::null {
namespace {

class NullDevice final : public DeviceBackend {
 public:
  NullDevice(std::size_t number, const Language& language)
      : name_(fmt::format("null:{}", number)), language_(language) {
    language.set_limits(limits_);
  }

  std::string name() const override { return name_; }
  std::string description() const override {
    return fmt::format("plans, prints {} and never runs", language_.description);
  }
  bool can_run() const override { return false; }
  const DeviceLimits& limits() const override { return limits_; }

  std::byte* allocate(std::size_t bytes) override { return null::allocate(bytes); }
  void release(std::byte* pointer, std::size_t) override { null::release(pointer); }

  std::string code_identity() const override { return fmt::format("null {}", language_.name); }
  ExecutableRef compile(const jit::Program& program) override {
    jit::verify(program);
    return std::make_shared<Text>(code(program));
  }
  ExecutableRef load(std::span<const std::byte>, const jit::Program&) override { return nullptr; }
  std::string code(const jit::Program& program) override { return language_.code(program); }

  std::uint64_t submit(Submission) override { refuse(name_); }
  bool done(std::uint64_t) const override { return true; }
  void wait(std::uint64_t) override {}
  void synchronize() override {}

 private:
  const std::string name_;
  const Language& language_;
  DeviceLimits limits_;
};

}  // namespace
}  // namespace noyau::null

extern "C" const char* noyau_module_build_id() { return NOYAU_BUILD_ID; }
extern "C" void noyau_module(noyau::ModuleHost& host) {
  std::vector<std::string> wanted = noyau::environment::names("NOYAU_NULL_DEVICES");
  if (wanted.empty()) wanted.emplace_back("program");
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    host.add_device(std::make_unique<noyau::null::NullDevice>(k, noyau::null::language(wanted[k])));
  }
}
