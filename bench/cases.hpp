// The cases of noyau-bench: inputs, what is timed, how it is checked, what limits it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <noyau/noyau.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/probe.hpp"

namespace bench {

struct Limit {
  Probe probe;
  double amount;  ///< bytes or flops
};

/// A case made ready: inputs are on the device.
struct Run {
  std::function<void()> once;     ///< computes the result and waits for it
  std::function<double()> error;  ///< largest difference to float64 over the largest value
  std::optional<Limit> limit;
  /// Instead of a probe: a yardstick of its own, for so many threads.
  std::function<double(int)> limit_ms;
  int calls = 1;  ///< of what is timed, in one `once`
};

struct Case {
  std::string name, description;
  std::function<Run()> make;
};
const std::vector<Case>& cases();

}  // namespace bench
