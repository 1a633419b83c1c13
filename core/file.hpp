// Files by descriptor: closed by scope, read and written whole, failing with errno and no signal.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <utility>

namespace noyau {

/// Owns an open file or directory.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor();
  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// Writes all of `bytes`; 0, or the errno of what failed. Past RLIMIT_FSIZE it is EFBIG: the signal
/// SIGXFSZ, which would end the process, is held back.
int write_all(int descriptor, std::span<const std::byte> bytes) noexcept;
/// Fills `bytes`; 0, or an errno: EIO when the file ends before.
int read_all(int descriptor, std::span<std::byte> bytes) noexcept;

}  // namespace noyau
