// What is shown while a picture is made: a bar, lines, or JSON lines.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>

#include "samples/style_transfer/options.hpp"

namespace style {

class Progress {
 public:
  explicit Progress(const Options& options);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Shows the step if it is time to; only then are its losses read. Throws noyau::ValueError when
  /// they are no longer numbers.
  void show(const Step& step);
  /// Ends the bar's line.
  void finish();

 private:
  void show_bar(const Step& step);
  double seconds() const;
  double seconds_left(const Step& step) const;

  const Options& options_;
  std::chrono::steady_clock::time_point start_;
  double shown_at_ = -1;
  bool bar_open_ = false;
  int done_ = 0, total_ = 0;  ///< steps
  double work_ = 0;           ///< pixels of all steps so far
};

}  // namespace style
