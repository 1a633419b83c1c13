// What the user asked noyau-style for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "samples/style_transfer/recipe.hpp"

namespace style {

enum class Mode { stylize, features, check_gradient, benchmark, list_layers, list_devices };
enum class ProgressKind { bar, lines, json };

struct Options {
  Mode mode = Mode::stylize;
  std::string content, style, output;
  std::string features_of;
  int benchmark_steps = 0;
  std::int64_t size = 512;
  Settings settings;
  std::string weights;  ///< the file
  std::string device;   ///< empty: the default one
  noyau::DType dtype = noyau::float32;
  int save_every = 0, print_every = 50;
  ProgressKind progress = ProgressKind::lines;
  std::string trace;
};

/// Reads the command line. When the program should end at once (--help, a mistake), it has printed
/// what there is to say and `exit_code` is not negative.
Options parse_options(int count, char** words, int& exit_code);

/// Where scripts/fetch_assets.sh puts the weights of this user.
std::string default_weights();

}  // namespace style
