// Finding and checking the cache directory. The checks are the boundary against other users.
// SPDX-License-Identifier: Apache-2.0
#include "core/cache_dir.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "core/log.hpp"

namespace noyau {
namespace {

struct Place {
  std::string base;  ///< must exist
  std::string rest;  ///< made when missing
  std::string path() const { return base + rest; }
};

/// What the environment says; an empty base when it says nothing.
Place find_place() {
  std::string given = environment::text("NOYAU_CACHE_DIR");
  if (!given.empty()) {
    const bool absolute = given[0] == '/';
    return {absolute ? "/" : "./", given.substr(absolute ? 1 : 0)};
  }
  given = environment::text("XDG_CACHE_HOME");
  if (given.starts_with('/')) return {"/", given.substr(1) + "/noyau"};  // else void, says XDG
  given = environment::text("HOME");
  return given.empty() ? Place{} : Place{given, "/.cache/noyau"};
}

std::string reason_of(int error) { return std::strerror(error); }

/// Opens the directory `name` in `parent`, making it when it is missing; 0 or an errno.
int enter(FileDescriptor& parent, const std::string& name, bool last) {
  const int flags = O_DIRECTORY | O_CLOEXEC | (last ? O_RDONLY | O_NOFOLLOW : O_PATH);
  int next = ::openat(parent.number(), name.c_str(), flags);
  if (next < 0 && errno == ENOENT) {
    if (::mkdirat(parent.number(), name.c_str(), 0700) != 0 && errno != EEXIST) return errno;
    next = ::openat(parent.number(), name.c_str(), flags);
  }
  if (next < 0) return errno;
  parent = FileDescriptor(next);
  return 0;
}

/// Walks to the place; the reason when it cannot.
std::string walk(const Place& place, FileDescriptor& at) {
  at = FileDescriptor(::open(place.base.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at) return fmt::format("{}: {}", place.base, reason_of(errno));
  const std::string& rest = place.rest;
  for (std::size_t begin = rest.find_first_not_of('/'); begin < rest.size();) {
    const std::size_t end = std::min(rest.find('/', begin), rest.size());
    const std::size_t next = std::min(rest.find_first_not_of('/', end), rest.size());
    const std::string name = rest.substr(begin, end - begin);
    const int error = enter(at, name, next == rest.size());
    if (error != 0) {
      struct stat found {};
      const bool link = ::fstatat(at.number(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
                        S_ISLNK(found.st_mode);
      return fmt::format("{}: {}", name, link ? "is a symbolic link" : reason_of(error));
    }
    begin = next;
  }
  return {};
}

/// Why the directory must not be used; empty when it may.
std::string objection(const FileDescriptor& directory) {
  struct stat found {};
  if (::fstat(directory.number(), &found) != 0) return reason_of(errno);
  if (found.st_uid != ::geteuid()) {
    return fmt::format("it belongs to user {}, not to user {}", found.st_uid, ::geteuid());
  }
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fmt::format("others may write to it (mode {:04o}; chmod go-w would do)",
                       found.st_mode & 07777);
  }
  // AT_EACCESS and not the mode bits: they do not tell a read-only file system.
  if (::faccessat(directory.number(), ".", W_OK | X_OK, AT_EACCESS) != 0) return reason_of(errno);
  return {};
}

}  // namespace

std::optional<CacheDirectory> open_cache_directory() {
  const Place place = find_place();
  if (place.base.empty()) {
    logging::warn_once(
        "the kernel cache is off: HOME is not set; set NOYAU_CACHE_DIR to a directory of yours");
    return std::nullopt;
  }
  FileDescriptor directory;
  std::string reason = walk(place, directory);
  if (reason.empty()) reason = objection(directory);
  if (reason.empty()) return CacheDirectory{std::move(directory), place.path()};
  logging::warn_once(fmt::format(
      "the kernel cache is off: {} cannot be used: {}; set NOYAU_CACHE_DIR to a directory of yours",
      place.path(), reason));
  return std::nullopt;
}

}  // namespace noyau
