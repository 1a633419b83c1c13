// Whole reads and writes.
// SPDX-License-Identifier: Apache-2.0
#include "core/file.hpp"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace noyau {
namespace {

/// Keeps SIGXFSZ away from this thread while it lives, and swallows one that came meanwhile.
class HoldSizeSignal {
 public:
  HoldSizeSignal() {
    sigset_t pending;
    sigemptyset(&size_signal_);
    sigaddset(&size_signal_, SIGXFSZ);
    was_pending_ = sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
    held_ = pthread_sigmask(SIG_BLOCK, &size_signal_, &before_) == 0;
  }
  ~HoldSizeSignal() {
    if (!held_) return;
    const timespec no_time{};
    if (!was_pending_) {
      while (sigtimedwait(&size_signal_, nullptr, &no_time) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  HoldSizeSignal(const HoldSizeSignal&) = delete;
  HoldSizeSignal& operator=(const HoldSizeSignal&) = delete;

 private:
  sigset_t size_signal_, before_;
  bool was_pending_ = false, held_ = false;
};

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (number_ >= 0) ::close(number_);
}

int write_all(int descriptor, std::span<const std::byte> bytes) noexcept {
  const HoldSizeSignal hold;
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return errno;
    if (n == 0) return ENOSPC;
    if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return 0;
}

int read_all(int descriptor, std::span<std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::read(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return errno;
    if (n == 0) return EIO;
    if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return 0;
}

}  // namespace noyau
