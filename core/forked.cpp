// Forked children: one flag, set by the handler that fork calls in the child.
// SPDX-License-Identifier: Apache-2.0
#include "core/forked.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <atomic>

#include "noyau/error.hpp"

namespace noyau {
namespace {

std::atomic<bool> forked{false};

}  // namespace

void watch_forks() {
  static const bool watching =
      pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); }) == 0;
  (void)watching;
}

bool is_forked_child() { return forked.load(std::memory_order_relaxed); }

void check_process(std::string_view device) {
  if (!is_forked_child()) return;
  throw DeviceError(
      fmt::format("{}: used in a forked child: its threads stayed in the parent. Start processes "
                  "with posix_spawn or exec, or fork before the first use of Noyau",
                  device));
}

}  // namespace noyau
