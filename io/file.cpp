// Whole files over POSIX: bounded reads, writes published by rename.
// SPDX-License-Identifier: Apache-2.0
#include "io/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "core/fault.hpp"
#include "noyau/error.hpp"

namespace noyau::io {
namespace {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  /// Closes now; false when the system reports what was not written.
  bool close() { return ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_;
};

/// Holds back SIGXFSZ, which would end the process when the size limit is met: write() then fails
/// with EFBIG, an error like any other.
class SizeSignalBlock {
 public:
  SizeSignalBlock() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signal_, &previous_);
  }
  ~SizeSignalBlock() {
    if (sigismember(&previous_, SIGXFSZ) == 0) {
      const timespec no_wait{};
      while (sigtimedwait(&signal_, nullptr, &no_wait) == SIGXFSZ) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
  }
  SizeSignalBlock(const SizeSignalBlock&) = delete;
  SizeSignalBlock& operator=(const SizeSignalBlock&) = delete;

 private:
  sigset_t signal_, previous_;
};

/// Removes the temporary file unless it was published.
struct Temporary {
  std::string path;
  bool published = false;
  ~Temporary() {
    if (!published && !path.empty()) ::unlink(path.c_str());
  }
};

[[noreturn]] void fail_read(const std::string& path, const std::string& reason) {
  throw FileError(fmt::format("cannot read '{}': {}", path, reason));
}

[[noreturn]] void fail_write(const std::string& path, int error) {
  throw FileError(fmt::format("cannot write '{}': {}; the file is as it was before", path,
                              std::strerror(error)));
}

void write_all(const std::string& path, int file, std::span<const unsigned char> bytes) {
  while (!bytes.empty()) {
    if (fault::should_fail("file.write")) fail_write(path, ENOSPC);
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_write(path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::vector<unsigned char> read_file(const std::string& path, std::int64_t most) {
  // O_NONBLOCK: a named pipe is refused below instead of being waited for.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.number() < 0) fail_read(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) fail_read(path, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) fail_read(path, "it is a folder");
  if (!S_ISREG(status.st_mode)) fail_read(path, "it is not a regular file");
  if (status.st_size > most)
    fail_read(path, fmt::format("it has {} bytes, more than the {} that are accepted",
                                status.st_size, most));
  std::vector<unsigned char> bytes(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(file.number(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_read(path, std::strerror(errno));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

void write_file(const std::string& path,
                std::initializer_list<std::span<const unsigned char>> parts) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw FileError(fmt::format("cannot write '{}': it is there and is not a regular file", path));

  static std::atomic<unsigned> counter{0};
  const std::string name = fmt::format("{}.tmp-{}-{}", path, ::getpid(), counter++);
  SizeSignalBlock block;
  Descriptor file(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.number() < 0) fail_write(path, errno);
  Temporary temporary{name};
  for (const std::span<const unsigned char>& part : parts) write_all(path, file.number(), part);
  if (::fsync(file.number()) != 0 && errno != EINVAL && errno != EROFS) fail_write(path, errno);
  if (!file.close()) fail_write(path, errno);
  if (::rename(name.c_str(), path.c_str()) != 0) fail_write(path, errno);
  temporary.published = true;
}

}  // namespace noyau::io
