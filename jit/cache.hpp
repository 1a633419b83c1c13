// Program -> executable: in memory, then on disk, then compiled; each kernel once.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/device.hpp"
#include "jit/disk_cache.hpp"
#include "jit/program.hpp"

namespace noyau::jit {

/// Raise it when the meaning of a Program, or of what the cache stores, changes.
inline constexpr std::uint32_t code_generation = 1;

/// How many executables came from where.
struct CacheStatistics {
  std::int64_t compiled = 0, memory_hits = 0, disk_hits = 0;
  CacheStatistics operator-(const CacheStatistics& other) const {
    return {compiled - other.compiled, memory_hits - other.memory_hits,
            disk_hits - other.disk_hits};
  }
  bool operator==(const CacheStatistics&) const = default;
};

/// The key of an executable is the hash of its program, the device's code identity, the version of
/// code generation, and the build of the library and of the device's module. All methods may be
/// called from any thread; one kernel asked for by several threads at once is compiled once, while
/// different ones are compiled side by side on the compile threads.
class ExecutableCache {
 public:
  /// Reads the environment (see DiskCache::open); ValueError when a variable is rubbish.
  ExecutableCache();

  /// The executable of `program`. What compile throws goes to everybody who waits for it, and the
  /// next call tries again. Fault point "compile".
  ExecutableRef find_or_compile(DeviceBackend& device, const Program& program);
  /// The executables of all, those missing made at once. When one fails the others are kept and
  /// the first failure is thrown.
  /// `compiled`, when given, is told for each whether this call compiled it.
  std::vector<ExecutableRef> find_or_compile_all(DeviceBackend& device,
                                                 std::span<const Program* const> programs,
                                                 std::vector<bool>* compiled = nullptr);
  CacheStatistics statistics() const;
  /// What the calls of this thread found, in every cache: read it before and after.
  static CacheStatistics thread_statistics();

 private:
  struct Key {
    Hash128 hash;
    const DeviceBackend* device;  ///< executables may live in one device's context
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const { return key.hash.low; }
  };
  enum class Origin : std::uint8_t { memory, disk, compiled };
  /// One kernel: being made, or made.
  struct Entry {
    std::promise<void> promise;
    std::shared_future<void> ready = promise.get_future().share();
    ExecutableRef executable;
    std::optional<Program> program;  ///< debug builds compare it on each hit
  };
  using EntryRef = std::shared_ptr<Entry>;
  struct Shard {
    std::mutex mutex;
    std::unordered_map<Key, EntryRef, KeyHash> entries;
  };
  struct Request {
    Key key;
    EntryRef entry;
    bool ours = false;  ///< nobody had asked before: we make it
    Origin origin = Origin::memory;
    bool made = false;  ///< or dropped
  };

  Key key_of(DeviceBackend& device, const Program& program);
  Hash128 identity_of(DeviceBackend& device);
  Shard& shard_of(const Key& key) { return shards_[key.hash.high % shards_.size()]; }
  Request request(DeviceBackend& device, const Program& program);
  void make(DeviceBackend& device, const Program& program, Request& request);
  void drop(const Request& request, std::exception_ptr reason);
  ExecutableRef load(DeviceBackend& device, const Program& program, Hash128 key);
  void count(Origin origin);

  std::shared_ptr<DiskCache> disk_;  ///< executables that are made better later hold it too
  std::array<Shard, 16> shards_;
  std::mutex identities_mutex_;
  std::vector<std::pair<const DeviceBackend*, Hash128>> identities_;
  std::atomic<std::int64_t> compiled_{0}, memory_hits_{0}, disk_hits_{0};
};

/// The one cache of the process; never destroyed.
ExecutableCache& executable_cache();

}  // namespace noyau::jit
