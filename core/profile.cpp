// The record of launches, and the totals of the process.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/profile.hpp"

#include <fmt/format.h>

#include "core/eval.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "core/module.hpp"
#include "core/plan_counters.hpp"
#include "jit/cache.hpp"
#include "noyau/version.hpp"

namespace noyau {
namespace {
thread_local LaunchLog* innermost = nullptr;
}

LaunchLog::LaunchLog() : outer_(std::exchange(innermost, this)) {}
LaunchLog::~LaunchLog() {
  innermost = outer_;
  if (outer_) outer_->records_.insert(outer_->records_.end(), records_.begin(), records_.end());
}

namespace {
int count(const std::vector<LaunchRecord>& records, LaunchRecord::Kind kind) {
  return static_cast<int>(std::count_if(records.begin(), records.end(),
                                        [&](const LaunchRecord& r) { return r.kind == kind; }));
}
}  // namespace

int LaunchLog::kernels() const { return count(records_, LaunchRecord::Kind::kernel); }
int LaunchLog::library_calls() const { return count(records_, LaunchRecord::Kind::library); }
int LaunchLog::copies() const { return count(records_, LaunchRecord::Kind::copy); }
int LaunchLog::compiled() const {
  return static_cast<int>(std::count_if(records_.begin(), records_.end(),
                                        [](const LaunchRecord& r) { return r.compiled; }));
}

void record_launch(const LaunchRecord& record) {
  if (logging::level() >= 3)
    logging::write(3, fmt::format("launch {} ({} bytes)", record.name, record.bytes));
  if (innermost) innermost->records_.push_back(record);
}

PlanCounters& plan_counters() {
  static PlanCounters counters;
  return counters;
}

Statistics statistics() {
  Statistics s;
  const jit::CacheStatistics cache = jit::executable_cache().statistics();
  s.kernels_compiled = cache.compiled;
  s.memory_cache_hits = cache.memory_hits;
  s.disk_cache_hits = cache.disk_hits;
  for (DeviceBackend* device : loaded_devices()) {
    if (&device->original() != device) continue;  // listed twice, with one pool
    const memory::Statistics m = memory::statistics(*device);
    s.pool_in_use_bytes += m.in_use;
    s.pool_peak_bytes += m.peak;
  }
  s.plans_made = plan_counters().made.load();
  s.plans_reused = plan_counters().reused.load();
  return s;
}

const char* version() { return "0.1.0"; }

}  // namespace noyau
