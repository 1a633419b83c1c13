// Gradients computed by each device, against the reference evaluator's values of the same graph.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "tests/common/devices.hpp"
#include "tests/common/gradient_cases.hpp"
#include "tests/ops/evaluate.hpp"

namespace noyau::test {
namespace {

class DeviceGradient : public DeviceTest {};

void check(const GradientCase& c, const std::vector<Array>& in, DType dtype) {
  const auto f = [&](std::span<const Array> x) { return c.f(x); };
  const std::vector<Array> gradients = grad(f, std::span<const Array>(in));
  std::vector<std::vector<double>> expected;
  for (const Array& g : gradients) expected.push_back(values(g));
  for (std::size_t k = 0; k < gradients.size(); ++k) {
    std::vector<double> got;
    ASSERT_NO_THROW(got = gradients[k].to_vector<double>());
    ASSERT_EQ(got.size(), expected[k].size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double tolerance = dtype == float32 || c.name == std::string("cast") ? 3e-5 : 1e-12;
      EXPECT_NEAR(got[i], expected[k][i], tolerance * std::max(1.0, std::abs(expected[k][i])))
          << "input " << k << ", element " << i;
    }
  }
}

TEST_P(DeviceGradient, AgreeWithTheReference) {
  for (const GradientCase& c : gradient_cases()) {
    for (DType dtype : {float32, float64}) {
      SCOPED_TRACE(std::string(c.name) + " of " + std::string(name(dtype)));
      check(c, c.inputs(dtype), dtype);
    }
  }
}

TEST_P(DeviceGradient, ValuesMayBeReadInside) {
  const Array x = array({1.0, 2.0, 3.0});
  std::vector<double> seen;
  const auto f = [&](const Array& a) {
    const Array y = exp(a) * a;
    seen.push_back(y[1].item<double>());
    y.eval();
    const Array z = sum(y * y) + sum(a);
    seen.push_back(z.item<double>());
    return z;
  };
  const Array g = grad(f, x);
  EXPECT_NEAR(seen.at(0), 2 * std::exp(2), 1e-12);
  for (std::size_t i = 0; i < 3; ++i) {
    const double v = static_cast<double>(i + 1), y = v * std::exp(v);
    EXPECT_NEAR(g.to_vector<double>()[i], 2 * y * (y + std::exp(v)) + 1, 1e-9 * y * y);
  }
  // Again, with a gradient inside a gradient that is read.
  const auto slope = [&](const Array& a) {
    const Array inner = grad([](const Array& b) { return sum(b * b * b); }, a);
    EXPECT_NEAR(inner[2].item<double>(), 27, 1e-12);
    return sum(inner);
  };
  EXPECT_NEAR(grad(slope, x)[1].item<double>(), 12, 1e-12);
}

TEST_P(DeviceGradient, ALoopOfStepsKeepsNoHistory) {
  Array w = array({1.0, -2.0});
  for (int step = 0; step < 50; ++step) {
    const auto [value, gradient] = value_and_grad([](const Array& a) { return sum(a * a); }, w);
    w = w - 0.1 * gradient;
    w.eval();
    EXPECT_TRUE(w.node()->inputs.empty());
    EXPECT_TRUE(value.node()->is_evaluated() && gradient.node()->is_evaluated());
  }
  EXPECT_NEAR(w[0].item<double>(), std::pow(0.8, 50), 1e-12);
}

NOYAU_FOR_EACH_DEVICE(DeviceGradient);

}  // namespace
}  // namespace noyau::test
