// The cases of noyau-bench: inputs, what is timed, how it is checked, what limits it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
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
  std::function<void()> enqueue;  ///< the same without waiting, where that can be timed
  std::function<double()> ms;     ///< instead of timing `once`: what to take for its milliseconds
  std::function<double()> error;  ///< largest difference to float64 over the largest value
  std::optional<Limit> limit;
  /// Instead of a probe: a yardstick of its own, for so many threads.
  std::function<double(int)> limit_ms;
  int calls = 1;  ///< of what is timed, in one `once`
};

struct Case {
  std::string name, description;
  std::function<Run()> make;
  bool named = false;  ///< run only where it is asked for by name
};

/// How large the cases are.
struct Sizes {
  std::int64_t elements;  ///< of arrays; a square number: of matrices too
  std::vector<std::int64_t> products;
  std::int64_t images;      ///< that a convolution is given at once
  std::int64_t resolution;  ///< divides the height and width of what convolutions are given
  std::int64_t picture, vgg_picture;  ///< height and width of styled pictures
};
/// "cpu", "gpu", or "tiny" to try the cases out; nullptr for other names.
const Sizes* sizes_named(const std::string& name);

std::vector<Case> cases(const Sizes& sizes);

/// A run whose result is an array that `f` makes.
Run run_of(std::function<noyau::Array()> f);

}  // namespace bench
