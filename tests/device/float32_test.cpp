// Every operation without float64, which many GPUs lack: nothing but an array of float64 may need
// it. Devices that have float64 show this when NOYAU_OPENCL_POSE=float32 takes it from them.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/gradient_cases.hpp"
#include "tests/common/values.hpp"
#include "tests/ops/evaluate.hpp"

namespace noyau::test {
namespace {

using Arrays = std::vector<Array>;

class Float32 : public DeviceTest {
 protected:
  Array make(const Shape& shape, DType dtype = float32) {
    return random_array(numbers_, dtype, shape, 0.1, 3);
  }
  Numbers numbers_{77};
};

std::vector<DType> dtypes() {
  std::vector<DType> list;
  for (const DType dtype : all_dtypes)
    if (dtype != float64) list.push_back(dtype);
  return list;
}

/// A quotient of int32 is float64, say.
Arrays without_float64(Arrays arrays) {
  std::erase_if(arrays, [](const Array& a) { return a.dtype() == float64; });
  return arrays;
}

TEST_P(Float32, Elementwise) {
  for (const DType dtype : dtypes()) {
    Arrays results;
    for (int code = 0; code < ops::op_count; ++code) {
      const ops::OpRow& row = ops::op_table[code];
      const std::vector<DType> taken = dtypes_of(row.rule);
      if (std::find(taken.begin(), taken.end(), dtype) == taken.end()) continue;
      Arrays inputs;
      for (int k = 0; k < row.inputs; ++k) {
        const bool condition = row.rule == ops::TypeRule::select && k == 0;
        inputs.push_back(random_array(numbers_, condition ? bool_ : dtype, {67}, row.sample_low,
                                      row.sample_high));
      }
      results.push_back(call(static_cast<ops::ElementwiseOp>(code), inputs));
    }
    EXPECT_TRUE(all_agree(without_float64(results))) << name(dtype);
  }
}

TEST_P(Float32, CastsAndScalars) {
  Arrays results;
  for (const DType from : dtypes()) {
    const Array x = make({19}, from);
    for (const DType to : dtypes()) results.push_back(astype(x, to));
    results.push_back(x == 3);
    results.push_back(where(x > 1, x, 0));
    if (from != bool_) results.push_back(x + 1);
  }
  const Array x = make({19});
  for (const double exponent : {2.0, 0.5, -1.0, 3.0, 1.5}) results.push_back(power(x, exponent));
  for (const Array& r : {x * 2.5, 0.1 - x, clamp(x, 0.3, 0.7), softplus(x), x / 3}) {
    results.push_back(r);
  }
  EXPECT_TRUE(all_agree(without_float64(results)));
}

TEST_P(Float32, Reductions) {
  for (const DType dtype : {float32, int32, int64, bool_}) {
    const Array x = make({37, 300}, dtype);
    for (const Axes& axes : {Axes(0), Axes(1), Axes()}) {
      Arrays results = {sum(x, axes), any(x, axes), all(x, axes), argmax(x, axes), argmin(x, axes)};
      if (dtype != bool_) {
        for (const Array& r : {prod(x, axes), min(x, axes), max(x, axes)}) results.push_back(r);
      }
      if (dtype == float32) {
        for (const Array& r : {mean(x, axes), var(x, axes), logsumexp(x, axes), softmax(x, axes)}) {
          results.push_back(r);
        }
      }
      EXPECT_TRUE(all_agree(results)) << name(dtype);
    }
  }
}

TEST_P(Float32, MovementAndCreation) {
  const Array x = make({6, 7});
  random::Generator random(5);
  EXPECT_TRUE(all_agree(Arrays{transpose(x),
                               flip(x),
                               x[{slice(5, 1, -2), slice(1, 6, 2)}] * 2.0,
                               repeat(x, 3, 1),
                               roll(x, {2, -3}, {0, 1}),
                               concatenate({x, x * 0.5}),
                               stack({x, x + 1.0}, 1),
                               pad(x, {{1, 2}, {2, 0}}, Pad::constant, 0.1),
                               pad(x, {{1, 2}, {2, 0}}, Pad::reflect),
                               set(x, {slice(1, 3)}, 0.1),
                               zeros({3}),
                               full({5}, 0.1),
                               eye(3),
                               arange(0.0, 3.0, 0.1),
                               arange(100),
                               arange(0, 60, 3, float32),
                               linspace(-1, 3, 1001),
                               random.uniform({99}),
                               random.uniform({99}, -0.1, 0.3),
                               random.normal({99}),
                               random.integers(-5, 50, {99}, int32),
                               outer(x[0], x[1])}));
}

TEST_P(Float32, ProductsAndWindows) {
  const Array image = make({2, 4, 12, 10});
  EXPECT_TRUE(all_agree(
      Arrays{matmul(make({33, 20}), make({20, 17})), matmul(make({3, 5, 4}), make({4})),
             conv2d(image, make({6, 4, 3, 3}), {.padding = 1}),
             conv2d(image, make({8, 2, 3, 3}), {.stride = 2, .groups = 2}),
             max_pool2d(image, 3, {.stride = 2, .ceil_mode = true}), avg_pool2d(image, 2)}));
  for (const Resize method : {Resize::nearest, Resize::bilinear, Resize::bicubic}) {
    EXPECT_NO_THROW(image::resize(make({9, 8, 3}), 13, 5, method).to_vector<float>());
  }
}

TEST_P(Float32, Gradients) {
  for (const GradientCase& c : gradient_cases()) {
    SCOPED_TRACE(c.name);
    const Arrays gradients = grad([&](std::span<const Array> x) { return c.f(x); },
                                  std::span<const Array>(c.inputs(float32)));
    for (const Array& gradient : gradients) {
      EXPECT_NO_THROW(gradient.to_vector<double>());  // the host converts
    }
  }
}

NOYAU_FOR_EACH_DEVICE(Float32);

}  // namespace
}  // namespace noyau::test
