// The expressions whose kernels are counted.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/kernel_counts.hpp"

#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

using Arrays = std::vector<Array>;

Array random(const Shape& shape) {
  Numbers numbers(41);
  return random_array(numbers, float32, shape, -3, 3);
}

Arrays normalised_rows() {
  const Array x = random({64, 500}), centred = x - mean(x, 1, {.keepdims = true});
  return {centred / sqrt(var(x, 1, {.keepdims = true}) + 1e-5)};
}

Arrays long_chain() {
  Array x = random({100});
  for (int i = 0; i < 1000; ++i) x = x * 0.5 + 1.0;
  return {x};
}

Arrays loss_and_gradient() {
  const auto loss = [](const Array& x) { return sum(square(sin(x) * 2.0)); };
  const auto [value, gradient] = value_and_grad(loss, random({1000}));
  return {value, gradient};
}

}  // namespace

const std::vector<KernelCount>& kernel_counts() {
  static const std::vector<KernelCount> list{
      {"Chain", 1,
       [] {
         const Array x = random({100, 30});
         return Arrays{sqrt(abs(x * 2.0 + random({30})) + 1.0) - transpose(transpose(x))};
       }},
      {"ChainOfHalves", 1,
       [] {
         Numbers numbers(43);
         const Array x = random_array(numbers, float16, {100, 30}, -3, 3);
         return Arrays{sqrt(abs(x * 2.0 + x) + 1.0) - transpose(transpose(x)), softmax(x)};
       }},
      {"SeveralOutputs", 1,
       [] {
         const Array x = random({100, 30}), y = random({30});
         return Arrays{x + y, x - y, x * y};
       }},
      {"Views", 1,
       [] {
         const Array x = random({100, 30});
         return Arrays{where(x > 0, flip(x), x[{slice(), slice(std::nullopt, std::nullopt, -1)}])};
       }},
      {"Softmax", 1,
       [] {
         return Arrays{softmax(random({64, 500}))};
       }},
      {"SoftmaxOfColumns", 1,
       [] {
         return Arrays{softmax(random({64, 500}), 0)};
       }},
      {"SoftmaxOfShortRows", 1,
       [] {
         return Arrays{softmax(random({640, 5}))};
       }},
      {"LogSumExp", 1,
       [] {
         return Arrays{logsumexp(random({64, 500}), 1)};
       }},
      {"NormalisedRows", 1, normalised_rows},
      {"MeanOfSquares", 1,
       [] {
         return Arrays{mean(square(random({64, 500}) + 1.0), 1)};
       }},
      {"Sum", 1, [] { return Arrays{sum(linspace(0, 1, 1000))}; }},
      {"LongSum", 1, [] { return Arrays{sum(linspace(0, 1, 40000))}; }},
      {"SumAndAfter", 1, [] { return Arrays{sum(exp(linspace(0, 1, 1000))) * (1.0 / 1000)}; }},
      {"EqualSums", 1,
       [] {
         const Array x = random({50, 40});
         return Arrays{sum(exp(x), 1) + sum(exp(x), 1)};
       }},
      {"LongChain", 8, long_chain},
      {"Product", 1,
       [] {
         return Arrays{matmul(random({40, 30}), random({30, 20}))};
       }},
      {"ProductAndAfter", 2,
       [] {
         const Array a = random({40, 30}), b = random({30, 20});
         return Arrays{matmul(a, b) + exp(matmul(a, b))};
       }},
      {"Convolution", 1,
       [] {
         return Arrays{conv2d(random({2, 8, 10, 10}), random({8, 8, 3, 3}), {.padding = 1})};
       }},
      {"Pool", 1,
       [] {
         return Arrays{max_pool2d(random({1, 3, 8, 8}), 2)};
       }},
      {"LossAndGradient", 1, loss_and_gradient},
  };
  return list;
}

}  // namespace noyau::test
