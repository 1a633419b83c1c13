// Gradients of every operation against central differences, in float64, by the reference evaluator.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <thread>

#include "core/node_group.hpp"
#include "noyau/noyau.hpp"
#include "ops/build.hpp"
#include "ops/meaning.hpp"
#include "tests/common/gradient_cases.hpp"
#include "tests/common/small_stack.hpp"
#include "tests/ops/evaluate.hpp"

namespace noyau {
namespace {

using test::sample;
using test::weighted;
using test::with_small_stack;
using Function = test::GradientFunction;
using List = std::vector<double>;

double scalar(const Array& x) { return values(x).at(0); }

/// The gradient of f at x against central differences.
void check(const Function& f, const std::vector<Array>& x, double tolerance = 1e-6) {
  const std::vector<Array> gradients =
      grad([&](std::span<const Array> in) { return f(in); }, std::span<const Array>(x));
  const double h = 1e-5;
  for (std::size_t k = 0; k < x.size(); ++k) {
    ASSERT_EQ(gradients[k].shape(), x[k].shape());
    ASSERT_EQ(gradients[k].dtype(), x[k].dtype());
    const List given = values(gradients[k]);
    const List at = values(x[k]);
    for (std::size_t i = 0; i < at.size(); ++i) {
      const auto moved = [&](double by) {
        List list = at;
        list[i] += by;
        std::vector<Array> in = x;
        in[k] = array(list, x[k].shape());
        return scalar(f(in));
      };
      const double expected = (moved(h) - moved(-h)) / (2 * h);
      EXPECT_NEAR(given[i], expected, tolerance * std::max(1.0, std::abs(expected)))
          << "input " << k << ", element " << i;
    }
  }
}

/// The first and the second derivatives.
void check_twice(const Function& f, const std::vector<Array>& x, double tolerance = 1e-6) {
  check(f, x, tolerance);
  for (std::size_t k = 0; k < x.size(); ++k) {
    SCOPED_TRACE("derivative of the gradient of input " + std::to_string(k));
    check(
        [&](std::span<const Array> in) {
          return weighted(grad([&](std::span<const Array> inner) { return f(inner); }, in)[k]);
        },
        x, 10 * tolerance);
  }
}

class Gradient : public ::testing::Test {
 protected:
  DeviceScope scope_{device("null:0")};
};
struct Elementwise : Gradient, ::testing::WithParamInterface<int> {};

Array call(const ops::OpRow& row, std::uint8_t code, std::span<const Array> in) {
  const Array list[] = {in[0], in.size() > 1 ? in[1] : Array(), in.size() > 2 ? in[2] : Array()};
  return make_node({.kind = NodeKind::elementwise,
                    .code = code,
                    .dtype = float64,
                    .shape = in[0].shape(),
                    .inputs = {list, static_cast<std::size_t>(row.inputs)}});
}

TEST_P(Elementwise, AgreesWithCentralDifferences) {
  const ops::OpRow& row = ops::op_table[GetParam()];
  const auto code = static_cast<std::uint8_t>(GetParam());
  std::vector<Array> in;
  for (int k = 0; k < row.inputs; ++k) {
    in.push_back(sample({7}, row.sample_low, row.sample_high, static_cast<unsigned>(k + 3)));
  }
  check_twice([&](std::span<const Array> x) { return weighted(call(row, code, x)); }, in, 3e-6);
}

std::vector<int> differentiable() {
  std::vector<int> list;
  for (int op = 0; op < ops::op_count; ++op) {
    const ops::OpRow& row = ops::op_table[op];
    if (row.rule == ops::TypeRule::select) continue;  // in the table below
    if (ops::computes_in(row, float64) && ops::result_dtype(row, float64) == float64) {
      list.push_back(op);
    }
  }
  return list;
}
INSTANTIATE_TEST_SUITE_P(Ops, Elementwise, ::testing::ValuesIn(differentiable()),
                         [](const auto& parameter) {
                           return std::string(ops::op_table[parameter.param].name);
                         });

struct Composite : Gradient, ::testing::WithParamInterface<test::GradientCase> {};

TEST_P(Composite, AgreesWithCentralDifferences) {
  const test::GradientCase& c = GetParam();
  check_twice(c.f, c.inputs());
}
INSTANTIATE_TEST_SUITE_P(Cases, Composite, ::testing::ValuesIn(test::gradient_cases()),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST_F(Gradient, ProductsWithZerosAreRightTwice) {
  for (List list : {List{2, 0, 3, 5}, List{0, 2, 0}, List{0}, List{1, 2, 3, 4, 5}}) {
    const Array x = array(list);
    check_twice([](auto in) { return prod(in[0]); }, {x});
  }
}

TEST_F(Gradient, WhatWasNotChosenMakesNoNaN) {
  const Array x = array({0.0, 4.0});
  const auto f = [](const Array& a) { return sum(where(a > 0, sqrt(a), a)); };
  EXPECT_EQ(values(grad(f, x)), (List{1, 0.25}));
  const auto g = [](const Array& a) { return sum(where(a > 0, a * log(a), 0)); };
  EXPECT_EQ(values(grad(g, x)), (List{0, 1 + std::log(4.0)}));
  // The norm of what a slice leaves out.
  const auto h = [](const Array& a) { return sum(sqrt(a)[slice(1, 2)]); };
  EXPECT_EQ(values(grad(h, x)), (List{0, 0.25}));
  const auto second = [&](const Array& a) { return sum(grad(f, a)); };
  EXPECT_EQ(values(grad(second, x)), (List{0, -1.0 / 32}));
}

TEST_F(Gradient, PowersOfZeroAreFinite) {
  const Array zero = array({0.0}), two = array({2.0});
  const auto both = grad([](auto in) { return sum(power(in[0], in[1])); }, {zero, two});
  EXPECT_EQ(values(both[0]), (List{0}));
  EXPECT_EQ(values(both[1]), (List{0}));
  const auto constant = [](const Array& a) { return sum(power(a, 0)); };
  EXPECT_EQ(values(grad(constant, zero)), (List{0}));
  const Array zeros = array({0.0, 0.0, 0.0, 0.0}), exponents = array({0.0, 1.0, 2.0, 3.0});
  const auto f = [&](const Array& a) { return sum(power(a, exponents)); };
  EXPECT_EQ(values(grad(f, zeros)), (List{0, 1, 0, 0}));
  EXPECT_EQ(values(grad([&](const Array& a) { return sum(grad(f, a)); }, zeros)),
            (List{0, 0, 2, 0}));
}

TEST_F(Gradient, NodesMadeInAnotherThreadTakePart) {
  const Array x = array({2.0, 3.0});
  const auto f = [](const Array& a) {
    Array square;
    std::thread([&] { square = a * a; }).join();
    return sum(square);
  };
  EXPECT_EQ(values(grad(f, x)), (List{4, 6}));
}

TEST_F(Gradient, TiesGoToTheFirst) {
  const Array x = array({3.0, 1.0, 3.0, 1.0});
  EXPECT_EQ(values(grad([](const Array& a) { return max(a); }, x)), (List{1, 0, 0, 0}));
  EXPECT_EQ(values(grad([](const Array& a) { return min(a); }, x)), (List{0, 1, 0, 0}));
  EXPECT_EQ(values(grad([&](const Array& a) { return sum(maximum(a, x)); }, x)),
            (List{1, 1, 1, 1}));
  const auto pool = [](const Array& a) { return sum(max_pool2d(reshape(a, {1, 1, 2, 2}), 2)); };
  EXPECT_EQ(values(grad(pool, array({1.0, 2.0, 2.0, 2.0}))), (List{0, 1, 0, 0}));
}

TEST_F(Gradient, WhatIsNotUsedHasAGradientOfZero) {
  const Array x = array({1.0, 2.0});
  const auto both = grad([](auto in) { return sum(in[0]); }, {x, x});
  EXPECT_EQ(values(both[1]), (List{0, 0}));
  EXPECT_EQ(values(grad([](const Array&) { return full({}, 3.0); }, x)), (List{0, 0}));
  EXPECT_EQ(values(grad([](const Array& a) { return sum(stop_gradient(a) * a); }, x)),
            (List{1, 2}));
  EXPECT_EQ(values(grad([](const Array& a) { return sum(floor(a)); }, x)), (List{0, 0}));
  EXPECT_EQ(values(grad([](const Array& a) { return a[0]; }, x)), (List{1, 0}));
}

TEST_F(Gradient, ValueAndVjpAndOneElementResults) {
  const Array x = array({1.0, 2.0});
  const auto [value, gradient] = value_and_grad(
      [](const Array& a) {
        return reshape(sum(a * a), {1, 1});
      },
      x);
  EXPECT_EQ(values(value), (List{5}));
  EXPECT_EQ(values(gradient), (List{2, 4}));
  EXPECT_EQ(members_of_group(*value.node()).size(), 2u);
  EXPECT_EQ(values(vjp([](const Array& a) { return a * a; }, x, array({1.0, 10.0}))),
            (List{2, 40}));
  EXPECT_EQ(grad([](const Array& a) { return sum(a); }, ones({3})).dtype(), float32);
}

TEST_F(Gradient, CustomGradientsReplaceTheRule) {
  const auto f = custom_gradient(
      [](std::span<const Array> in) { return exp(in[0]) * in[1]; },
      [](const Array& cotangent, std::span<const Array> in, const Array& result) {
        return std::vector<Array>{cotangent * result * 10.0, cotangent * in[0] * in[0]};
      });
  const Array x = array({1.0}), y = array({3.0});
  const auto both = grad([&](auto in) { return sum(f({in[0], in[1]})); }, {x, y});
  EXPECT_DOUBLE_EQ(values(both[0])[0], 30 * std::exp(1));
  EXPECT_EQ(values(both[1]), (List{1}));
  const auto second = grad(
      [&](auto in) {
        return grad([&](auto inner) { return sum(f({inner[0], inner[1]})); }, in)[1];
      },
      {x, y});
  EXPECT_EQ(values(second[0]), (List{2}));
  const auto wrong = custom_gradient(
      [](std::span<const Array> in) { return in[0]; },
      [](const Array&, std::span<const Array>, const Array&) { return std::vector<Array>{}; });
  EXPECT_THROW(grad([&](const Array& a) { return sum(wrong({a})); }, x), ShapeError);
}

TEST_F(Gradient, FramesNestAndKeepInputsUntilTheyClose) {
  const Array x = array({1.0, 2.0});
  Array inside;
  {
    detail::GradientFrame frame({&x, 1});
    inside = exp(frame.inputs()[0]);
    EXPECT_TRUE(is_watched(*inside.node()));
    release_inputs(*inside.node());
    EXPECT_EQ(inside.node()->inputs.size(), 1u);
    {
      detail::GradientFrame inner(frame.inputs());
      const Array both = inner.inputs()[0] * frame.inputs()[0];
      EXPECT_GT(both.node()->frame, inside.node()->frame);
      inside = both;
      release_inputs(*both.node());
    }
    EXPECT_TRUE(is_watched(*inside.node()));  // the outer frame is open
    EXPECT_EQ(inside.node()->inputs.size(), 2u);
    EXPECT_EQ((inside + 1).node()->frame, frame.inputs()[0].node()->frame);
  }
  EXPECT_FALSE(is_watched(*inside.node()));
  EXPECT_TRUE(inside.node()->inputs.empty());
  EXPECT_EQ((inside + 1).node()->frame, 0u);
  EXPECT_EQ((x + 1).node()->frame, 0u);
}

TEST_F(Gradient, MistakesAreExplained) {
  const Array x = array({1.0, 2.0});
  const auto message = [](auto f) -> std::string {
    try {
      f();
    } catch (const Error& error) {
      return error.what();
    }
    return "no exception";
  };
  std::string text = message([&] { grad([](const Array& a) { return a * a; }, x); });
  EXPECT_NE(text.find("(2,)"), std::string::npos) << text;
  EXPECT_NE(text.find("vjp"), std::string::npos) << text;
  text = message([&] { grad([](const Array& a) { return sum(a); }, arange(3)); });
  EXPECT_NE(text.find("int64"), std::string::npos) << text;
  text = message([&] { grad([](const Array& a) { return sum(astype(a, int32)); }, x); });
  EXPECT_NE(text.find("int64"), std::string::npos) << text;
  text = message([&] { vjp([](const Array& a) { return a; }, x, ones({3})); });
  EXPECT_NE(text.find("(3,)"), std::string::npos) << text;
}

TEST_F(Gradient, AMillionOperationsOnASmallStack) {
  with_small_stack([] {
    const DeviceScope scope(device("null:0"));
    const Array x = array({0.5, 0.25});
    Array gradient = grad(
        [](const Array& a) {
          Array y = a;
          for (int i = 0; i < 500'000; ++i) y = y * a + 0.5;
          return sum(y);
        },
        x);
    EXPECT_EQ(gradient.shape(), (Shape{2}));
  });
}

}  // namespace
}  // namespace noyau
