// Kernels from the disk cache: from asked for to callable, with nothing of them in memory.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <sstream>

#include "bench/cases.hpp"
#include "bench/style_case.hpp"
#include "core/device.hpp"
#include "jit/cache.hpp"

namespace bench {
namespace {

/// Twenty operations on each element; which, says the number.
noyau::jit::Program program(unsigned number) {
  std::string text =
      "program \"disk_hit\"\nitems\nbuffer x: float32 read\nbuffer y: float32 written\n"
      "%i = item 0\n%v0 = load x[%i]\n";
  for (int k = 0; k < 20; ++k)
    text +=
        fmt::format("%v{} = {} %v{}, %v0\n", k + 1, (number >> k) % 2 == 0 ? "multiply" : "add", k);
  return noyau::jit::parse_program(text + "store y[%i], %v20\n");
}

/// What disk_kernels_ms() gives in a process of its own.
std::vector<double> in_another_process() {
  const std::string command = fmt::format("exec /proc/{}/exe --disk-kernels --device {}", getpid(),
                                          noyau::default_device().name());
  FILE* pipe = popen(command.c_str(), "r");
  std::string text(4096, '\0');
  text.resize(pipe == nullptr ? 0 : fread(text.data(), 1, text.size(), pipe));
  if (pipe == nullptr || pclose(pipe) != 0) throw noyau::FileError(command + " failed");
  std::istringstream stream(text);
  std::vector<double> times;
  for (double ms; stream >> ms;) times.push_back(ms);
  return times;
}

}  // namespace

std::vector<double> disk_kernels_ms() {
  constexpr unsigned kernels = 21;
  std::vector<double> times;
  noyau::jit::ExecutableCache cache;
  for (unsigned k = 0; k < kernels; ++k) {
    const noyau::jit::Program kernel = program(k);
    const auto begin = std::chrono::steady_clock::now();
    cache.find_or_compile(noyau::default_device().backend(), kernel);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    times.push_back(took.count());
  }
  return times;
}

Run disk_hit_case() {
  setenv("NOYAU_CACHE", "1", 1);  // the case beside it, compile, turns the cache off
  Run run;
  run.once = [kernel = program(0x55555)] {
    noyau::jit::ExecutableCache empty;  // finds what earlier ones left on disk
    empty.find_or_compile(noyau::default_device().backend(), kernel);
  };
  run.error = [] { return 0.0; };
  run.limit_ms = [](int) { return 1.0; };  // what it may take
  return run;
}

Run disk_process_case(bool first) {
  Run run = disk_hit_case();
  run.once = [] { in_another_process(); };
  run.ms = [first] {
    std::vector<double> times = in_another_process();
    if (first) return times.at(0);
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2 + 1);
    std::nth_element(times.begin() + 1, middle, times.end());
    return *middle;
  };
  return run;
}

}  // namespace bench
