// Matrix products, convolutions and pools, against the reference.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>

#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class Product : public DeviceTest {
 protected:
  Array make(const Shape& shape, DType dtype = float32) {
    return random_array(numbers_, dtype, shape, -2, 2);
  }
  Numbers numbers_{31};
};

TEST_P(Product, MatmulShapes) {
  const std::pair<Shape, Shape> shapes[] = {{{2, 3}, {3, 4}},
                                            {{1, 1}, {1, 1}},
                                            {{3}, {3}},
                                            {{3}, {3, 5}},
                                            {{4, 3}, {3}},
                                            {{17, 31}, {31, 13}},
                                            {{1, 64}, {64, 1}},
                                            {{64, 1}, {1, 64}},
                                            {{2, 3, 4}, {2, 4, 5}},
                                            {{3, 4}, {5, 4, 2}},
                                            {{5, 1, 3, 4}, {2, 4, 6}},
                                            {{0, 3}, {3, 4}},
                                            {{2, 0}, {0, 4}},
                                            {{2, 3}, {3, 0}},
                                            {{0, 2, 3}, {3, 2}},
                                            {{127, 129}, {129, 65}}};
  for (const auto& [a, b] : shapes) {
    for (DType dtype : {float32, float64, int32, uint8}) {
      EXPECT_TRUE(agrees(matmul(make(a, dtype), make(b, dtype))))
          << to_string(a) << " by " << to_string(b) << " of " << name(dtype);
    }
  }
}

TEST_P(Product, MatmulOfViewsWithProducersAndConsumers) {
  const Array a = make({33, 18}), b = make({33, 21}), wide = make({40, 66});
  const Array part = wide[{slice(1, 34), slice(0, 36, 2)}];
  EXPECT_TRUE(all_agree(std::vector<Array>{
      matmul(transpose(a), b), matmul(transpose(b), a), matmul(transpose(part), b),
      matmul(flip(transpose(a)), flip(b)), matmul(broadcast_to(a[0], {5, 18}), transpose(a)),
      matmul(exp(transpose(a)), b + 1.0), relu(matmul(transpose(a), b) + 0.5),
      matmul(matmul(transpose(a), b), transpose(b)), sum(matmul(transpose(a), b), 0)}));
}

TEST_P(Product, Convolutions) {
  struct Case {
    Shape x, weights;
    Conv2dOptions options;
  };
  const Case cases[] = {
      {{1, 1, 5, 5}, {1, 1, 3, 3}, {}},
      {{2, 3, 9, 7}, {4, 3, 3, 3}, {.padding = 1}},
      {{2, 3, 9, 8}, {4, 3, 3, 2}, {.stride = 2, .padding = {1, 0}}},
      {{1, 4, 11, 13}, {6, 2, 3, 3}, {.padding = 2, .dilation = 2, .groups = 2}},
      {{1, 6, 7, 7}, {6, 1, 3, 3}, {.stride = {1, 3}, .padding = 1, .groups = 6}},
      {{3, 16, 6, 6}, {17, 16, 1, 1}, {}},
      {{1, 3, 20, 31}, {8, 3, 7, 5}, {.stride = {2, 1}, .padding = {3, 2}}},
      {{1, 32, 14, 14}, {32, 32, 3, 3}, {.padding = 1}},
      {{1, 2, 3, 3}, {2, 2, 3, 3}, {}},
      {{0, 2, 5, 5}, {3, 2, 3, 3}, {}},
      {{2, 2, 5, 5}, {0, 2, 3, 3}, {}},
  };
  for (const Case& c : cases) {
    for (DType dtype : {float32, float64}) {
      const Array x = make(c.x, dtype), weights = make(c.weights, dtype);
      const Array y = conv2d(x, weights, c.options);
      EXPECT_TRUE(agrees(y)) << to_string(c.x) << " by " << to_string(c.weights) << name(dtype);
      const Array bias = make({c.weights[0], 1, 1}, dtype);
      EXPECT_TRUE(agrees(relu(conv2d(x, weights, c.options) + bias)));
    }
  }
}

