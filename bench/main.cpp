// noyau-bench: times the cases beside the machine's limits, one JSON line each.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <thread>

#include "bench/cases.hpp"

namespace ny = noyau;

namespace {

double now_ms() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Times one case, the probe in turn with it, and prints its line.
void measure(const bench::Case& c, int threads, int repeat) {
  const bench::Run run = c.make();
  run.once();
  int kernels;
  {
    ny::LaunchLog log;
    run.once();
    kernels = log.kernels() / run.calls;
  }
  std::vector<double> times, limits;
  double spent = 0;
  const auto probe = [&] {
    if (run.limit) limits.push_back(bench::limit_ms(run.limit->probe, run.limit->amount, threads));
    else if (run.limit_ms) limits.push_back(run.limit_ms(threads));
  };
  probe();
  while (static_cast<int>(times.size()) < repeat ||
         (repeat == 0 && (times.size() < 7 || spent < 500) && times.size() < 200)) {
    const double start = now_ms();
    run.once();
    times.push_back((now_ms() - start) / run.calls);
    spent += now_ms() - start;
    if (times.size() % 2 == 0 || run.limit_ms) probe();
  }
  std::sort(times.begin(), times.end());
  std::sort(limits.begin(), limits.end());
  const double error = run.error();
  const double limit = limits.empty() ? 0 : limits[limits.size() / 2];
  const auto or_null = [&](double x) {
    return limits.empty() ? std::string("null") : fmt::format("{:.6g}", x);
  };
  fmt::print(
      "{{\"case\": \"{}\", \"device\": \"{}\", \"threads\": {}, \"ms\": {:.6g}, \"ms_min\": "
      "{:.6g}, \"limit_ms\": {}, \"limit_over_ms\": {}, \"kernels\": {}, \"error\": {:.3g}}}\n",
      c.name, ny::default_device().name(), threads, times[times.size() / 2], times.front(),
      or_null(limit), or_null(limit / times[times.size() / 2]), kernels, error);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Times Noyau's cases, each beside a probe of what the machine can do, and prints one JSON "
      "line a case:\n"
      "ms (median) and ms_min, limit_ms (median of the probe, run in turn with the case in this "
      "process), limit_over_ms\n"
      "(limit_ms / ms), kernels launched, and error, the largest difference to float64 over the "
      "largest value."};
  bool list = false;
  std::string names, device;
  int threads = static_cast<int>(std::thread::hardware_concurrency()), repeat = 0;
  app.add_flag("--list", list, "print the cases and leave");
  app.add_option("--case", names, "cases to run, separated by commas (default: all)");
  app.add_option("--device", device, "such as cpu:0 (default: the first that runs)");
  app.add_option("--threads", threads, "threads of Noyau and of the probes")
      ->check(CLI::Range(1, 64));
  app.add_option("--repeat", repeat, "runs of each case (default: at least 7, about half a second)")
      ->check(CLI::NonNegativeNumber);
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (const bench::Case& c : bench::cases()) fmt::print("{:14} {}\n", c.name, c.description);
    return 0;
  }
  setenv("NOYAU_THREADS", std::to_string(threads).c_str(), 1);
  try {
    std::vector<std::string> wanted;
    for (std::size_t at = 0; at < names.size();) {
      const std::size_t comma = std::min(names.find(',', at), names.size());
      wanted.push_back(names.substr(at, comma - at));
      at = comma + 1;
    }
    for (const std::string& name : wanted)
      if (std::none_of(bench::cases().begin(), bench::cases().end(),
                       [&](const bench::Case& c) { return c.name == name; }))
        throw ny::ValueError(
            fmt::format("there is no case '{}'; noyau-bench --list names them all", name));
    // compile measures the compiler: kernels of earlier runs on disk must not answer for it.
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), "compile") != wanted.end())
      setenv("NOYAU_CACHE", "0", 1);
    ny::DeviceScope scope(device.empty() ? ny::default_device() : ny::device(device));
    for (const bench::Case& c : bench::cases())
      if (wanted.empty() || std::find(wanted.begin(), wanted.end(), c.name) != wanted.end())
        measure(c, threads, repeat);
  } catch (const std::exception& error) {
    fmt::print(stderr, "noyau-bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
