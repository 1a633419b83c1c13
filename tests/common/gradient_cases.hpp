// Functions of every differentiable operation that is no row of ops.def, and inputs for them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <iosfwd>
#include <span>
#include <vector>

#include "noyau/noyau.hpp"

namespace noyau::test {

using GradientFunction = std::function<Array(std::span<const Array>)>;

struct GradientCase {
  const char* name;
  GradientFunction f;  ///< to one number
  std::vector<Shape> shapes;
  double low = -2, high = 2;
  std::vector<Array> inputs(DType dtype = float64) const;  ///< on the default device
};
void PrintTo(const GradientCase& c, std::ostream* out);
const std::vector<GradientCase>& gradient_cases();

/// An array of distinct numbers in [low, high], in no order: float32 or float64.
Array sample(const Shape& shape, double low = -2, double high = 2, unsigned seed = 1,
             DType dtype = float64);
/// A number that depends on every element of x in its own way.
Array weighted(const Array& x);

}  // namespace noyau::test