TEST_P(Product, ConvolutionsOfViews) {
  const Array x = make({2, 9, 10, 3}), w = make({3, 3, 3, 5});
  EXPECT_TRUE(agrees(conv2d(permute(x, {0, 3, 1, 2}), permute(w, {3, 2, 0, 1}), {.padding = 1})));
  EXPECT_TRUE(agrees(conv2d(flip(permute(x, {0, 3, 1, 2})), permute(w, {3, 2, 0, 1}) * 2.0)));
}

TEST_P(Product, Pools) {
  struct Case {
    Shape x;
    Pair window;
    Pool2dOptions options;
  };
  const Case cases[] = {
      {{1, 1, 4, 4}, 2, {}},
      {{2, 3, 7, 9}, 3, {.stride = 2}},
      {{2, 3, 7, 9}, 3, {.stride = 2, .ceil_mode = true}},
      {{1, 2, 8, 8}, 3, {.stride = 2, .padding = 1, .ceil_mode = true}},
      {{1, 5, 6, 11}, {2, 3}, {.stride = {1, 2}, .padding = {0, 1}}},
      {{1, 1, 5, 5}, 5, {}},
      {{1, 1, 6, 6}, 1, {.stride = 3}},
      {{1, 2, 7, 7}, 2, {.stride = 3, .ceil_mode = true}},
      {{0, 2, 5, 5}, 2, {}},
  };
  for (const Case& c : cases) {
    for (DType dtype : {float32, float64}) {
      SCOPED_TRACE(to_string(c.x) + std::string(name(dtype)));
      const Array x = make(c.x, dtype);
      EXPECT_TRUE(agrees(max_pool2d(x, c.window, c.options)));
      EXPECT_TRUE(agrees(avg_pool2d(x, c.window, c.options)));
    }
  }
}

// Ties go to the first in row-major order and NaN is the maximum; the gradient shows where it was.
TEST_P(Product, PoolsOfTiesAndSpecialValues) {
  const Array ties = astype(random_array(numbers_, int32, {2, 3, 9, 9}, 0, 2), float32);
  EXPECT_TRUE(agrees(max_pool2d(ties, 3, {.stride = 2, .padding = 1})));
  const auto pooled_sum = [](const Array& x) { return sum(max_pool2d(x, 3, {.stride = 2})); };
  EXPECT_TRUE(agrees(grad(pooled_sum, ties)));
  const Array special = random_array(numbers_, float32, {1, 2, 12, 12}, -3, 3, 0.1);
  EXPECT_TRUE(agrees(max_pool2d(special, 2)));
  const float lowest = -std::numeric_limits<float>::infinity();
  EXPECT_TRUE(agrees(max_pool2d(full({1, 1, 4, 4}, lowest), 3, {.stride = 1, .padding = 1})));
}

// The gradients of a convolution and of pools are convolutions and pools of their own kind.
TEST_P(Product, Gradients) {
  const Array x = make({2, 4, 9, 8}), w = make({6, 2, 3, 3});
  const auto loss = [&](const Array& a, const Array& b) {
    const Array y =
        conv2d(a, b, {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2});
    return sum(y * y);
  };
  EXPECT_TRUE(agrees(grad([&](const Array& a) { return loss(a, w); }, x)));
  EXPECT_TRUE(agrees(grad([&](const Array& b) { return loss(x, b); }, w)));
  for (bool ceil_mode : {false, true}) {
    const Pool2dOptions options{.stride = 2, .padding = 1, .ceil_mode = ceil_mode};
    const auto of_maxima = [&](const Array& a) { return sum(square(max_pool2d(a, 3, options))); };
    const auto of_means = [&](const Array& a) { return sum(square(avg_pool2d(a, 3, options))); };
    EXPECT_TRUE(agrees(grad(of_maxima, x)));
    EXPECT_TRUE(agrees(grad(of_means, x)));
  }
}

NOYAU_FOR_EACH_DEVICE(Product);

}  // namespace
}  // namespace noyau::test
