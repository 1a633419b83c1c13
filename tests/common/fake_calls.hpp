// What the fakes of vendors' libraries share: a record of calls, and calls that are told to fail.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace noyau::test {

/// One for each fake that tests talk to. Any thread may call.
class FakeCalls {
 public:
  /// Notes `words`, if there are any; the status that a test wants of the call named so, else 0.
  int called(const std::string& name, const std::string& words = {}) {
    const std::lock_guard lock(mutex_);
    if (!words.empty()) words_.push_back(words);
    const auto found = failures_.find(name);
    return found == failures_.end() ? 0 : found->second;
  }
  /// From now on the call named so gives this status; 0: no more.
  void fail(const std::string& name, int status) {
    const std::lock_guard lock(mutex_);
    if (status == 0) failures_.erase(name);
    else failures_[name] = status;
  }
  /// What was noted since the last forget().
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return words_;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    words_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> words_;
  std::map<std::string, int> failures_;
};

/// Whether the environment variable of a fake says that it be in this mode.
inline bool fake_mode_is(const char* variable, const char* mode) {
  const char* given = std::getenv(variable);
  return given != nullptr && std::strcmp(given, mode) == 0;
}

}  // namespace noyau::test
