// A child process of a test: started by posix_spawn, its errors kept in a file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

extern char** environ;

namespace noyau::test {

class Process {
 public:
  /// Runs arguments[0] (a path) with `environment` added to ours. Its output is dropped.
  Process(std::vector<std::string> arguments, std::map<std::string, std::string> environment) {
    std::string name = (std::filesystem::temp_directory_path() / "noyau-test-XXXXXX").string();
    errors_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (errors_ < 0) throw std::runtime_error("mkostemp failed");
    ::unlink(name.c_str());
    std::vector<std::string> settings;
    for (const auto& [key, value] : environment) settings.push_back(key + "=" + value);
    for (char** e = environ; *e; ++e) {
      const std::string setting = *e;
      if (!environment.contains(setting.substr(0, setting.find('=')))) settings.push_back(setting);
    }
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, errors_, STDERR_FILENO);
    const int error = ::posix_spawn(&pid_, arguments[0].c_str(), &actions, nullptr,
                                    pointers(arguments).data(), pointers(settings).data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("posix_spawn failed");
  }
  Process(Process&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)), errors_(std::exchange(other.errors_, -1)) {}
  Process& operator=(Process&&) = delete;
  ~Process() {
    kill();
    if (errors_ >= 0) ::close(errors_);
  }
  pid_t pid() const { return pid_; }
  /// The exit code, or 128 + the signal that ended it.
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
  /// What it wrote to standard error so far.
  std::string errors() const {
    std::string text(1 << 16, '\0');
    const ssize_t n = ::pread(errors_, text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (std::string& text : texts) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
  }
  pid_t pid_ = 0;
  int errors_ = -1;
};

}  // namespace noyau::test
