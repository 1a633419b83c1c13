// Resizing of images against Pillow's formula, written out plainly.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "noyau/noyau.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class ResizeImages : public DeviceTest {};

double filter(Resize method, double x) {
  x = std::fabs(x);
  if (method == Resize::bilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/// One line of pixels at a new length, as Pillow's ImagingResample does.
std::vector<double> resampled(const std::vector<double>& line, std::int64_t length, Resize method) {
  const auto extent = static_cast<std::int64_t>(line.size());
  const double scale = static_cast<double>(extent) / static_cast<double>(length);
  const double widened = std::max(scale, 1.0);
  const double support = (method == Resize::bilinear ? 1 : 2) * widened;
  std::vector<double> result;
  for (std::int64_t i = 0; i < length; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    if (method == Resize::nearest) {
      result.push_back(line[static_cast<std::size_t>(centre)]);
      continue;
    }
    const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - support + 0.5));
    const auto last = std::min(extent, static_cast<std::int64_t>(centre + support + 0.5));
    double sum = 0, total = 0;
    for (std::int64_t k = first; k < last; ++k) {
      const double w = filter(method, (static_cast<double>(k) - centre + 0.5) / widened);
      sum += w * line[static_cast<std::size_t>(k)];
      total += w;
    }
    result.push_back(sum / total);
  }
  return result;
}

TEST_P(ResizeImages, AsPillow) {
  Numbers numbers(51);
  const std::int64_t sizes[][4] = {{7, 9, 7, 9},   {7, 9, 14, 20}, {16, 21, 5, 8},
                                   {5, 30, 11, 7}, {1, 1, 4, 3},   {9, 2, 1, 1}};
  for (Resize method : {Resize::nearest, Resize::bilinear, Resize::bicubic}) {
    for (const auto& [h, w, to_h, to_w] : sizes) {
      const reference::Value x = random_values(numbers, float32, {h, w, 3}, 0, 1);
      const Array resized = image::resize(array_of(x), to_h, to_w, method);
      ASSERT_EQ(resized.shape(), (Shape{to_h, to_w, 3}));
      const std::vector<float> got = resized.to_vector<float>();
      for (std::int64_t channel = 0; channel < 3; ++channel) {
        std::vector<std::vector<double>> rows;  // first across, then down
        for (std::int64_t i = 0; i < h; ++i) {
          std::vector<double> row;
          for (std::int64_t j = 0; j < w; ++j) {
            row.push_back(x.reals[static_cast<std::size_t>((i * w + j) * 3 + channel)]);
          }
          rows.push_back(resampled(row, to_w, method));
        }
        for (std::int64_t j = 0; j < to_w; ++j) {
          std::vector<double> column;
          for (const std::vector<double>& row : rows)
            column.push_back(row[static_cast<std::size_t>(j)]);
          const std::vector<double> want = resampled(column, to_h, method);
          for (std::int64_t i = 0; i < to_h; ++i) {
            ASSERT_NEAR(got[static_cast<std::size_t>((i * to_w + j) * 3 + channel)],
                        want[static_cast<std::size_t>(i)], 2e-6)
                << h << "x" << w << " to " << to_h << "x" << to_w << " method "
                << static_cast<int>(method) << " at " << i << ", " << j;
          }
        }
      }
    }
  }
}

NOYAU_FOR_EACH_DEVICE(ResizeImages);

}  // namespace
}  // namespace noyau::test
