// Named places where tests make things fail. One relaxed load when off.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace noyau::fault {

extern std::atomic<bool> armed;  ///< whether any fault is armed

/// Slow path of should_fail.
bool check(std::string_view point);
/// True when the place named `point` is to fail now, e.g. should_fail("pool.allocate").
inline bool should_fail(std::string_view point) {
  return armed.load(std::memory_order_relaxed) && check(point);
}

/// Makes the k-th call (from 1) of `point` fail: once, or from then on. Also $NOYAU_FAULT="point:k"
/// or "point:k+".
void arm(std::string_view point, std::int64_t k, bool from_then_on = false);
void disarm();
/// How often `point` was passed since arm() of any point; armed points only count while something
/// is armed.
std::int64_t passes(std::string_view point);

}  // namespace noyau::fault
