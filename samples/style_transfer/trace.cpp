// The record of a run that --trace writes.
// SPDX-License-Identifier: Apache-2.0
#include "samples/style_transfer/trace.hpp"

#include <sys/resource.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace ny = noyau;

namespace style {

double Trace::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Trace::add(const Step& step) {
  if (options_.trace.empty()) return;
  rows_.push_back({options_.settings.scales[static_cast<std::size_t>(step.scale)].side,
                   step.iteration, step.losses, seconds()});
}

void Trace::write() const {
  if (options_.trace.empty()) return;
  using Json = nlohmann::ordered_json;
  const double whole = seconds();
  Json iterations = Json::array();
  for (const Row& row : rows_)
    iterations.push_back({{"scale", row.scale},
                          {"iteration", row.iteration},
                          {"content", row.losses.content.item<double>()},
                          {"style", row.losses.style.item<double>()},
                          {"tv", row.losses.tv.item<double>()},
                          {"total", row.losses.total.item<double>()},
                          {"seconds", row.seconds}});
  const ny::Statistics statistics = ny::statistics();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const Json trace = {
      {"device", ny::default_device().name()},
      {"kernels_compiled", statistics.kernels_compiled},
      {"cache_hits", statistics.memory_cache_hits + statistics.disk_cache_hits},
      {"pool_peak_bytes", statistics.pool_peak_bytes},
      {"rss_peak_bytes", static_cast<std::int64_t>(usage.ru_maxrss) * 1024},
      {"seconds", whole},
      {"iterations", std::move(iterations)},
  };
  // By rename, so that nobody reads half a trace.
  const std::string temporary = options_.trace + ".tmp";
  std::ofstream file(temporary);
  file << trace.dump(1) << '\n';
  file.close();
  if (!file || std::rename(temporary.c_str(), options_.trace.c_str()) != 0) {
    std::remove(temporary.c_str());
    throw ny::FileError("cannot write the trace '" + options_.trace + "'");
  }
}

}  // namespace style
