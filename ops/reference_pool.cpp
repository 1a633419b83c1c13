// The reference meaning of pooling and its gradients.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "noyau/error.hpp"
#include "ops/reference_ops.hpp"

namespace noyau::reference {
namespace {

/// The cells of one window: rows [top, bottom) and columns [left, right) of the input's plane.
struct Window {
  std::int64_t top, bottom, left, right;
  double padded_cells;  ///< those inside the padded input
};
Window window_of(const WindowAttributes& a, const Shape& input, const Shape& out) {
  std::int64_t first[2], last[2];
  double cells = 1;
  for (int d = 0; d < 2; ++d) {
    const std::int64_t extent = input[2 + d];
    const std::int64_t begin = out[2 + d] * a.stride[d] - a.low[d];
    const std::int64_t end = std::min(begin + a.window[d], extent + a.high[d]);
    cells *= static_cast<double>(end - begin);
    first[d] = std::max<std::int64_t>(begin, 0);
    last[d] = std::min(end, extent);
  }
  return {first[0], last[0], first[1], last[1], cells};
}

}  // namespace

std::vector<Value> max_pool(const Node& node, const Value& x) {
  const auto& a = std::get<WindowAttributes>(node.attributes);
  const std::int64_t width = x.shape[3], plane = x.shape[2] * width;
  Value values(node.dtype, node.shape), indices(int64, node.shape);
  for_each_index(node.shape, [&](const Shape& out, std::size_t to) {
    const Window window = window_of(a, x.shape, out);
    const std::int64_t begin = (out[0] * x.shape[1] + out[1]) * plane;
    std::int64_t best = -1;
    for (std::int64_t h = window.top; h < window.bottom; ++h) {
      for (std::int64_t w = window.left; w < window.right; ++w) {
        const std::int64_t here = h * width + w;
        const auto element = [&](std::int64_t k) {
          return x.to_double(static_cast<std::size_t>(begin + k));
        };
        if (best < 0 || element(here) > element(best) ||
            (std::isnan(element(here)) && !std::isnan(element(best)))) {
          best = here;
        }
      }
    }
    if (best < 0) throw InternalError("a pooling window without elements");
    values.copy_element(to, x, static_cast<std::size_t>(begin + best));
    indices.integers[to] = static_cast<std::uint64_t>(best);
  });
  return {values, indices};
}

Value max_pool_gradient(const Node& node, const Value& dy, const Value& indices,
                        Rounding rounding) {
  const std::int64_t plane = node.shape[2] * node.shape[3];
  Value dx(node.dtype, node.shape);
  for_each_index(dy.shape, [&](const Shape& out, std::size_t i) {
    const std::int64_t begin = (out[0] * node.shape[1] + out[1]) * plane;
    dx.reals[static_cast<std::size_t>(begin) + indices.integers[i]] += dy.reals[i];
  });
  for (double& d : dx.reals) d = rounded(d, node.dtype, rounding);
  return dx;
}

Value avg_pool(const Node& node, const Value& x, Rounding rounding) {
  const auto& a = std::get<WindowAttributes>(node.attributes);
  const std::int64_t width = x.shape[3], plane = x.shape[2] * width;
  Value result(node.dtype, node.shape);
  for_each_index(node.shape, [&](const Shape& out, std::size_t to) {
    const Window window = window_of(a, x.shape, out);
    const std::int64_t begin = (out[0] * x.shape[1] + out[1]) * plane;
    long double sum = 0;
    for (std::int64_t h = window.top; h < window.bottom; ++h) {
      for (std::int64_t w = window.left; w < window.right; ++w) {
        sum += x.reals[static_cast<std::size_t>(begin + h * width + w)];
      }
    }
    result.reals[to] = rounded(sum / window.padded_cells, node.dtype, rounding);
  });
  return result;
}

Value avg_pool_gradient(const Node& node, const Value& dy, Rounding rounding) {
  const auto& a = std::get<WindowAttributes>(node.attributes);
  const std::int64_t width = node.shape[3], plane = node.shape[2] * width;
  Value dx(node.dtype, node.shape);
  for_each_index(dy.shape, [&](const Shape& out, std::size_t from) {
    const Window window = window_of(a, node.shape, out);
    const std::int64_t begin = (out[0] * node.shape[1] + out[1]) * plane;
    for (std::int64_t h = window.top; h < window.bottom; ++h) {
      for (std::int64_t w = window.left; w < window.right; ++w) {
        dx.reals[static_cast<std::size_t>(begin + h * width + w)] +=
            dy.reals[from] / window.padded_cells;
      }
    }
  });
  for (double& d : dx.reals) d = rounded(d, node.dtype, rounding);
  return dx;
}

}  // namespace noyau::reference
