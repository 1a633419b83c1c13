// Compiled kernels on disk: one file each, shared by any number of processes, never trusted.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/cache_dir.hpp"
#include "jit/program.hpp"

namespace noyau::jit {

/// Entries are files named by their key: a header (magic, sizes, key), the object, and the XXH3-128
/// of both. They are written to a temporary file and renamed, so readers see a whole one or none;
/// no locks are waited for. Whatever goes wrong is a miss and one warning, never an exception.
class DiskCache {
 public:
  /// What $NOYAU_CACHE_DIR and its kin name; nothing when the directory is refused, or
  /// $NOYAU_CACHE=0 turns it off. $NOYAU_CACHE_BYTES caps its size (512M).
  static std::optional<DiskCache> open();
  DiskCache(CacheDirectory directory, std::int64_t limit)
      : directory_(std::move(directory)), limit_(limit) {}
  DiskCache(DiskCache&& other) noexcept
      : directory_(std::move(other.directory_)), limit_(other.limit_) {}

  /// The object stored under `key`. A damaged entry is removed. Fault point "cache.read".
  std::optional<std::vector<std::byte>> read(Hash128 key) noexcept;
  /// Stores it, and now and then removes the least recently used. Fault point "cache.write".
  void write(Hash128 key, std::span<const std::byte> object) noexcept;
  /// Removes an entry that turned out to be useless, with a warning.
  void reject(Hash128 key, std::string_view reason) noexcept;
  /// Removes what dead processes left unfinished, then the least recently used down to 7/8 of the
  /// cap when it is passed.
  void prune() noexcept;

 private:
  int write_file(Hash128 key, std::span<const std::byte> object);
  void warn(std::string_view what, std::string_view reason) noexcept;

  CacheDirectory directory_;
  std::int64_t limit_;
  std::atomic<std::int64_t> until_prune_{0};  ///< bytes to be written before the next prune
};

}  // namespace noyau::jit
