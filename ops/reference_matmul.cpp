// The reference meaning of matrix products and convolutions: sums of products in wide precision.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/error.hpp"
#include "ops/reference_ops.hpp"

namespace noyau::reference {
namespace {

/// A [n, c, h, w] array's element.
std::size_t at(const Shape& shape, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  return static_cast<std::size_t>(((n * shape[1] + c) * shape[2] + h) * shape[3] + w);
}

/// Calls f(x element, weight element, y element) for each product of the convolution of x by
/// weights to y, all given by their shapes.
template <class F>
void for_each_product(const Node& node, const Shape& x, const Shape& weights, const Shape& y, F f) {
  const auto& a = std::get<WindowAttributes>(node.attributes);
  const std::int64_t outputs_of_group = weights[0] / a.groups;
  for_each_index(y, [&](const Shape& out, std::size_t to) {
    const std::int64_t group = out[1] / outputs_of_group;
    for (std::int64_t c = 0; c < weights[1]; ++c) {
      for (std::int64_t kh = 0; kh < weights[2]; ++kh) {
        const std::int64_t h = out[2] * a.stride[0] + kh * a.dilation[0] - a.low[0];
        if (h < 0 || h >= x[2]) continue;
        const std::size_t row = at(x, out[0], group * weights[1] + c, h, 0);
        const std::size_t weight_row = at(weights, out[1], c, kh, 0);
        for (std::int64_t kw = 0; kw < weights[3]; ++kw) {
          const std::int64_t w = out[3] * a.stride[1] + kw * a.dilation[1] - a.low[1];
          if (w < 0 || w >= x[3]) continue;
          f(row + static_cast<std::size_t>(w), weight_row + static_cast<std::size_t>(kw), to);
        }
      }
    }
  });
}

Value finish(const Node& node, const std::vector<long double>& sums, Rounding rounding) {
  Value result(node.dtype, node.shape);
  for (std::size_t i = 0; i < result.size(); ++i) {
    result.reals[i] = rounded(sums[i], node.dtype, rounding);
  }
  return result;
}

}  // namespace

Value matmul(const Node& node, const Value& a, const Value& b, Rounding rounding) {
  Value result(node.dtype, node.shape);
  const int rank = node.shape.rank();
  const std::int64_t rows = node.shape[rank - 2], columns = node.shape[rank - 1];
  const std::int64_t inner = a.shape[a.shape.rank() - 1];
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto number = static_cast<std::int64_t>(i);
    const std::int64_t column = number % columns, row = number / columns % rows;
    const std::int64_t batch = number / columns / rows;
    const auto from_a = static_cast<std::size_t>((batch * rows + row) * inner);
    const auto from_b = static_cast<std::size_t>(batch * inner * columns + column);
    long double sum = 0;
    std::uint64_t integer_sum = 0;
    for (std::int64_t k = 0; k < inner; ++k) {
      if (result.is_real()) {
        sum += static_cast<long double>((a.reals.data() + from_a)[k]) *
               (b.reals.data() + from_b)[k * columns];
      } else {
        integer_sum += (a.integers.data() + from_a)[k] * (b.integers.data() + from_b)[k * columns];
      }
    }
    if (result.is_real()) result.reals[i] = rounded(sum, node.dtype, rounding);
    else result.integers[i] = wrap(node.dtype, integer_sum);
  }
  return result;
}

Value convolution(const Node& node, const Value& x, const Value& weights, Rounding rounding) {
  std::vector<long double> sums(static_cast<std::size_t>(node.shape.elements()));
  for_each_product(node, x.shape, weights.shape, node.shape,
                   [&](std::size_t from, std::size_t weight, std::size_t to) {
                     sums[to] += static_cast<long double>(x.reals[from]) * weights.reals[weight];
                   });
  return finish(node, sums, rounding);
}

Value convolution_input_gradient(const Node& node, const Value& dy, const Value& weights,
                                 Rounding rounding) {
  std::vector<long double> sums(static_cast<std::size_t>(node.shape.elements()));
  for_each_product(node, node.shape, weights.shape, dy.shape,
                   [&](std::size_t from, std::size_t weight, std::size_t to) {
                     sums[from] += static_cast<long double>(dy.reals[to]) * weights.reals[weight];
                   });
  return finish(node, sums, rounding);
}

Value convolution_weight_gradient(const Node& node, const Value& x, const Value& dy,
                                  Rounding rounding) {
  std::vector<long double> sums(static_cast<std::size_t>(node.shape.elements()));
  for_each_product(node, x.shape, node.shape, dy.shape,
                   [&](std::size_t from, std::size_t weight, std::size_t to) {
                     sums[weight] += static_cast<long double>(dy.reals[to]) * x.reals[from];
                   });
  return finish(node, sums, rounding);
}

}  // namespace noyau::reference
