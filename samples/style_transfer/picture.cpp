// Pictures between files, sizes and what the network reads.
// SPDX-License-Identifier: Apache-2.0
#include "samples/style_transfer/picture.hpp"

#include <algorithm>
#include <cmath>

#include "samples/style_transfer/squeezenet.hpp"

namespace ny = noyau;

namespace style {

ny::Array load_picture(const std::string& path, ny::DType dtype) {
  return astype(ny::image::load(path), dtype);
}

void save_picture(const std::string& path, const ny::Array& x) {
  ny::image::save(path, from_network(x) / 255.0);
}

std::pair<std::int64_t, std::int64_t> size_for(const ny::Shape& picture, std::int64_t side) {
  const auto height = static_cast<double>(picture[0]), width = static_cast<double>(picture[1]);
  const double scale = static_cast<double>(side) / std::max(height, width);
  const auto rounded = [&](double length) {
    return std::max<std::int64_t>(32, 16 * std::llrint(length * scale / 16));
  };
  return {rounded(height), rounded(width)};
}

ny::Array to_network(const ny::Array& picture) {
  return permute(flip(picture, 2), {2, 0, 1})[{ny::newaxis}] - mean_color(picture.dtype());
}

ny::Array from_network(const ny::Array& x) {
  return flip(permute((x + mean_color(x.dtype()))[0], {1, 2, 0}), 2);
}

ny::Array prepare(const ny::Array& picture, std::int64_t height, std::int64_t width) {
  const ny::Array resized = ny::image::resize(picture, height, width, ny::Resize::bicubic);
  return to_network(round(clamp(resized, 0.0, 255.0)));
}

ny::Array resize_network(const ny::Array& x, std::int64_t height, std::int64_t width) {
  const ny::Array planes = permute(x[0], {1, 2, 0});
  return permute(ny::image::resize(planes, height, width, ny::Resize::bicubic),
                 {2, 0, 1})[{ny::newaxis}];
}

}  // namespace style
