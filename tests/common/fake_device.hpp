// A device for tests: memory from malloc, executables that are bytes, a queue that a test can hold.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/device.hpp"
#include "core/memory.hpp"

namespace noyau::test {

/// What FakeDevice compiles to: bytes that name the program and the device's identity.
class FakeExecutable final : public Executable {
 public:
  explicit FakeExecutable(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  std::vector<std::byte> object() const override { return bytes_; }
  std::string text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  std::vector<std::byte> bytes_;
};

/// Runs nothing. Tickets are done at once, or when finish() is called after hold().
class FakeDevice final : public DeviceBackend {
 public:
  FakeDevice() = default;
  ~FakeDevice() override {
    finish();
    memory::forget(*this);
  }

  std::string name() const override { return device_name; }
  std::string description() const override { return "a device for tests"; }
  bool can_run() const override { return true; }
  const DeviceLimits& limits() const override { return limits_; }
  DeviceLimits& limits() { return limits_; }

  std::byte* allocate(std::size_t bytes) override {
    if (static_cast<std::int64_t>(bytes) > capacity - live_bytes) return nullptr;
    auto* block = static_cast<std::byte*>(std::aligned_alloc(64, bytes));
    if (block) {
      live_bytes += static_cast<std::int64_t>(bytes);
      ++live_blocks;
    }
    return block;
  }
  void release(std::byte* pointer, std::size_t bytes) override {
    if (!done(submitted_)) released_while_busy = true;
    live_bytes -= static_cast<std::int64_t>(bytes);
    --live_blocks;
    std::free(pointer);
  }

  std::string code_identity() const override { return identity; }
  ExecutableRef compile(const jit::Program& program) override {
    ++compiles;
    if (on_compile) on_compile(program);
    const std::string text = object_text(program);
    std::vector<std::byte> bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    return std::make_shared<FakeExecutable>(std::move(bytes));
  }
  ExecutableRef load(std::span<const std::byte> object, const jit::Program&) override {
    ++loads;
    if (refuse_loads) return nullptr;
    return std::make_shared<FakeExecutable>(std::vector<std::byte>(object.begin(), object.end()));
  }
  std::string code(const jit::Program& program) override { return object_text(program); }
  /// What an executable of `program` must contain.
  std::string object_text(const jit::Program& program) const {
    const jit::Hash128 h = jit::hash(program);
    return program.name + '/' + identity + '/' + std::to_string(h.low) + '/' +
           std::to_string(h.high) + std::string(padding, 'x');
  }

  std::uint64_t submit(Submission) override { return ++submitted_; }
  bool done(std::uint64_t ticket) const override { return !held_ || ticket <= finished_; }
  void wait(std::uint64_t ticket) override {
    while (!done(ticket)) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  void synchronize() override { wait(submitted_); }

  void hold() {
    finished_ = submitted_.load();
    held_ = true;
  }
  void finish() { held_ = false; }

  std::int64_t capacity = std::int64_t{1} << 36;  ///< bytes that allocate gives at most
  std::atomic<std::int64_t> live_bytes{0}, live_blocks{0}, compiles{0}, loads{0};
  std::atomic<bool> released_while_busy{false};
  std::string device_name = "fake:0";
  std::string identity = "fake 1";
  std::size_t padding = 0;  ///< bytes that every object is longer
  bool refuse_loads = false;
  std::function<void(const jit::Program&)> on_compile;

 private:
  DeviceLimits limits_;
  std::atomic<std::uint64_t> submitted_{0}, finished_{0};
  std::atomic<bool> held_{false};
};

}  // namespace noyau::test
