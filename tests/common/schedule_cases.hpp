// Expressions that meet every schedule for blocks of many threads, at odd extents.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "noyau/array.hpp"

namespace noyau::test {

/// Makes its arrays on the device of the scope it is called in: the same values each time.
struct ScheduleCase {
  std::string name;
  std::function<Array()> make;
};
/// Of one kind: maps, transposes, rows, columns, chunks; or all.
void visit_schedule_cases(const std::function<void(const ScheduleCase&)>& visit,
                          std::string_view kind = {});

}  // namespace noyau::test
