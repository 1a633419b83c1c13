// The record of what devices were asked to do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace noyau {

struct LaunchRecord {
  enum class Kind { kernel, library, copy } kind;
  std::string name;        ///< tells the operations in it
  std::int64_t bytes = 0;  ///< read and written
  bool compiled = false;   ///< compiled for this launch; false: from a cache
};

/// Counts what its thread submitted while it lives. Logs nest.
class LaunchLog {
 public:
  LaunchLog();
  ~LaunchLog();
  LaunchLog(const LaunchLog&) = delete;
  LaunchLog& operator=(const LaunchLog&) = delete;
  int kernels() const;  ///< generated kernels launched
  int library_calls() const;
  int copies() const;
  int compiled() const;  ///< kernels compiled, not found in a cache
  const std::vector<LaunchRecord>& records() const { return records_; }

 private:
  friend void record_launch(const LaunchRecord& record);
  std::vector<LaunchRecord> records_;
  LaunchLog* outer_;
};

/// Totals of this process.
struct Statistics {
  std::int64_t kernels_compiled = 0, memory_cache_hits = 0, disk_cache_hits = 0;
  std::int64_t pool_in_use_bytes = 0, pool_peak_bytes = 0;  ///< of all devices together
  std::int64_t plans_made = 0, plans_reused = 0;
};
Statistics statistics();

}  // namespace noyau
