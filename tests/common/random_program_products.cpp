// Steps of random programs that a library may take: products, convolutions and pools.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tests/common/random_program_author.hpp"

namespace noyau::test {
namespace {

using Values = std::vector<Array>;

}  // namespace

void Author::product() {
  const auto x = any_with([&](int i) {
    return shape(i).rank() == 2 && dtype(i) != bool_ && shape(i).elements() < 400;
  });
  if (!x) return;
  const auto a = static_cast<std::size_t>(*x);
  const auto y = any_with([&](int i) {
    return shape(i).rank() == 2 && dtype(i) == dtype(*x) && shape(i)[0] == shape(*x)[1];
  });
  if (!y) {
    return add(
        fmt::format("matmul(v{0}, transpose(v{0}))", *x), {*x},
        [=](const Values& v) { return matmul(v[a], transpose(v[a])); }, true);
  }
  add(
      fmt::format("matmul(v{}, v{})", *x, *y), {*x, *y},
      [a, b = static_cast<std::size_t>(*y)](const Values& v) { return matmul(v[a], v[b]); }, true);
}

void Author::images() {
  const auto x = any_with([&](int i) {
    return is_floating(dtype(i)) && shape(i).elements() >= 16 && shape(i).elements() % 4 == 0;
  });
  if (!x) return;
  const auto at = static_cast<std::size_t>(*x);
  std::int64_t pixels = shape(*x).elements() / 2, height = 2;
  for (std::int64_t h = 3; h * h <= pixels; ++h) {
    if (pixels % h == 0) height = h;
  }
  const Shape image{1, 2, height, pixels / height};
  const std::string text = fmt::format("reshape(v{}, {})", *x, text_of(image));
  const std::int64_t stride = numbers_.between(1, 2), window = numbers_.between(1, 2);
  const std::int64_t padding = window == 2 ? numbers_.between(0, 1) : 0;
  const Pool2dOptions options{.stride = stride, .padding = padding};
  switch (numbers_.between(0, 2)) {
    case 0: {
      const DType type = dtype(*x);
      const reference::Value w = random_values(numbers_, type, {3, 2, window, 2}, -1, 1);
      return add(
          fmt::format("conv2d({}, {}, {{.stride = {}, .padding = {}}})", text, text_of(w), stride,
                      padding),
          {*x},
          [=](const Values& v) {
            return conv2d(reshape(v[at], image), array_of(w),
                          {.stride = stride, .padding = padding});
          },
          true);
    }
    case 1:
      return add(fmt::format("max_pool2d({}, {}, {{.stride = {}, .padding = {}}})", text, window,
                             stride, padding),
                 {*x}, [=](const Values& v) {
                   return max_pool2d(reshape(v[at], image), window, options);
                 });
    default:
      return add(fmt::format("avg_pool2d({}, {}, {{.stride = {}, .padding = {}}})", text, window,
                             stride, padding),
                 {*x}, [=](const Values& v) {
                   return avg_pool2d(reshape(v[at], image), window, options);
                 });
  }
}

}  // namespace noyau::test
