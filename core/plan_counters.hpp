// How often plans were made and found again.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace noyau {

struct PlanCounters {
  std::atomic<std::int64_t> made{0}, reused{0};
};
PlanCounters& plan_counters();

}  // namespace noyau
