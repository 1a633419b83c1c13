// Functions whose gradient the user writes.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/gradient_rules.hpp"

namespace noyau {

/// Inputs of its node: the function's result, then the arrays it was called with.
struct CustomGradientAttributes {
  CustomBackward backward;
};

namespace ops {

void differentiate_custom(Backward& b) {
  const auto& attributes =
      *std::get<std::shared_ptr<const CustomGradientAttributes>>(b.node.attributes);
  std::vector<Array> inputs;
  for (std::size_t i = 1; i < b.node.inputs.size(); ++i) inputs.push_back(b.input(i));
  const std::vector<Array> given = attributes.backward(b.cotangent, inputs, b.result);
  if (given.size() != inputs.size()) {
    throw ShapeError(
        fmt::format("[custom_gradient] the backward function gave {} cotangents for {} inputs: one "
                    "for each, an empty Array for zero",
                    given.size(), inputs.size()));
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i].node() == nullptr || !b.wanted[i + 1]) continue;
    if (!(given[i].shape() == inputs[i].shape())) {
      throw ShapeError(
          fmt::format("[custom_gradient] the backward function gave a cotangent of shape {} for "
                      "input {}, which "
                      "has shape {}: they must be the same",
                      to_string(given[i].shape()), i, to_string(inputs[i].shape())));
    }
    b.cotangents[i + 1] = cast(given[i], inputs[i].dtype(), {});
  }
}

}  // namespace ops

std::function<Array(std::vector<Array>)> custom_gradient(CustomFunction f,
                                                         CustomBackward backward) {
  const auto attributes = std::make_shared<const CustomGradientAttributes>(
      CustomGradientAttributes{std::move(backward)});
  return [f = std::move(f), attributes](std::vector<Array> inputs) -> Array {
    std::vector<Array> stopped;
    bool watched = false;
    for (const Array& input : inputs) {
      stopped.push_back(stop_gradient(input));
      watched = watched || input.node()->frame != 0;
    }
    const Array result = f(stopped);
    if (!watched) return result;
    inputs.insert(inputs.begin(), result);
    return make_node({.kind = NodeKind::custom_gradient,
                      .dtype = result.dtype(),
                      .shape = result.shape(),
                      .inputs = inputs,
                      .attributes = attributes,
                      .file = result.node()->file,
                      .line = result.node()->line});
  };
}

}  // namespace noyau
