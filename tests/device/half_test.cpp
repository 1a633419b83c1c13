// float16 and bfloat16 on every device: conversions bit by bit, operations rounded once, what is
// composed in float32.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/halves.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

constexpr DType halves[] = {float16, bfloat16};

Array of_bits(DType half, const std::vector<std::uint16_t>& bits) {
  return detail::make_array_checked(bits.data(), bits.size(), half,
                                    {static_cast<std::int64_t>(bits.size())}, half);
}
std::vector<std::uint16_t> bits_of(const Array& x) {
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(x.size()));
  detail::read_values(x, bits.data(), x.dtype());
  return bits;
}
Array every(DType half) {
  std::vector<std::uint16_t> bits(0x10000);
  for (std::size_t k = 0; k < bits.size(); ++k) bits[k] = static_cast<std::uint16_t>(k);
  return of_bits(half, bits);
}

class Half : public DeviceTest {
 protected:
  /// The device's rounding of these numbers is the nearest of all.
  template <class T>
  void expect_rounded(const std::vector<T>& numbers, DType half) {
    const std::vector<std::uint16_t> got = bits_of(astype(array(numbers), half));
    std::size_t wrong = 0;
    for (std::size_t k = 0; k < numbers.size(); ++k) {
      const std::uint16_t want = nearest_half(half, static_cast<long double>(numbers[k]));
      if (same_half(half, got[k], want) || ++wrong > 5) continue;
      ADD_FAILURE() << name(half) << " of " << numbers[k] << " is " << std::hex << got[k]
                    << " instead of " << want;
    }
    EXPECT_EQ(wrong, 0u);
  }
};

TEST_P(Half, EveryPatternWidensAndComesBack) {
  for (DType half : halves) {
    const Array x = every(half), wide = astype(x, float32), back = astype(copy(wide), half);
    eval({wide, back, copy(x)});
    const std::vector<float> floats = wide.to_vector<float>();
    const std::vector<std::uint16_t> again = bits_of(back);
    for (std::size_t k = 0; k < floats.size(); ++k) {
      const auto bits = static_cast<std::uint16_t>(k);
      const double want = half_value(half, bits);
      ASSERT_TRUE(same_half(half, again[k], bits)) << name(half) << ' ' << k << ' ' << again[k];
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(floats[k])) << name(half) << ' ' << k;
      } else {
        ASSERT_EQ(floats[k], want) << name(half) << ' ' << k;
        ASSERT_EQ(std::signbit(floats[k]), std::signbit(want)) << name(half) << ' ' << k;
      }
    }
    // Nothing is computed: every bit stays, those of NaN too.
    EXPECT_EQ(bits_of(copy(x)), bits_of(x));
  }
}

TEST_P(Half, FloatsRoundToTheNearest) {
  const std::vector<float> floats = floats_to_round(std::size_t{1} << 20);
  for (DType half : halves) expect_rounded(floats, half);
}

TEST_P(Half, WiderNumbersRoundOnce) {
  for (DType half : halves) {
    expect_rounded(doubles_to_round(half), half);
    const std::vector<std::int64_t> integers = integers_to_round();
    expect_rounded(integers, half);
    expect_rounded(std::vector<std::uint64_t>(integers.begin(), integers.end()), half);
    std::vector<std::int32_t> narrow;
    for (std::int64_t v : integers) narrow.push_back(static_cast<std::int32_t>(v));
    expect_rounded(narrow, half);
    expect_rounded(std::vector<std::uint32_t>(narrow.begin(), narrow.end()), half);
    expect_rounded(std::vector<std::int16_t>(narrow.begin(), narrow.end()), half);
  }
}

TEST_P(Half, EachOperationOfAChainRounds) {
  for (DType half : halves) {
    const std::vector<float> floats = {0.1f, 1, 3, 1000, -0.3f, 60000, 2049, 1e-5f};
    const Array x = astype(array(floats), half);
    x.wait();
    const Array y = (x + 1.0) * 0.1 - x;
    EXPECT_EQ(y.dtype(), half);
    const std::vector<std::uint16_t> got = bits_of(y);
    const auto rounded = [half](float v) {
      return static_cast<float>(half_value(half, nearest_half(half, v)));
    };
    for (std::size_t k = 0; k < floats.size(); ++k) {
      const float v = rounded(floats[k]);
      const float want = rounded(rounded(v + 1) * rounded(0.1f)) - v;
      EXPECT_EQ(got[k], nearest_half(half, want)) << name(half) << ' ' << floats[k];
    }
  }
}

