// The record of a run that --trace writes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "samples/style_transfer/options.hpp"

namespace style {

class Trace {
 public:
  /// Keeps nothing when the options ask for no trace.
  explicit Trace(const Options& options)
      : options_(options), start_(std::chrono::steady_clock::now()) {}
  void add(const Step& step);
  /// Writes {"device", "kernels_compiled", "cache_hits", "pool_peak_bytes", "rss_peak_bytes",
  /// "seconds", "iterations": [{"scale", "iteration", "content", "style", "tv", "total",
  /// "seconds"}]}; seconds count from the beginning of the run.
  void write() const;

 private:
  double seconds() const;
  struct Row {
    std::int64_t scale;
    int iteration;
    Losses losses;  ///< read when the trace is written, so that no step waits for it
    double seconds;
  };
  const Options& options_;
  std::chrono::steady_clock::time_point start_;
  std::vector<Row> rows_;
};

}  // namespace style
