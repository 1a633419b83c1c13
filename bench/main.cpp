// noyau-bench: times the cases beside the machine's limits, one JSON line each.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <thread>

#include "bench/cases.hpp"
#include "bench/device_probe.hpp"
#include "bench/style_case.hpp"

namespace ny = noyau;

namespace {

double now_ms() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// The least time for what the case moves or computes; NaN where there is no probe for it.
double limit_of(const bench::Run& run, int threads, std::int64_t elements) {
  if (run.limit_ms) return run.limit_ms(threads);
  if (!run.limit) return std::numeric_limits<double>::quiet_NaN();
  if (ny::default_device().backend().limits().host_memory)
    return bench::limit_ms(run.limit->probe, run.limit->amount, threads);
  if (run.limit->probe == bench::Probe::fma) return std::numeric_limits<double>::quiet_NaN();
  return bench::device_limit_ms(run.limit->amount, elements);
}

/// Milliseconds of one call. Devices with memory of their own are given `batch` at once.
double time_ms(const bench::Run& run, int batch) {
  if (run.ms) return run.ms();
  const double start = now_ms();
  if (batch > 1) {
    for (int k = 0; k < batch; ++k) run.enqueue();
    ny::default_device().synchronize();
  } else {
    run.once();
  }
  return (now_ms() - start) / run.calls / batch;
}

/// How many calls make the waiting at the end no part of what is timed.
int batch_of(const bench::Run& run) {
  constexpr double enough_ms = 30;
  if (!run.enqueue || ny::default_device().backend().limits().host_memory) return 1;
  return static_cast<int>(std::clamp(enough_ms / time_ms(run, 1), 1.0, 200.0));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string or_null(double x) { return std::isfinite(x) ? fmt::format("{:.6g}", x) : "null"; }

struct Options {
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  int repeat = 0;
  bool turns = false;
  std::int64_t elements = 0;  ///< of the cases' arrays
};

/// Times a case, the probe in turn with it, and prints its line.
void measure(const std::string& name, const bench::Run& run, const Options& options, int kernels,
             double error) {
  const int batch = batch_of(run), threads = options.threads, repeat = options.repeat;
  std::vector<double> times, limits{limit_of(run, threads, options.elements)};
  double spent = 0;
  while (static_cast<int>(times.size()) < repeat ||
         (repeat == 0 && (times.size() < 7 || spent < 500) && times.size() < 200)) {
    const double begin = now_ms();
    times.push_back(time_ms(run, batch));
    spent += now_ms() - begin;
    if (times.size() % 2 == 0 || run.limit_ms)
      limits.push_back(limit_of(run, threads, options.elements));
  }
  const double ms = median(times), limit = median(limits);
  const double rate = run.limit ? run.limit->amount / ms * 1e-6 : std::nan("");
  fmt::print(
      "{{\"case\": \"{}\", \"device\": \"{}\", \"threads\": {}, \"ms\": {:.6g}, \"ms_min\": "
      "{:.6g}, \"limit_ms\": {}, \"limit_over_ms\": {}, \"rate\": {}, \"kernels\": {}, "
      "\"batch\": {}, \"error\": {}}}\n",
      name, ny::default_device().name(), threads, ms, *std::min_element(times.begin(), times.end()),
      or_null(limit), or_null(limit / ms), or_null(rate), kernels, batch, or_null(error));
  std::fflush(stdout);
}

void measure(const bench::Case& c, const Options& options) {
  const bench::Run run = c.make();
  run.once();
  int kernels;
  {
    ny::LaunchLog log;
    run.once();
    kernels = log.kernels() / run.calls;
  }
  const double error = run.error();
  std::string line;
  do {
    measure(c.name, run, options, kernels, error);
  } while (options.turns && std::getline(std::cin, line));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Times Noyau's cases, each beside a probe of what the machine can do, and prints one JSON "
      "line a case:\n"
      "ms (median) and ms_min, limit_ms (median of the probe, run in turn with the case in this "
      "process), limit_over_ms\n"
      "(limit_ms / ms), rate (GB/s or GFLOP/s), kernels launched, batch (calls that were enqueued "
      "before one wait), and\n"
      "error, the largest difference to float64 over the largest value."};
  bool list = false, disk_kernels = false;
  std::string names, device, size = "cpu";
  Options options;
  app.add_flag("--list", list, "print the cases and leave");
  app.add_option("--case", names, "cases to run, separated by commas (default: all)");
  app.add_option("--device", device, "such as cpu:0 (default: the first that runs)");
  app.add_option("--sizes", size, "of the cases: cpu (default), gpu, or tiny to try them out")
      ->check(CLI::IsMember({"cpu", "gpu", "tiny"}));
  app.add_option("--threads", options.threads, "threads of Noyau and of the probes")
      ->check(CLI::Range(1, 64));
  app.add_option("--repeat", options.repeat,
                 "runs of each case (default: at least 7, about half a second)")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--turns", options.turns,
               "time each case again for every line on standard input, to take turns with others");
  app.add_flag("--disk-kernels", disk_kernels,
               "print what each of 21 kernels from the disk cache takes, and leave (for the cases "
               "disk_process and disk_first)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const bench::Sizes& sizes = *bench::sizes_named(size);
  const std::vector<bench::Case> cases = bench::cases(sizes);
  options.elements = sizes.elements;
  if (list) {
    for (const bench::Case& c : cases) fmt::print("{:14} {}\n", c.name, c.description);
    return 0;
  }
  setenv("NOYAU_THREADS", std::to_string(options.threads).c_str(), 1);
  try {
    if (disk_kernels) {
      ny::DeviceScope scope(device.empty() ? ny::default_device() : ny::device(device));
      for (const double ms : bench::disk_kernels_ms()) fmt::print("{:.6g}\n", ms);
      return 0;
    }
    std::vector<std::string> wanted;
    for (std::size_t at = 0; at < names.size();) {
      const std::size_t comma = std::min(names.find(',', at), names.size());
      wanted.push_back(names.substr(at, comma - at));
      at = comma + 1;
    }
    for (const std::string& name : wanted)
      if (std::none_of(cases.begin(), cases.end(),
                       [&](const bench::Case& c) { return c.name == name; }))
        throw ny::ValueError(
            fmt::format("there is no case '{}'; noyau-bench --list names them all", name));
    // compile measures the compiler: kernels of earlier runs on disk must not answer for it.
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), "compile") != wanted.end())
      setenv("NOYAU_CACHE", "0", 1);
    // nvrtc takes its text from a device that poses as a GPU.
    if (std::find(wanted.begin(), wanted.end(), "nvrtc") != wanted.end())
      setenv("NOYAU_NULL_DEVICES", "cuda", 1);
    ny::DeviceScope scope(device.empty() ? ny::default_device() : ny::device(device));
    for (const bench::Case& c : cases)
      if (wanted.empty() ? !c.named
                         : std::find(wanted.begin(), wanted.end(), c.name) != wanted.end())
        measure(c, options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "noyau-bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