TEST_P(Half, CompositesRoundOnce) {
  Numbers numbers(3);
  for (DType half : halves) {
    const Array x = random_array(numbers, half, {9, 300}, -3, 3);
    const Array wide = astype(x, float32);
    const std::pair<Array, Array> pairs[] = {
        {mean(x, 1), mean(wide, 1)},
        {var(x, 1), var(wide, 1)},
        {logsumexp(x, 0), logsumexp(wide, 0)},
        {softmax(x), softmax(wide)},
        {softplus(x), softplus(wide)},
        {sum(x), sum(wide)},
        {prod(x * 0.5, 0), prod(astype(x * 0.5, float32), 0)},
        {matmul(x, transpose(x)), matmul(wide, transpose(wide))},
        {image::resize(reshape(x, {30, 30, 3}), 17, 41),
         image::resize(reshape(wide, {30, 30, 3}), 17, 41)},
    };
    for (std::size_t k = 0; k < std::size(pairs); ++k) {
      EXPECT_EQ(pairs[k].first.dtype(), half);
      EXPECT_EQ(bits_of(pairs[k].first), bits_of(astype(pairs[k].second, half)))
          << name(half) << ' ' << k;
    }
    EXPECT_EQ(argmax(x, 1).to_vector<std::int64_t>(), argmax(wide, 1).to_vector<std::int64_t>());
  }
}

TEST_P(Half, ProductsConvolutionsAndPools) {
  Numbers numbers(4);
  for (DType half : halves) {
    const Array a = random_array(numbers, half, {33, 47}, -1, 1),
                b = random_array(numbers, half, {47, 21}, -1, 1),
                v = random_array(numbers, half, {47}, -1, 1);
    const Array x = random_array(numbers, half, {2, 4, 9, 8}, -1, 1),
                w = random_array(numbers, half, {6, 2, 3, 3}, -1, 1);
    const std::vector<Array> results = {
        matmul(a, b),
        matmul(a, v),
        relu(conv2d(x, w, {.padding = 1, .groups = 2}) + 0.5),
        max_pool2d(x, 2),
        avg_pool2d(x, 3, {.stride = 2, .padding = 1}),
        matmul(a, astype(b, float32)),
    };
    for (std::size_t k = 0; k < 5; ++k) EXPECT_EQ(results[k].dtype(), half);
    EXPECT_EQ(results[5].dtype(), float32);
    EXPECT_TRUE(all_agree(results)) << name(half);
  }
}

/// |a - b| <= tolerance * (1 + |b|) everywhere.
void expect_near(const Array& a, const Array& b, double tolerance, const std::string& what) {
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  ASSERT_EQ(x.size(), y.size());
  for (std::size_t k = 0; k < x.size(); ++k) {
    EXPECT_NEAR(x[k], y[k], tolerance * (1 + std::fabs(y[k]))) << what << " element " << k;
  }
}

