// What NOYAU_DEBUG prints, warnings, and the reading of environment variables.
// SPDX-License-Identifier: Apache-2.0
#include "core/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <set>

#include "noyau/error.hpp"

namespace noyau::logging {
namespace {

/// One write call, so that lines of several threads and processes stay whole.
void print(std::string_view line) {
  const std::string text = fmt::format("noyau: {}\n", line);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (written <= 0) return;  // nobody can be told
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Texts that differ endlessly (a path in each) must not fill the memory.
constexpr std::size_t most_warnings = 1000;

}  // namespace

int level() {
  static const int value = static_cast<int>(environment::number("NOYAU_DEBUG", 0, 0, 5));
  return value;
}

void write(int at, std::string_view line) {
  if (level() >= at) print(line);
}

void warn_once(std::string_view line) {
  static auto& mutex = *new std::mutex;
  static auto& seen = *new std::set<std::string, std::less<>>;
  const std::lock_guard lock(mutex);
  if (seen.size() >= most_warnings || !seen.emplace(line).second) return;
  print(fmt::format("warning: {}", line));
}

}  // namespace noyau::logging

namespace noyau::environment {
namespace {

/// The whole text as a number with a suffix; false when it is none or too large.
bool parse(std::string_view text, std::int64_t& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{}) return false;
  const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (suffix.empty()) return true;
  const std::size_t power = std::string_view("KMG").find(static_cast<char>(suffix[0] & ~0x20));
  if (suffix.size() != 1 || power == std::string_view::npos) return false;
  return !__builtin_mul_overflow(value, std::int64_t{1} << (10 * (power + 1)), &value);
}

}  // namespace

std::string text(const char* variable) {
  const char* value = ::secure_getenv(variable);
  return value ? value : "";
}

std::int64_t number(const char* variable, std::int64_t otherwise, std::int64_t least,
                    std::int64_t most) {
  const std::string given = text(variable);
  if (given.empty()) return otherwise;
  std::int64_t value = 0;
  if (!parse(given, value) || value < least || value > most) {
    throw ValueError(fmt::format(
        "[environment] {}={} is not a whole number from {} to {}, with an optional suffix K, M or "
        "G (powers of 1024): correct or unset it",
        variable, given, least, most));
  }
  return value;
}

std::vector<std::string> names(const char* variable) {
  constexpr std::int64_t most = 64;
  const std::string given = text(variable);
  std::vector<std::string> list;
  for (std::size_t begin = 0; begin < given.size();) {
    const std::size_t end = std::min(given.find(',', begin), given.size());
    const std::string_view item = std::string_view(given).substr(begin, end - begin);
    const std::string_view name = item.substr(0, item.find('*'));
    std::int64_t count = 1;
    const bool counted = name.size() < item.size();
    if (name.empty() || (counted && !parse(item.substr(name.size() + 1), count)) || count < 1 ||
        count > most) {
      throw ValueError(fmt::format(
          "[environment] {}={} is not a list of names, separated by commas, each with *1 to *{} or "
          "without: correct or unset it",
          variable, given, most));
    }
    list.insert(list.end(), static_cast<std::size_t>(count), std::string(name));
    begin = end + 1;
  }
  return list;
}

}  // namespace noyau::environment
