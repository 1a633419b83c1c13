// The recipe: a picture optimised with Adam, from a small size to the full one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <noyau/noyau.hpp>
#include <string>
#include <utility>
#include <vector>

#include "samples/style_transfer/losses.hpp"

namespace style {

struct Scale {
  std::int64_t side;  ///< the longer side, in pixels
  int iterations;
};
/// 128, 181, 256, ... up to `side` (only `side` when it is smaller): each step has twice the
/// pixels, the first 300 iterations, those up to 256 pixels 150, the others 100.
std::vector<Scale> automatic_scales(std::int64_t side);

struct Settings {
  std::vector<Scale> scales = automatic_scales(512);
  double learning_rate = 6;  ///< in grey levels of 256
  double average = 0.95;     ///< of the exponential average of the iterates; 0: none
  int jitter = 4;            ///< the picture is rolled by up to so many pixels at each step
  std::uint64_t seed = 0;
  LossWeights weights;
  std::vector<std::string> content_layers = {"fire3"};
  std::vector<std::string> style_layers = {"conv1", "fire2", "fire3", "fire4", "fire5", "fire7"};
  std::string init = "content";  ///< content, noise, gray, style or a file
};

/// One step that has been computed.
struct Step {
  int scale, iteration;  ///< from 0
  std::int64_t height, width;
  Losses losses;         ///< of the picture before the step, one value each
  noyau::Array picture;  ///< so far: [1, 3, height, width]
};
/// Called for each step, in order; false ends the run.
using Watcher = std::function<bool(const Step& step)>;

/// The styled picture [1, 3, height, width]. `content` and `style` are RGB [height, width, 3] of 0
/// to 255, in the network's dtype.
noyau::Array stylize(const SqueezeNet& network, const noyau::Array& content,
                     const noyau::Array& style, const Settings& settings, const Watcher& watcher);

/// The optimisation at one size; stylize strings several together. Benchmarks use it alone.
class Stage {
 public:
  /// `content` and `style` and `start` as the network reads them.
  Stage(const SqueezeNet& network, const Settings& settings, const noyau::Array& content,
        const noyau::Array& style, const noyau::Array& start, int iterations);
  /// Submits iteration i of the stage with the picture rolled by (dy, dx); does not wait.
  Losses step(int i, int dy, int dx);
  const noyau::Array& picture() const { return average_; }
  /// The losses of x [1, 3, h, w] against the targets, the content rolled by (dy, dx).
  Losses losses_of(const noyau::Array& x, int dy = 0, int dx = 0);

 private:
  const SqueezeNet& network_;
  const Settings& settings_;
  int iterations_;
  std::vector<std::string> layers_;  ///< content and style layers together
  noyau::Array content_;
  Targets style_;
  noyau::Array low_, high_;  ///< the range of the picture
  noyau::Array x_, momentum_, variance_, average_;
};

}  // namespace style
