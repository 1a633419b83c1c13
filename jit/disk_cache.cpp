// The disk cache: its file format, publishing, and least recently used entries.
// SPDX-License-Identifier: Apache-2.0
#include "jit/disk_cache.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>

#include "core/fault.hpp"
#include "core/log.hpp"

namespace noyau::jit {
namespace {

struct Header {
  char magic[8] = {'n', 'o', 'y', 'a', 'u', 'e', 'x', 'e'};
  std::uint32_t format = 1;
  std::uint32_t header_bytes = 48;
  std::uint64_t object_bytes = 0;
  std::uint64_t key_low = 0, key_high = 0;
  std::uint64_t reserved = 0;
};
static_assert(sizeof(Header) == 48);
constexpr std::size_t checksum_bytes = 16;
constexpr std::size_t frame_bytes = sizeof(Header) + checksum_bytes;
constexpr std::int64_t largest_file = std::int64_t{1} << 30;

constexpr std::string_view entry_suffix = ".kernel";
constexpr std::string_view temporary_prefix = ".tmp-";

std::string file_name(Hash128 key) {
  return fmt::format("{:016x}{:016x}{}", key.high, key.low, entry_suffix);
}

bool is_entry(std::string_view name) {
  return name.size() == 32 + entry_suffix.size() && name.ends_with(entry_suffix) &&
         name.find_first_not_of("0123456789abcdef") == 32;
}

std::array<std::byte, checksum_bytes> checksum_of(std::span<const std::byte> bytes) {
  const Hash128 hash = hash_bytes(bytes.data(), bytes.size());
  std::array<std::byte, checksum_bytes> result;
  std::memcpy(result.data(), &hash.low, 8);
  std::memcpy(result.data() + 8, &hash.high, 8);
  return result;
}

/// What is wrong with the bytes of an entry; empty when nothing is.
std::string_view damage_in(std::span<const std::byte> file, Hash128 key) {
  const std::span<const std::byte> content = file.first(file.size() - checksum_bytes);
  if (!std::ranges::equal(checksum_of(content), file.last(checksum_bytes))) {
    return "its checksum is wrong";
  }
  Header header, expected;
  std::memcpy(&header, file.data(), sizeof header);
  expected.object_bytes = file.size() - frame_bytes;
  expected.key_low = key.low;
  expected.key_high = key.high;
  return std::memcmp(&header, &expected, sizeof header) == 0 ? "" : "its header is another's";
}

constexpr timespec use_now{0, UTIME_NOW};

/// Recency is the time of modification, since many systems keep no time of access; a use is noted
/// once in ten minutes.
void note_use(int file, const struct stat& found) {
  if (std::time(nullptr) - found.st_mtim.tv_sec < 600) return;
  const timespec times[2] = {use_now, use_now};
  (void)::futimens(file, times);
}

/// Calls visit(name) for each file of the directory.
template <class F>
void each_file(int directory, F visit) {
  const int again = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (again < 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(again), ::closedir);
  if (!stream) {
    ::close(again);
    return;
  }
  while (const dirent* entry = ::readdir(stream.get())) visit(std::string(entry->d_name));
}

/// A temporary file is locked by its writer for as long as that lives.
void remove_if_abandoned(int directory, const std::string& name) {
  const FileDescriptor file(
      ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file && ::flock(file.number(), LOCK_EX | LOCK_NB) == 0) {
    (void)::unlinkat(directory, name.c_str(), 0);
  }
}

/// A temporary file of this process, open, locked and empty. Removed unless it is renamed away.
class TemporaryFile {
 public:
  explicit TemporaryFile(int directory) : directory_(directory) {
    for (int tries = 0; tries < 10 && !ours_; ++tries) create();
  }
  ~TemporaryFile() {
    if (ours_ && !published_) (void)::unlinkat(directory_, name_.c_str(), 0);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  int error() const { return ours_ ? 0 : error_; }
  int number() const { return file_.number(); }
  int publish(const std::string& as) {
    published_ = ::renameat(directory_, name_.c_str(), directory_, as.c_str()) == 0;
    return published_ ? 0 : errno;
  }

 private:
  void create() {
    static std::atomic<std::uint64_t> count{0};
    name_ = fmt::format("{}{}-{}-{}", temporary_prefix, ::getpid(), std::time(nullptr), ++count);
    file_ = FileDescriptor(::openat(directory_, name_.c_str(),
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    error_ = errno;
    if (!file_) return;
    // Between its making and its lock somebody's prune may have taken it for abandoned.
    struct stat found {};
    const bool taken = ::flock(file_.number(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ours_ = !taken && ::fstat(file_.number(), &found) == 0 && found.st_nlink > 0;
  }

  int directory_;
  std::string name_;
  FileDescriptor file_;
  int error_ = 0;
  bool ours_ = false, published_ = false;
};

}  // namespace

std::optional<DiskCache> DiskCache::open() {
  const std::int64_t limit =
      environment::number("NOYAU_CACHE_BYTES", std::int64_t{512} << 20, 0, INT64_MAX / 8);
  if (environment::number("NOYAU_CACHE", 1, 0, 1) == 0) return std::nullopt;
  std::optional<CacheDirectory> directory = open_cache_directory();
  if (!directory) return std::nullopt;
  return DiskCache(std::move(*directory), limit);
}

void DiskCache::warn(std::string_view what, std::string_view reason) noexcept {
  try {
    logging::warn_once(fmt::format("the kernel cache in {} {}: {}", directory_.path, what, reason));
  } catch (const std::exception&) {
    // No memory for a warning: the result is right without it.
  }
}

void DiskCache::reject(Hash128 key, std::string_view reason) noexcept {
  try {
    (void)::unlinkat(directory_.descriptor.number(), file_name(key).c_str(), 0);
  } catch (const std::exception&) {
    // It is found useless again next time.
  }
  warn("had an entry that is compiled again", reason);
}

std::optional<std::vector<std::byte>> DiskCache::read(Hash128 key) noexcept try {
  const FileDescriptor file(::openat(directory_.descriptor.number(), file_name(key).c_str(),
                                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::nullopt;
  struct stat found {};
  if (!file || ::fstat(file.number(), &found) != 0) {
    reject(key, std::strerror(errno));
    return std::nullopt;
  }
  if (!S_ISREG(found.st_mode) || found.st_size < static_cast<off_t>(frame_bytes) ||
      found.st_size > largest_file) {
    reject(key, "it is cut off, or no file of ours");
    return std::nullopt;
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(found.st_size));
  int error = read_all(file.number(), bytes);
  if (fault::should_fail("cache.read")) error = EIO;
  const std::string_view damage = error == 0 ? damage_in(bytes, key) : std::strerror(error);
  if (!damage.empty()) {
    reject(key, damage);
    return std::nullopt;
  }
  note_use(file.number(), found);
  bytes.resize(bytes.size() - checksum_bytes);
  bytes.erase(bytes.begin(), bytes.begin() + sizeof(Header));
  return bytes;
} catch (const std::exception& e) {
  warn("could not be read", e.what());
  return std::nullopt;
}

/// 0 or an errno; nothing is left behind on failure.
int DiskCache::write_file(Hash128 key, std::span<const std::byte> object) {
  Header header;
  header.object_bytes = object.size();
  header.key_low = key.low;
  header.key_high = key.high;
  std::vector<std::byte> bytes(sizeof header + object.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  std::ranges::copy(object, bytes.begin() + sizeof header);
  const auto checksum = checksum_of(bytes);
  bytes.insert(bytes.end(), checksum.begin(), checksum.end());

  TemporaryFile file(directory_.descriptor.number());
  if (file.error() != 0) return file.error();
  const bool fails = fault::should_fail("cache.write");
  const std::span<const std::byte> all(bytes);
  const int error = write_all(file.number(), fails ? all.first(all.size() / 2) : all);
  if (error != 0 || fails) return error != 0 ? error : ENOSPC;
  return file.publish(file_name(key));
}

void DiskCache::write(Hash128 key, std::span<const std::byte> object) noexcept try {
  const auto bytes = static_cast<std::int64_t>(object.size() + frame_bytes);
  if (object.empty() || bytes > std::min(limit_, largest_file)) return;
  const int error = write_file(key, object);
  if (error != 0) warn("could not be written", std::strerror(error));
  // The first write of a process prunes, so that one that finds everything never scans.
  if (until_prune_.fetch_sub(bytes) - bytes >= 0) return;
  until_prune_ = limit_ / 16;
  prune();
} catch (const std::exception& e) {
  warn("could not be written", e.what());
}

void DiskCache::prune() noexcept try {
  struct Entry {
    std::string name;
    std::int64_t bytes, used;
  };
  std::vector<Entry> entries;
  std::int64_t total = 0;
  const int directory = directory_.descriptor.number();
  each_file(directory, [&](std::string name) {
    if (name.starts_with(temporary_prefix)) return remove_if_abandoned(directory, name);
    struct stat found {};
    if (!is_entry(name) || ::fstatat(directory, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
      return;
    }
    total += found.st_size;
    entries.push_back({std::move(name), found.st_size,
                       found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec});
  });
  if (total <= limit_) return;
  std::ranges::sort(entries, {}, &Entry::used);
  for (const Entry& entry : entries) {
    if (total <= limit_ / 8 * 7) break;
    (void)::unlinkat(directory, entry.name.c_str(), 0);
    total -= entry.bytes;
  }
} catch (const std::exception& e) {
  warn("could not be pruned", e.what());
}

}  // namespace noyau::jit
