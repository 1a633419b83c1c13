// Content, style and smoothness losses.
// SPDX-License-Identifier: Apache-2.0
#include "samples/style_transfer/losses.hpp"

#include <span>
#include <vector>

namespace ny = noyau;

namespace style {
namespace {

Targets targets(Features values) {
  Targets result{std::move(values), {}};
  // A blank target has no size; the bound keeps its loss a number.
  for (const auto& [layer, value] : result.values)
    result.norms[layer] = maximum(sum(square(value)), 1e-20);
  return result;
}

/// The mean over layers of the squared distance to the target, over the target's square.
ny::Array relative_distance(const Features& features, const Targets& targets, bool of_gram,
                            ny::DType dtype) {
  if (targets.values.empty()) return ny::zeros({}, dtype);
  ny::Array total;
  for (const auto& [layer, target] : targets.values) {
    const ny::Array& f = features.at(layer);
    const ny::Array term = sum(square((of_gram ? gram(f) : f) - target)) / targets.norms.at(layer);
    total = total ? total + term : term;
  }
  return total / static_cast<double>(targets.values.size());
}

/// x with each element replaced by its neighbour `by` (1 or -1) further along the axis; at the end
/// by itself.
ny::Array neighbours(const ny::Array& x, int axis, int by) {
  const std::int64_t n = x.shape()[axis];
  const auto part = [&](std::int64_t from, std::int64_t to) {
    return axis == 2 ? x[{ny::slice(), ny::slice(), ny::slice(from, to)}]
                     : x[{ny::slice(), ny::slice(), ny::slice(), ny::slice(from, to)}];
  };
  return by > 0 ? ny::concatenate({part(1, n), part(n - 1, n)}, axis)
                : ny::concatenate({part(0, 1), part(0, n - 1)}, axis);
}

/// The gradient is written down: neighbours are copied rows, the padding of slices that reverse
/// mode would find is worked out for every element.
ny::Array total_variation(const ny::Array& x) {
  const ny::Shape& shape = x.shape();
  const double whole = static_cast<double>(shape.elements());
  const double columns = static_cast<double>(shape[3]), rows = static_cast<double>(shape[2]);
  const double across = 1 / (127.5 * whole * (columns - 1) / columns);  // of a mean, in 127.5
  const double down = 1 / (127.5 * whole * (rows - 1) / rows);
  const auto value = ny::custom_gradient(
      [=](std::span<const ny::Array> in) {
        return across * sum(square(neighbours(in[0], 3, 1) - in[0])) +
               down * sum(square(neighbours(in[0], 2, 1) - in[0]));
      },
      [=](const ny::Array& cotangent, std::span<const ny::Array> in, const ny::Array&) {
        const auto slope = [&](int axis) {
          return (in[0] - neighbours(in[0], axis, -1)) - (neighbours(in[0], axis, 1) - in[0]);
        };
        return std::vector<ny::Array>{2.0 * cotangent * (across * slope(3) + down * slope(2))};
      });
  return value({x});
}

}  // namespace

Targets content_targets(const Features& features) { return targets(features); }

Targets style_targets(const Features& features) {
  Features grams;
  for (const auto& [layer, f] : features) grams[layer] = gram(f);
  return targets(std::move(grams));
}

ny::Array gram(const ny::Array& features) {
  const std::int64_t channels = features.shape()[1];
  const std::int64_t places = features.shape()[2] * features.shape()[3];
  const double scale = 1.0 / static_cast<double>(channels * places);
  // F stands twice in F F^T: its gradient (C + C^T) F is one product instead of two.
  const auto product = ny::custom_gradient(
      [=](std::span<const ny::Array> in) { return matmul(in[0], transpose(in[0])) * scale; },
      [=](const ny::Array& cotangent, std::span<const ny::Array> in, const ny::Array&) {
        return std::vector<ny::Array>{matmul((cotangent + transpose(cotangent)) * scale, in[0])};
      });
  return product({reshape(features, {channels, places})});
}

Losses losses(const ny::Array& x, const Features& features, const Targets& content,
              const Targets& style, const LossWeights& weights) {
  Losses result;
  result.content = relative_distance(features, content, false, x.dtype());
  result.style = relative_distance(features, style, true, x.dtype());
  result.tv = total_variation(x);
  result.total =
      weights.content * result.content + weights.style * result.style + weights.tv * result.tv;
  return result;
}

}  // namespace style
