// How often plans were made, found again, and made again without layouts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace noyau {

struct PlanCounters {
  std::atomic<std::int64_t> made{0}, reused{0};
  /// Plans whose layouts or epilogues failed with an InternalError, so that row-major ones were
  /// made instead: each is a bug.
  std::atomic<std::int64_t> made_plain{0};
};
PlanCounters& plan_counters();

}  // namespace noyau
