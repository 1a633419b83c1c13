// Whole files over POSIX: bounded reads, writes published by rename.
// SPDX-License-Identifier: Apache-2.0
#include "io/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/fault.hpp"
#include "core/file.hpp"
#include "noyau/error.hpp"

namespace noyau::io {
namespace {

/// Removes the temporary file unless it was published.
struct Temporary {
  std::string path;
  bool published = false;
  ~Temporary() {
    if (!published) ::unlink(path.c_str());
  }
};

[[noreturn]] void fail_read(const std::string& path, const std::string& reason) {
  throw FileError(fmt::format("cannot read '{}': {}", path, reason));
}

[[noreturn]] void fail_write(const std::string& path, int error) {
  throw FileError(fmt::format("cannot write '{}': {}; the file is as it was before", path,
                              std::strerror(error)));
}

}  // namespace

std::vector<unsigned char> read_file(const std::string& path, std::int64_t most) {
  // O_NONBLOCK: a named pipe is refused below instead of being waited for.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) fail_read(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) fail_read(path, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) fail_read(path, "it is a folder");
  if (!S_ISREG(status.st_mode)) fail_read(path, "it is not a regular file");
  if (status.st_size > most)
    fail_read(path, fmt::format("it has {} bytes, more than the {} that are accepted",
                                status.st_size, most));
  std::vector<unsigned char> bytes(static_cast<std::size_t>(status.st_size));
  if (const int error = read_all(file.number(), std::as_writable_bytes(std::span(bytes))))
    fail_read(path, std::strerror(error));
  return bytes;
}

void write_file(const std::string& path,
                std::initializer_list<std::span<const unsigned char>> parts) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw FileError(fmt::format("cannot write '{}': it is there and is not a regular file", path));

  static std::atomic<unsigned> counter{0};
  const std::string name = fmt::format("{}.tmp-{}-{}", path, ::getpid(), counter++);
  const FileDescriptor file(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file) fail_write(path, errno);
  Temporary temporary{name};
  for (const std::span<const unsigned char>& part : parts) {
    if (fault::should_fail("file.write")) fail_write(path, ENOSPC);
    if (const int error = write_all(file.number(), std::as_bytes(part))) fail_write(path, error);
  }
  // Some file systems say only here that there was no room.
  if (::fsync(file.number()) != 0 && errno != EINVAL && errno != EROFS) fail_write(path, errno);
  if (::rename(name.c_str(), path.c_str()) != 0) fail_write(path, errno);
  temporary.published = true;
}

}  // namespace noyau::io
