// A device under a second name: programs for several devices can be tried where there is one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "core/device.hpp"

namespace noyau {

/// Hands everything to the device that it repeats, so that both share its queue and its memory.
/// Arrays and the caches keep them apart.
class RepeatedDevice final : public DeviceBackend {
 public:
  /// `device` must outlive this.
  RepeatedDevice(DeviceBackend& device, std::string name)
      : device_(device), name_(std::move(name)) {}

  std::string name() const override { return name_; }
  std::string description() const override { return device_.name() + " again"; }
  bool can_run() const override { return device_.can_run(); }
  const DeviceLimits& limits() const override { return device_.limits(); }

  std::byte* allocate(std::size_t bytes) override { return device_.allocate(bytes); }
  void release(std::byte* pointer, std::size_t bytes) override { device_.release(pointer, bytes); }
  void copy_to_host(const std::byte* from, void* to, std::size_t bytes) override {
    device_.copy_to_host(from, to, bytes);
  }
  void copy_from_host(const void* from, std::byte* to, std::size_t bytes) override {
    device_.copy_from_host(from, to, bytes);
  }
  void* native_context() override { return device_.native_context(); }
  DeviceBackend& original() override { return device_.original(); }

  std::string code_identity() const override { return device_.code_identity(); }
  ExecutableRef compile(const jit::Program& program) override { return device_.compile(program); }
  ExecutableRef load(std::span<const std::byte> object, const jit::Program& program) override {
    return device_.load(object, program);
  }
  std::string code(const jit::Program& program) override { return device_.code(program); }

  std::uint64_t submit(Submission submission) override {
    return device_.submit(std::move(submission));
  }
  bool done(std::uint64_t ticket) const override { return device_.done(ticket); }
  void wait(std::uint64_t ticket) override { device_.wait(ticket); }
  void synchronize() override { device_.synchronize(); }

 private:
  DeviceBackend& device_;
  const std::string name_;
};

}  // namespace noyau
