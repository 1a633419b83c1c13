// image::resize: two matrix products with weights made on the host, so that it has gradients.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "noyau/image.hpp"
#include "noyau/ops.hpp"

namespace noyau::image {
namespace {

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

/// Keys' cubic convolution kernel (1981) with a = -1/2.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/// Row i holds what each of the `from` pixels gives to pixel i of the `to` new ones.
std::vector<double> weights(std::int64_t from, std::int64_t to, Resize method) {
  std::vector<double> matrix(static_cast<std::size_t>(from * to), 0.0);
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);  // shrinking widens the filter, against aliases
  const double reach = (method == Resize::bicubic ? 2.0 : 1.0) * stretch;
  for (std::int64_t i = 0; i < to; ++i) {
    double* row = matrix.data() + i * from;
    const double center = (static_cast<double>(i) + 0.5) * scale;
    if (method == Resize::nearest) {
      row[std::min(from - 1, static_cast<std::int64_t>(center))] = 1;
      continue;
    }
    const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(center - reach + 0.5));
    const auto last = std::min(from, static_cast<std::int64_t>(center + reach + 0.5));
    double total = 0;
    for (std::int64_t j = first; j < last; ++j) {
      const double distance = (static_cast<double>(j) + 0.5 - center) / stretch;
      row[j] = method == Resize::bicubic ? cubic(distance) : triangle(distance);
      total += row[j];
    }
    for (std::int64_t j = first; j < last; ++j) row[j] /= total;
  }
  return matrix;
}

/// The weights as an array [to, from] on the device of `like`, in its dtype; rounded on the host,
/// since the device may have no float64.
Array weight_array(std::int64_t from, std::int64_t to, Resize method, const Array& like) {
  DeviceScope scope(like.device());
  const std::vector<double> exact = weights(from, to, method);
  if (like.dtype() == float64) return array(exact, Shape{to, from});
  const std::vector<float> rounded(exact.begin(), exact.end());
  return astype(array(rounded, Shape{to, from}), like.dtype());
}

void check(const Operand& image, std::int64_t height, std::int64_t width) {
  if (image.is_scalar())
    throw ShapeError(
        "[image::resize] needs an array of shape (height, width, channels), got a scalar");
  const Array& x = image.array();
  if (x.rank() != 3 || x.size() == 0)
    throw ShapeError(
        fmt::format("[image::resize] needs shape (height, width, channels) with pixels, got {}",
                    to_string(x.shape())));
  if (height < 1 || width < 1)
    throw ShapeError(fmt::format("[image::resize] cannot resize {} to {} x {} pixels",
                                 to_string(x.shape()), height, width));
  if (!is_floating(x.dtype()))
    throw DtypeError(
        fmt::format("[image::resize] needs floats, got {}; use image::to_float or astype first",
                    name(x.dtype())));
}

}  // namespace

Array resize(Operand image, std::int64_t height, std::int64_t width, Resize method) {
  check(image, height, width);
  const Array x = image.array();
  if (is_half(x.dtype()))
    return astype(resize(astype(x, float32), height, width, method), x.dtype());
  const std::int64_t h = x.shape()[0], w = x.shape()[1], c = x.shape()[2];
  Array result = x;
  if (height != h) {
    result = matmul(weight_array(h, height, method, x), reshape(result, {h, w * c}));
    result = reshape(result, {height, w, c});
  }
  if (width != w) {
    // Rows of one channel of one line: a single product instead of one a line.
    result = reshape(permute(result, {0, 2, 1}), {height * c, w});
    result = matmul(result, transpose(weight_array(w, width, method, x)));
    result = permute(reshape(result, {height, c, width}), {0, 2, 1});
  }
  return result;
}

}  // namespace noyau::image
