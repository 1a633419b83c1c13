// The command line of noyau-style.
// SPDX-License-Identifier: Apache-2.0
#include "samples/style_transfer/options.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

namespace style {
namespace {

constexpr const char* about =
    R"(Paints a photo in the manner of a painting: the photo is optimised until a neural network sees
in it the content of the one and the style of the other (Gatys, Ecker and Bethge, 2016).

  noyau-style photo.jpg painting.jpg -o result.png
  noyau-style photo.jpg painting.jpg -o small.png --size 256 --style-weight 100
  noyau-style --features photo.png            what the network makes of a picture, as JSON)";

constexpr const char* footer =
    R"(Pictures are PNG, JPEG or BMP. The result appears by rename: there is never half a file.
Exit codes: 0 done; 1 it failed, the reason is on standard error; 2 options not understood;
3 the network's weights are missing (scripts/fetch_assets.sh fetches them);
130 interrupted by Ctrl-C, the picture so far saved.)";

std::vector<std::string> layer_names() {
  std::vector<std::string> names;
  for (const LayerInfo& layer : layers()) names.emplace_back(layer.name);
  return names;
}

/// The words of the command line before they are put in order.
struct Raw {
  std::string scales = "auto", progress = "auto", precision = "fp32";
  std::vector<int> iterations;
};

void add_pictures(CLI::App& app, Options& options) {
  app.add_option("CONTENT", options.content, "the photo");
  app.add_option("STYLE", options.style, "the painting");
  app.add_option("-o,--output", options.output, "the result: .png, .jpg or .bmp");
  app.add_option("--size", options.size, "longer side of the result, in pixels")
      ->check(CLI::Range(32, 8192))
      ->capture_default_str();
}

void add_recipe(CLI::App& app, Settings& settings, Raw& raw) {
  const std::string group = "Recipe";
  app.add_option(
         "--scales", raw.scales,
         "sizes to pass through: auto (128, then by sqrt 2 up to --size), 1 (only --size), or "
         "a list of longer sides such as 128,256,512")
      ->capture_default_str()
      ->group(group);
  app.add_option("--iterations", raw.iterations,
                 "steps: one number for every scale, or one for each, such as 300,100 (300, then "
                 "150 up to 256 pixels, then 100)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000000))
      ->group(group);
  app.add_option("--lr", settings.learning_rate, "Adam's step, in grey levels of 256")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--content-weight", settings.weights.content, "how much the photo counts")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--style-weight", settings.weights.style, "how much the painting counts")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--tv-weight", settings.weights.tv, "how much smoothness counts")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--content-layers", settings.content_layers, "layers that hold the content")
      ->delimiter(',')
      ->check(CLI::IsMember(layer_names()))
      ->capture_default_str()
      ->group(group);
  app.add_option("--style-layers", settings.style_layers, "layers that hold the style")
      ->delimiter(',')
      ->check(CLI::IsMember(layer_names()))
      ->capture_default_str()
      ->group(group);
  app.add_option("--init", settings.init, "first picture: content, noise, gray, style or a file")
      ->capture_default_str()
      ->group(group);
  app.add_option("--jitter", settings.jitter,
                 "the picture is shifted by up to so many pixels each step, against grid patterns")
      ->check(CLI::Range(0, 64))
      ->capture_default_str()
      ->group(group);
  app.add_option("--ema", settings.average,
                 "average of the steps that is the result; 0: the last one")
      ->check(CLI::Range(0.0, 0.9999))
      ->capture_default_str()
      ->group(group);
  app.add_option("--seed", settings.seed, "of the shifts and of --init noise")
      ->capture_default_str()
      ->group(group);
}

void add_running(CLI::App& app, Options& options, Raw& raw) {
  const std::string group = "Running";
  app.add_option("--weights", options.weights, "the network: SqueezeNet v1.1 as safetensors")
      ->capture_default_str()
      ->group(group);
  app.add_option("--device", options.device, "such as cpu:0 (noyau devices lists them)")
      ->group(group);
  app.add_option("--precision", raw.precision, "fp32 or fp64")
      ->check(CLI::IsMember({"fp32", "fp64"}))
      ->capture_default_str()
      ->group(group);
  app.add_option("--save-every", options.save_every, "save the picture so far every N steps")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  app.add_option("--progress", raw.progress,
                 "bar, lines or json (one object a line); auto: bar on a terminal, else lines")
      ->check(CLI::IsMember({"auto", "bar", "lines", "json"}))
      ->capture_default_str()
      ->group(group);
  app.add_option("--print-every", options.print_every, "steps between lines")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--trace", options.trace, "write losses and timings of the run to this JSON file")
      ->group(group);
}

