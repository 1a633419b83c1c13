// Gradients: reverse mode over the graph, by rules written in the library's own operations.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "noyau/array.hpp"

namespace noyau {

/// x, with a gradient of zero.
Array stop_gradient(Operand x);

namespace detail {
/// A gradient frame: its inputs are watched while it is open; nodes that depend on it keep their
/// inputs.
class GradientFrame {
 public:
  explicit GradientFrame(std::span<const Array> inputs);
  ~GradientFrame();
  GradientFrame(const GradientFrame&) = delete;
  GradientFrame& operator=(const GradientFrame&) = delete;
  const std::vector<Array>& inputs() const { return inputs_; }  ///< the watched ones
  /// Gradients of `result` (floating) with respect to the inputs; `cotangent` empty: ones, and
  /// result must have one element.
  std::vector<Array> gradients(const Array& result, const Array& cotangent) const;

 private:
  std::vector<Array> inputs_;
  std::uint64_t id_;
};
/// Marks arrays as results of one call: a plan that contains one of them evaluates all that are
/// alive.
void group_results(std::span<const Array> results);
}  // namespace detail

/// The gradient of f (Array -> Array of one element) at x: an array of x's shape and dtype. Values
/// may be read inside f. ShapeError when the result has more than one element, DtypeError when x is
/// not floating.
template <class F>
Array grad(F&& f, const Array& x) {
  detail::GradientFrame frame({&x, 1});
  return frame.gradients(f(frame.inputs()[0]), {})[0];
}
template <class F>
std::vector<Array> grad(F&& f, std::span<const Array> x) {
  detail::GradientFrame frame(x);
  std::vector<Array> gradients = frame.gradients(f(std::span<const Array>(frame.inputs())), {});
  detail::group_results(gradients);
  return gradients;
}
template <class F>
std::vector<Array> grad(F&& f, std::initializer_list<Array> x) {
  return grad(std::forward<F>(f), std::span<const Array>(x.begin(), x.size()));
}

/// {f(x), gradient}.
template <class F>
std::pair<Array, Array> value_and_grad(F&& f, const Array& x) {
  detail::GradientFrame frame({&x, 1});
  Array value = f(frame.inputs()[0]);
  std::pair<Array, Array> results{value, frame.gradients(value, {})[0]};
  const Array group[] = {results.first, results.second};
  detail::group_results(group);
  return results;
}
template <class F>
std::pair<Array, std::vector<Array>> value_and_grad(F&& f, std::span<const Array> x) {
  detail::GradientFrame frame(x);
  Array value = f(std::span<const Array>(frame.inputs()));
  std::pair<Array, std::vector<Array>> results{value, frame.gradients(value, {})};
  std::vector<Array> group = results.second;
  group.push_back(value);
  detail::group_results(group);
  return results;
}
template <class F>
std::pair<Array, std::vector<Array>> value_and_grad(F&& f, std::initializer_list<Array> x) {
  return value_and_grad(std::forward<F>(f), std::span<const Array>(x.begin(), x.size()));
}

/// The product of `cotangent` (of the result's shape) with the Jacobian of f at x.
template <class F>
Array vjp(F&& f, const Array& x, const Array& cotangent) {
  detail::GradientFrame frame({&x, 1});
  return frame.gradients(f(frame.inputs()[0]), cotangent)[0];
}

using CustomFunction = std::function<Array(std::span<const Array> inputs)>;
/// cotangent of the result, the inputs, the result -> a cotangent for each input.
using CustomBackward = std::function<std::vector<Array>(
    const Array& cotangent, std::span<const Array> inputs, const Array& result)>;
/// A function whose gradient is `backward`'s instead of the one of what f does.
std::function<Array(std::vector<Array>)> custom_gradient(CustomFunction f, CustomBackward backward);

}  // namespace noyau
