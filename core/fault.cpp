// The registry of fault points: which are armed, and how often each was passed.
// SPDX-License-Identifier: Apache-2.0
#include "core/fault.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include "core/log.hpp"
#include "noyau/error.hpp"

namespace noyau::fault {
namespace {

struct Point {
  bool is_armed = false;
  bool from_then_on = false;
  std::int64_t k = 0;
  std::int64_t passes = 0;
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Point, std::less<>> points;
  bool environment_read = false;
};

Registry& registry() {
  static auto& leaked = *new Registry;
  return leaked;
}

[[noreturn]] void refuse(std::string_view setting) {
  throw ValueError(
      fmt::format("[fault] NOYAU_FAULT has '{}', which is not POINT:K or POINT:K+ with K from 1 "
                  "(several are separated by commas): correct or unset it",
                  setting));
}

/// "pool.allocate:3+" -> its point.
void arm_setting(Registry& all, std::string_view setting) {
  const std::size_t colon = setting.rfind(':');
  if (colon == 0 || colon == std::string_view::npos) refuse(setting);
  std::string_view number = setting.substr(colon + 1);
  Point point{true, number.ends_with('+'), 0, 0};
  if (point.from_then_on) number.remove_suffix(1);
  const char* last = number.data() + number.size();
  const auto [end, problem] = std::from_chars(number.data(), last, point.k);
  if (problem != std::errc{} || end != last || point.k < 1) refuse(setting);
  all.points.insert_or_assign(std::string(setting.substr(0, colon)), point);
}

/// Arms what $NOYAU_FAULT says, once; throws again at each call while it is rubbish.
void read_environment(Registry& all) {
  if (all.environment_read) return;
  const std::string given = environment::text("NOYAU_FAULT");
  for (std::size_t begin = 0; !given.empty() && begin <= given.size();) {
    const std::size_t end = std::min(given.find(',', begin), given.size());
    arm_setting(all, std::string_view(given).substr(begin, end - begin));
    begin = end + 1;
  }
  all.environment_read = true;
}

}  // namespace

std::atomic<bool> armed{::secure_getenv("NOYAU_FAULT") != nullptr};

bool check(std::string_view name) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  read_environment(all);
  auto found = all.points.find(name);
  if (found == all.points.end()) found = all.points.emplace(std::string(name), Point{}).first;
  Point& point = found->second;
  ++point.passes;
  if (!point.is_armed) return false;
  return point.from_then_on ? point.passes >= point.k : point.passes == point.k;
}

void arm(std::string_view name, std::int64_t k, bool from_then_on) {
  if (k < 1) {
    throw ValueError(
        fmt::format("[fault] '{}' cannot fail at call {}: calls count from 1", name, k));
  }
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.environment_read = true;
  all.points.insert_or_assign(std::string(name), Point{true, from_then_on, k, 0});
  armed.store(true, std::memory_order_relaxed);
}

void disarm() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.environment_read = true;
  all.points.clear();
  armed.store(false, std::memory_order_relaxed);
}

std::int64_t passes(std::string_view name) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  const auto found = all.points.find(name);
  return found == all.points.end() ? 0 : found->second.passes;
}

}  // namespace noyau::fault