void add_modes(CLI::App& app, Options& options) {
  const std::string group = "Instead of a run";
  app.add_option("--features", options.features_of,
                 "print shape, mean, rms and Gram norm of this picture's features, as JSON")
      ->group(group);
  app.add_flag_callback(
         "--check-gradient", [&] { options.mode = Mode::check_gradient; },
         "compare the gradient with finite differences in float64")
      ->group(group);
  app.add_option("--benchmark", options.benchmark_steps, "time N steps at --size, print JSON")
      ->check(CLI::PositiveNumber)
      ->group(group);
  app.add_flag_callback(
         "--list-layers", [&] { options.mode = Mode::list_layers; }, "the network's layers")
      ->group(group);
  app.add_flag_callback(
         "--list-devices", [&] { options.mode = Mode::list_devices; },
         "the devices of this machine")
      ->group(group);
}

std::vector<Scale> parse_scales(const Raw& raw, std::int64_t size) {
  std::vector<Scale> scales;
  if (raw.scales == "auto") {
    scales = automatic_scales(size);
  } else if (raw.scales == "1") {
    scales = {{size, 300}};
  } else {
    for (const std::string& word : CLI::detail::split(raw.scales, ',')) {
      int side = 0;
      if (!CLI::detail::lexical_cast(word, side) || side < 32 || side > 8192)
        throw CLI::ValidationError("--scales", "'" + word + "' is no side of 32 to 8192 pixels");
      scales.push_back({side, scales.empty() ? 300 : side <= 256 ? 150 : 100});
    }
  }
  if (raw.iterations.empty()) return scales;
  if (raw.iterations.size() != 1 && raw.iterations.size() != scales.size())
    throw CLI::ValidationError("--iterations",
                               fmt::format("{} numbers for {} scales: give one, or one for each",
                                           raw.iterations.size(), scales.size()));
  for (std::size_t i = 0; i < scales.size(); ++i)
    scales[i].iterations = raw.iterations[raw.iterations.size() == 1 ? 0 : i];
  return scales;
}

void put_in_order(Options& options, const Raw& raw) {
  if (!options.features_of.empty()) options.mode = Mode::features;
  if (options.benchmark_steps > 0) options.mode = Mode::benchmark;
  options.settings.scales = parse_scales(raw, options.size);
  options.dtype = raw.precision == "fp64" ? noyau::float64 : noyau::float32;
  options.progress = raw.progress == "bar"     ? ProgressKind::bar
                     : raw.progress == "json"  ? ProgressKind::json
                     : raw.progress == "lines" ? ProgressKind::lines
                     : isatty(STDOUT_FILENO)   ? ProgressKind::bar
                                               : ProgressKind::lines;
  if (options.mode != Mode::stylize) return;
  if (options.content.empty() || options.style.empty())
    throw CLI::RequiredError("CONTENT and STYLE, two pictures,");
  if (options.output.empty()) throw CLI::RequiredError("-o OUTPUT");
}

}  // namespace

std::string default_weights() {
  const char* data = std::getenv("XDG_DATA_HOME");
  const char* home = std::getenv("HOME");
  const std::string folder =
      data && *data ? std::string(data) : std::string(home ? home : "") + "/.local/share";
  return folder + "/noyau/squeezenet-v1.1.safetensors";
}

Options parse_options(int count, char** words, int& exit_code) {
  Options options;
  options.weights = default_weights();
  Raw raw;
  CLI::App app(about, "noyau-style");
  app.footer(footer);
  app.get_formatter()->column_width(28);
  add_pictures(app, options);
  add_recipe(app, options.settings, raw);
  add_running(app, options, raw);
  add_modes(app, options);
  exit_code = -1;
  try {
    app.parse(count, words);
    put_in_order(options, raw);
  } catch (const CLI::Success& request) {  // --help
    exit_code = app.exit(request);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    exit_code = 2;
  }
  return options;
}

}  // namespace style
