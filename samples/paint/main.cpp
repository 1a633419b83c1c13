// noyau-paint: paints a night sky with brush strokes, all with array operations.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <noyau/noyau.hpp>
#include <optional>

#include "samples/paint/strokes.hpp"

namespace ny = noyau;

namespace {

constexpr const char* about =
    R"(Paints a picture: a night sky with glowing discs and whirling wind over hills, in three layers of
brush strokes that follow the wind. Noyau's array operations compute all of it: the wind is the
gradient of a field, and each pixel looks up the strokes around it. A good style for noyau-style.)";

struct Options {
  std::string output, device;
  std::int64_t width = 960, height = 640, oversampling = 2;
  std::uint64_t seed = 7;
};

/// Coarse strokes everywhere, finer ones mostly where there is something to see.
constexpr paint::Brush brushes[] = {
    {.spacing = 16,
     .width = 16,
     .length = 56,
     .presence = 1.00,
     .detail = 0.00,
     .color_spread = 0.16},
    {.spacing = 9.5,
     .width = 9,
     .length = 34,
     .presence = 0.42,
     .detail = 0.50,
     .color_spread = 0.20},
    {.spacing = 6.5,
     .width = 5,
     .length = 22,
     .presence = 0.16,
     .detail = 0.75,
     .color_spread = 0.26},
};

ny::Array paint_picture(const Options& options) {
  const double aspect = static_cast<double>(options.width) / static_cast<double>(options.height);
  const paint::Scene scene(aspect, options.seed);
  ny::random::Generator rng(options.seed);
  paint::Canvas canvas = underpainting(scene, options.height * options.oversampling,
                                       options.width * options.oversampling);
  for (const paint::Brush& brush : brushes) canvas = paint_layer(canvas, scene, brush, rng);
  // Each pixel is the mean of its samples, so that strokes have smooth edges.
  const std::int64_t n = options.oversampling;
  const ny::Array planes = ny::stack({canvas.color[0], canvas.color[1], canvas.color[2]});
  const ny::Array samples = reshape(planes, {3, options.height, n, options.width, n});
  return permute(mean(samples, {2, 4}), {1, 2, 0});
}

}  // namespace

int main(int count, char** words) {
  Options options;
  CLI::App app(about, "noyau-paint");
  app.add_option("-o,--output", options.output, "the picture: .png, .jpg or .bmp")->required();
  app.add_option("--width", options.width, "in pixels")
      ->check(CLI::Range(32, 8192))
      ->capture_default_str();
  app.add_option("--height", options.height, "in pixels")
      ->check(CLI::Range(32, 8192))
      ->capture_default_str();
  app.add_option("--oversampling", options.oversampling, "samples a pixel in each direction")
      ->check(CLI::Range(1, 4))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "another sky and other strokes")->capture_default_str();
  app.add_option("--device", options.device, "such as cpu:0 (noyau devices lists them)");
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    std::optional<ny::DeviceScope> scope;
    if (!options.device.empty()) scope.emplace(ny::device(options.device));
    ny::image::save(options.output, paint_picture(options));
  } catch (const std::exception& error) {
    fmt::print(stderr, "noyau-paint: {}\n", error.what());
    return 1;
  }
}
