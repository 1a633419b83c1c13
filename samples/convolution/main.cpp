// Image convolution: blurs a picture, sharpens it and finds its edges.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <noyau/noyau.hpp>
#include <optional>

namespace ny = noyau;

namespace {

/// Each channel of planes [1, c, h, w] with the same small filter; the border is mirrored.
ny::Array filter(const ny::Array& planes, const ny::Array& kernel) {
  const std::int64_t channels = planes.shape()[1], size = kernel.shape()[0], border = size / 2;
  const ny::Array weights = broadcast_to(kernel, {channels, 1, size, size});
  const ny::Array padded =
      pad(planes, {{0, 0}, {0, 0}, {border, border}, {border, border}}, ny::Pad::reflect);
  return conv2d(padded, weights, {.groups = channels});
}

/// height x width x 3 bytes as planes in [0, 1], and back to a file.
ny::Array load_planes(const std::string& path) {
  return permute(ny::image::to_float(ny::image::load(path)), {2, 0, 1})[{ny::newaxis}];
}
void save_planes(const char* path, const ny::Array& planes) {
  ny::image::save(path, permute(planes[0], {1, 2, 0}));
  fmt::print("{}\n", path);
}

}  // namespace

int main(int count, char** words) {
  CLI::App app(
      "Blurs a picture, sharpens it and finds its edges: writes blurred.png, sharpened.png and "
      "edges.png\nhere.");
  std::string path, device;
  app.add_option("PICTURE", path, "a PNG, JPEG or BMP file")->required();
  app.add_option("--device", device, "such as cpu:0 (noyau devices lists them)");
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    std::optional<ny::DeviceScope> scope;
    if (!device.empty()) scope.emplace(ny::device(device));
    const ny::Array picture = load_planes(path);

    const ny::Array g = ny::array({1.f, 4.f, 6.f, 4.f, 1.f}) / 16.0;
    const ny::Array blurred = filter(picture, outer(g, g));
    save_planes("blurred.png", blurred);

    // What the blur took away, given back twice; it fuses with the saving into one kernel.
    save_planes("sharpened.png", clamp(picture + 2.0 * (picture - blurred), 0.0, 1.0));

    const ny::Array across = ny::array({{-1.f, 0.f, 1.f}, {-2.f, 0.f, 2.f}, {-1.f, 0.f, 1.f}});
    const ny::Array dx = filter(blurred, across), dy = filter(blurred, transpose(across));
    save_planes("edges.png", clamp(mean(sqrt(dx * dx + dy * dy), 1, {.keepdims = true}), 0.0, 1.0));
  } catch (const std::exception& error) {
    fmt::print(stderr, "noyau-convolution: {}\n", error.what());
    return 1;
  }
}
