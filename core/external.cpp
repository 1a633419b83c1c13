// Foreign memory: its deleter runs when the device is done with it, on whatever thread that is.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "core/device.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "core/wait.hpp"
#include "noyau/error.hpp"

namespace noyau::memory {
namespace {

void run(const std::function<void()>& deleter) noexcept {
  try {
    deleter();
  } catch (...) {
    try {
      logging::warn_once("the deleter of an external buffer threw; its memory may be lost");
    } catch (...) {
      // Nobody can be told.
    }
  }
}

/// Foreign memory that the device still works on. A buffer may die on the device's own queue
/// thread, which cannot wait for itself, so a thread of its own waits; it starts with the first
/// such buffer.
class Reaper {
 public:
  void add(const DeviceBackend& device, std::uint64_t ticket, std::function<void()> deleter) {
    const std::lock_guard lock(mutex_);
    if (!started_) std::thread([this] { work(); }).detach();
    started_ = true;
    waiting_.push_back({&device, ticket, std::move(deleter)});
    more_.notify_one();
  }

 private:
  struct Waiting {
    const DeviceBackend* device;
    std::uint64_t ticket;
    std::function<void()> deleter;
  };

  [[noreturn]] void work() {
    for (;;) {
      Waiting next;
      {
        std::unique_lock lock(mutex_);
        more_.wait(lock, [this] { return !waiting_.empty(); });
        next = std::move(waiting_.front());
        waiting_.pop_front();
      }
      wait_until_done(*next.device, next.ticket);
      run(next.deleter);
    }
  }

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Waiting> waiting_;
  bool started_ = false;
};

void let_go(Buffer& buffer, const std::function<void()>& deleter) noexcept {
  const std::uint64_t ticket = buffer.last_use.load(std::memory_order_acquire);
  if (!buffer.device->done(ticket)) {
    static auto& reaper = *new Reaper;
    try {
      reaper.add(*buffer.device, ticket, deleter);
      return;
    } catch (const std::exception&) {
      wait_until_done(*buffer.device, ticket);  // no thread, no memory: better late than early
    }
  }
  run(deleter);
}

}  // namespace

BufferRef from_external(DeviceBackend& device, void* data, std::size_t bytes,
                        std::function<void()> deleter) {
  if (!data && bytes > 0) {
    throw ValueError(fmt::format(
        "[from_external] a null pointer to {} bytes: give the address of the memory", bytes));
  }
  auto buffer = std::make_shared<Buffer>();
  buffer->device = &device;
  buffer->data = static_cast<std::byte*>(data);
  buffer->bytes = bytes;
  buffer->external = true;
  if (deleter) {
    buffer->deleter = [f = std::move(deleter)](Buffer& dead) { let_go(dead, f); };
  }
  return buffer;
}

}  // namespace noyau::memory