// Of a function of a dozen operations, each rounded by half a unit in the last place, and
// cotangents likewise: within 32 units of the gradient of the same function in float32.
TEST_P(Half, Gradients) {
  Numbers numbers(5);
  for (DType half : halves) {
    const double unit = half == float16 ? 0x1p-10 : 0x1p-7;
    using List = std::span<const Array>;
    const auto expect_gradients = [&](const std::string& what, auto f, std::vector<Array> inputs) {
      std::vector<Array> wide;
      for (const Array& x : inputs) wide.push_back(astype(x, float32));
      const std::vector<Array> got = grad(f, List(inputs)), want = grad(f, List(wide));
      for (std::size_t k = 0; k < got.size(); ++k) {
        EXPECT_EQ(got[k].dtype(), half) << what;
        expect_near(got[k], want[k], 32 * unit, what + " of " + std::string(name(half)));
      }
    };
    const Array x = random_array(numbers, half, {6, 5}, 0.5, 1.5),
                y = random_array(numbers, half, {5}, 0.5, 1.5),
                m = random_array(numbers, half, {5, 4}, -0.5, 0.5);
    expect_gradients("elementwise",
                     [](List v) { return sum(exp(-v[0]) * v[1] / (1 + v[0] * v[0]) + sqrt(v[1])); },
                     {x, y});
    expect_gradients(
        "reductions",
        [](List v) { return mean(softmax(v[0]) * v[1]) + max(v[0] * v[0]) + var(v[1]); }, {x, y});
    expect_gradients("product", [](List v) { return mean(tanh(matmul(v[0], v[1]))); }, {x, m});
    expect_gradients(
        "movement",
        [](List v) {
          const Array padded = pad(v[0], {{1, 1}, {2, 0}}, Pad::reflect);
          const Array part = set(padded, {slice(1, 3), 2}, 1.0)[{slice(0, 6, 2), slice()}];
          return mean(concatenate({roll(part, 1, 1), flip(part)}, 0) * 2.0);
        },
        {x});
    const Array image = random_array(numbers, half, {1, 2, 6, 6}, 0, 1),
                w = random_array(numbers, half, {3, 2, 3, 3}, -0.5, 0.5);
    expect_gradients("images",
                     [](List v) {
                       return mean(max_pool2d(conv2d(v[0], v[1], {.padding = 1}), 2)) +
                              mean(avg_pool2d(v[0], 2));
                     },
                     {image, w});
  }
}

TEST_P(Half, CreationAndRandomNumbers) {
  for (DType half : halves) {
    EXPECT_EQ(zeros({3}, half).to_vector<float>(), (std::vector<float>{0, 0, 0}));
    EXPECT_EQ(full({}, 0.1, half).item<float>(),
              static_cast<float>(half_value(half, nearest_half(half, 0.1))));
    EXPECT_EQ(arange(0, 5, 2, half).to_vector<float>(), (std::vector<float>{0, 2, 4}));
    EXPECT_EQ(linspace(0, 1, 3, half).to_vector<float>(), (std::vector<float>{0, 0.5, 1}));
    const Array u = random::Generator(7).uniform({20000}, half);
    EXPECT_EQ(u.dtype(), half);
    EXPECT_EQ(min(u).item<float>(), 0);
    const float digit = half == float16 ? 0x1p-11f : 0x1p-8f;
    EXPECT_EQ(max(u).item<float>(), 1 - digit);
    EXPECT_NEAR(mean(astype(u, float32)).item<float>(), 0.5, 0.01);
    const Array normal = random::Generator(7).normal({20000}, half);
    EXPECT_EQ(bits_of(normal), bits_of(astype(random::Generator(7).normal({20000}), half)));
    random::Generator generator(9);
    const Array several = generator.uniform({1000}, -2, 3, half);
    EXPECT_EQ(generator.calls(), 1u);
    EXPECT_GE(min(several).item<float>(), -2);
    EXPECT_LT(max(several).item<float>(), 3);
    // Most of what float32 has in [1, 2) is rounded to a half, and some would be to 2.
    EXPECT_EQ(max(generator.uniform({20000}, 1, 2, half)).item<float>(), 2 - 2 * digit);
    EXPECT_EQ(max(generator.uniform({20000}, -2, -1, half)).item<float>(), -1 - 2 * digit);
  }
}

// Where elements of 16 bits are accessed side by side: lengths around every vector's.
TEST_P(Half, EveryLength) {
  Numbers numbers(6);
  for (DType half : halves) {
    std::vector<Array> results;
    for (std::int64_t n : {1, 2, 7, 8, 9, 31, 32, 33, 64, 127, 1000, 4099}) {
      const Array x = random_array(numbers, half, {n}), y = random_array(numbers, half, {n});
      results.push_back(x * y + 1.0);
      results.push_back(flip(x) + y);
      results.push_back(sum(x * y));
    }
    const Array m = random_array(numbers, half, {70, 90});
    results.push_back(transpose(m) + 1.0);
    results.push_back(softmax(m));
    results.push_back(sum(m, 0));
    EXPECT_TRUE(all_agree(results)) << name(half);
  }
}

NOYAU_FOR_EACH_DEVICE(Half);

}  // namespace
}  // namespace noyau::test
