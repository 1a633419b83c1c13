// How often plans were made, found again, made again without layouts, and run as graphs.
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
  /// Runs of a plan as one graph of its device, parameters of such graphs that were changed between
  /// runs, and plans that the device refused to make or run a graph of: each of those is a bug.
  std::atomic<std::int64_t> graph_runs{0}, graph_patches{0}, graph_failures{0};
  /// Plans given up because a vendor's library refused a call at its launch (core/refused_call).
  std::atomic<std::int64_t> refused_calls{0};
};
PlanCounters& plan_counters();

}  // namespace noyau
