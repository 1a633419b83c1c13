// Functions of every differentiable operation that is no row of ops.def, and inputs for them.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/gradient_cases.hpp"

#include <algorithm>
#include <ostream>
#include <random>

namespace noyau::test {

Array sample(const Shape& shape, double low, double high, unsigned seed, DType dtype) {
  std::mt19937 random(seed);
  std::vector<double> list;
  const auto count = static_cast<double>(shape.elements());
  for (double i = 0; i < count; ++i) {
    list.push_back(low + (high - low) * (i + 0.1 + 0.07 * (seed % 10)) / count);
  }
  std::shuffle(list.begin(), list.end(), random);
  if (dtype == float32) return array(std::vector<float>(list.begin(), list.end()), shape);
  return array(list, shape);
}

Array weighted(const Array& x) { return sum(x * sample(x.shape(), 0.5, 1.5, 99, x.dtype())); }

std::vector<Array> GradientCase::inputs(DType dtype) const {
  std::vector<Array> list;
  for (const Shape& shape : shapes) {
    list.push_back(sample(shape, low, high, static_cast<unsigned>(list.size() + 11), dtype));
  }
  return list;
}

void PrintTo(const GradientCase& c, std::ostream* out) { *out << c.name; }

const std::vector<GradientCase>& gradient_cases() {
  static const std::vector<GradientCase> cases = {
      {"broadcast", [](auto in) { return weighted(in[0] * in[1] + in[2]); }, {{3, 1}, {4}, {}}},
      {"where",
       [](auto in) { return weighted(where(in[0] > 0, in[0] * in[1], in[1])); },
       {{6}, {6}}},
      {"clamp", [](auto in) { return weighted(square(clamp(in[0], -1, in[1]))); }, {{7}, {7}}},
      {"softplus", [](auto in) { return weighted(softplus(in[0])); }, {{7}}},
      {"power_of_constants",
       [](auto in) {
         return weighted(power(in[0], 2) + power(in[0], 3) + power(in[0], 0.5) + power(in[0], -1) +
                         power(2.5, in[0]));
       },
       {{5}},
       0.5,
       3},
      {"sum", [](auto in) { return weighted(square(sum(in[0], 1))); }, {{2, 3, 2}}},
      {"sum_keepdims",
       [](auto in) {
         return weighted(in[0] / sum(square(in[0]), {0, 2}, {.keepdims = true}));
       },
       {{2, 3, 2}}},
      {"mean",
       [](auto in) {
         return weighted(square(mean(in[0], {0, -1})));
       },
       {{2, 3, 2}}},
      {"var", [](auto in) { return weighted(var(in[0], 1)); }, {{2, 5}}},
      {"prod",
       [](auto in) {
         return weighted(prod(in[0], {0, 2}));
       },
       {{2, 2, 3}}},
      {"max",
       [](auto in) {
         return weighted(square(max(in[0], {0, 2})));
       },
       {{2, 2, 3}}},
      {"min", [](auto in) { return weighted(square(min(in[0], 1))); }, {{2, 4}}},
      {"max_all", [](auto in) { return square(max(in[0])); }, {{2, 4}}},
      {"logsumexp", [](auto in) { return weighted(logsumexp(in[0], -1)); }, {{2, 4}}},
      {"softmax", [](auto in) { return weighted(softmax(in[0], 0)); }, {{3, 2}}},
      {"reshape",
       [](auto in) {
         return weighted(square(reshape(in[0], {4, 3})));
       },
       {{2, 6}}},
      {"reshape_of_transpose",
       [](auto in) {
         return weighted(square(reshape(transpose(in[0]), {4, 3})));
       },
       {{2, 6}}},
      {"permute",
       [](auto in) {
         return weighted(square(permute(in[0], {2, 0, 1})));
       },
       {{2, 3, 2}}},
      {"slice",
       [](auto in) {
         return weighted(square(in[0][{slice(1, 3), -1}]));
       },
       {{4, 3}}},
      {"slice_backwards",
       [](auto in) {
         return weighted(square(in[0][{slice(3, 0, -1), newaxis}]));
       },
       {{5, 2}}},
      {"slice_steps",
       [](auto in) {
         return weighted(square(in[0][{slice(0, 5, 2), slice(4, 0, -3)}]));
       },
       {{5, 5}}},
      {"slice_nothing", [](auto in) { return sum(in[0][slice(2, 2)]) + sum(in[0]); }, {{3}}},
      {"flip", [](auto in) { return weighted(square(flip(in[0], 1))); }, {{2, 3}}},
      {"broadcast_to",
       [](auto in) {
         return weighted(square(broadcast_to(in[0], {2, 3, 4})));
       },
       {{3, 1}}},
      {"repeat", [](auto in) { return weighted(square(repeat(in[0], 3, 0))); }, {{2, 3}}},
      {"concatenate",
       [](auto in) {
         return weighted(square(concatenate({in[0], in[1], in[0]}, 1)));
       },
       {{2, 3}, {2, 1}}},
      {"stack",
       [](auto in) {
         return weighted(square(stack({in[0], in[1]}, -1)));
       },
       {{3}, {3}}},
      {"roll",
       [](auto in) {
         return weighted(square(roll(in[0], {1, -2}, {0, 1})));
       },
       {{2, 5}}},
      {"pad_constant",
       [](auto in) {
         return weighted(square(pad(in[0], {{1, 2}, {0, 1}}, Pad::constant, 3)));
       },
       {{2, 3}}},
      {"pad_edge",
       [](auto in) {
         return weighted(square(pad(in[0], {{2, 1}, {0, 3}}, Pad::edge)));
       },
       {{2, 3}}},
      {"pad_reflect",
       [](auto in) {
         return weighted(square(pad(in[0], {{2, 2}, {1, 0}}, Pad::reflect)));
       },
       {{3, 4}}},
      {"set",
       [](auto in) {
         return weighted(square(set(in[0], {slice(), slice(4, 0, -2)}, in[1])));
       },
       {{2, 5}, {2}}},
      {"matmul", [](auto in) { return weighted(square(matmul(in[0], in[1]))); }, {{2, 3}, {3, 2}}},
      {"matmul_batches",
       [](auto in) { return weighted(square(matmul(in[0], in[1]))); },
       {{2, 1, 2, 3}, {2, 3, 1}}},
      {"matmul_one_matrix",
       [](auto in) { return weighted(square(matmul(in[0], in[1]))); },
       {{2, 2, 3}, {3, 2}}},
      {"matmul_vectors", [](auto in) { return square(matmul(in[0], in[1])); }, {{3}, {3}}},
      {"outer", [](auto in) { return weighted(square(outer(in[0], in[1]))); }, {{3}, {2}}},
      {"convolution",
       [](auto in) {
         return weighted(square(conv2d(in[0], in[1], {.padding = {1, 0}})));
       },
       {{1, 2, 4, 4}, {2, 2, 3, 2}}},
      {"convolution_stride_groups",
       [](auto in) {
         return weighted(square(
             conv2d(in[0], in[1], {.stride = 2, .padding = 1, .dilation = {1, 2}, .groups = 2})));
       },
       {{2, 2, 5, 5}, {2, 1, 2, 2}}},
      {"max_pool",
       [](auto in) { return weighted(square(max_pool2d(in[0], 2, {.stride = 1, .padding = 1}))); },
       {{1, 2, 3, 3}}},
      {"max_pool_ceil",
       [](auto in) {
         return weighted(square(max_pool2d(in[0], 3, {.stride = 2, .ceil_mode = true})));
       },
       {{1, 1, 6, 4}}},
      {"avg_pool",
       [](auto in) {
         return weighted(
             square(avg_pool2d(in[0], 3, {.stride = 2, .padding = 1, .ceil_mode = true})));
       },
       {{1, 1, 5, 4}}},
      {"cast",
       [](auto in) {
         return weighted(square(astype(in[0], float32) + astype(in[0] > 0, float32)));
       },
       {{4}}},
      {"used_often",
       [](auto in) {
         const Array y = exp(in[0]);
         return weighted(y * y + y * in[0] + sum(y) * y);
       },
       {{4}}},
  };
  return cases;
}

}  // namespace noyau::test
