// Products by cuBLASLt, on a fake that computes plainly and checks what it is given.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/plan_counters.hpp"
#include "noyau/noyau.hpp"
#include "tests/cuda/fake/control.hpp"

namespace noyau::test {
namespace {

class CublasLt : public ::testing::Test {
 protected:
  void SetUp() override { fake_cuda::forget(); }
  void TearDown() override { EXPECT_EQ(plan_counters().made_plain, plain_); }

  static std::vector<std::string> products() {
    std::vector<std::string> calls = fake_cuda::calls();
    std::erase_if(calls, [](const std::string& c) { return !c.starts_with("matmul "); });
    return calls;
  }
  /// The same on both devices, within the rounding of sums; what cuBLASLt was asked for.
  template <class Make>
  std::vector<std::string> same(Make make, double bound = 1e-5) {
    const auto on = [&](const char* name) {
      const DeviceScope scope(device(name));
      return make().template to_vector<double>();
    };
    fake_cuda::forget();
    const auto here = on("cuda:0");
    const auto calls = products();
    const auto there = on("cpu:0");
    EXPECT_EQ(here.size(), there.size());
    for (std::size_t k = 0; k < std::min(here.size(), there.size()); ++k)
      EXPECT_NEAR(here[k], there[k], bound * (1 + std::abs(there[k]))) << k;
    return calls;
  }

 private:
  const std::int64_t plain_ = plan_counters().made_plain;
};

Array matrix(std::vector<std::int64_t> extents, int seed, DType dtype = float32) {
  std::int64_t count = 1;
  for (std::int64_t e : extents) count *= e;
  std::vector<float> all(static_cast<std::size_t>(count));
  for (std::size_t k = 0; k < all.size(); ++k)
    all[k] = static_cast<float>((static_cast<int>(k) * 5 + seed) % 17) * 0.25f - 2;
  return astype(array(all, Shape(extents)), dtype);
}

using Calls = std::vector<std::string>;

TEST_F(CublasLt, AllOrdersOfAxesWithoutCopies) {
  EXPECT_EQ(same([] {
              return matmul(matrix({6, 8}, 1), matrix({8, 12}, 2));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              return matmul(matrix({6, 8}, 1), transpose(matrix({12, 8}, 2)));
            }),
            Calls{"matmul tn batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              return matmul(transpose(matrix({8, 6}, 1)), matrix({8, 12}, 2));
            }),
            Calls{"matmul nt batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              return matmul(transpose(matrix({8, 6}, 1)), transpose(matrix({12, 8}, 2)));
            }),
            Calls{"matmul tt batch 1 compute 68 alignment 16"});
}

TEST_F(CublasLt, PartsOfArraysAndVectors) {
  // Columns 1 to 8 of a wider matrix: a leading dimension, and an address that is not aligned.
  EXPECT_EQ(same([] {
              return matmul(matrix({6, 10}, 1)[{slice(), slice(1, 9)}], matrix({8, 12}, 2));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 4"});
  EXPECT_EQ(same([] { return matmul(matrix({1, 8}, 1), matrix({8, 1}, 2)); }).size(), 1u);
  EXPECT_EQ(same([] { return matmul(matrix({7, 1}, 1), matrix({1, 5}, 2)); }).size(), 1u);
}

TEST_F(CublasLt, BatchesAndTheirBroadcasts) {
  EXPECT_EQ(same([] {
              return matmul(matrix({3, 4, 8}, 1), matrix({3, 8, 4}, 2));
            }),
            Calls{"matmul nn batch 3 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              return matmul(matrix({3, 4, 8}, 1), matrix({1, 8, 4}, 2));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});  // more rows
  EXPECT_EQ(same([] {
              return matmul(matrix({1, 4, 8}, 1), matrix({3, 8, 4}, 2));
            }),
            Calls{"matmul nn batch 3 compute 68 alignment 16"});
  // Two axes of batch that are not one: a launch for each of the outer.
  EXPECT_EQ(same([] {
              return matmul(matrix({2, 1, 4, 8}, 1), matrix({1, 3, 8, 4}, 2));
            }),
            (Calls{"matmul nn batch 3 compute 68 alignment 16",
                   "matmul nn batch 3 compute 68 alignment 16"}));
}

TEST_F(CublasLt, TheTypeOfTheSumIsTheCallers) {
  EXPECT_EQ(same(
                [] {
                  return matmul(matrix({6, 8}, 1, float64), matrix({8, 12}, 2, float64));
                },
                1e-14),
            Calls{"matmul nn batch 1 compute 70 alignment 16"});
  EXPECT_EQ(same([] {
              const Precision allowed({.tf32 = true});
              return matmul(matrix({6, 8}, 1), matrix({8, 12}, 2));
            }),
            Calls{"matmul nn batch 1 compute 77 alignment 16"});
  EXPECT_EQ(same([] {
              const Precision allowed({.tf32 = true});
              return matmul(matrix({6, 8}, 1, float64), matrix({8, 12}, 2, float64));
            }),
            Calls{"matmul nn batch 1 compute 70 alignment 16"});
  // Integers have no routine there: a generated kernel.
  EXPECT_EQ(same([] {
              return matmul(matrix({6, 8}, 1, int32), matrix({8, 12}, 2, int32));
            }),
            Calls{});
}

TEST_F(CublasLt, TheBiasIsAddedOnTheWay) {
  const auto with_bias = [](const Array& bias) {
    return matmul(matrix({6, 8}, 1), matrix({8, 12}, 2)) + bias;
  };
  EXPECT_EQ(same([&] { return with_bias(matrix({12}, 3)); }),
            Calls{"matmul nn batch 1 compute 68 alignment 16 bias"});
  // Its relu is computed by a kernel: NaN stays NaN.
  EXPECT_EQ(same([&] { return relu(with_bias(matrix({12}, 3))); }),
            Calls{"matmul nn batch 1 compute 68 alignment 16 bias"});
  EXPECT_EQ(same([&] {
              return with_bias(matrix({6, 1}, 3));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([&] {
              return with_bias(matrix({6, 12}, 3));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              const Array p = matmul(matrix({6, 8}, 1), matrix({8, 12}, 2));
              return (p + matrix({12}, 3)) * p;  // somebody else reads the product
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});
}

TEST_F(CublasLt, AShapeIsAskedForOnce) {
  const DeviceScope scope(device("cuda:0"));
  const auto asked = [] {
    const auto calls = fake_cuda::calls();
    return std::count(calls.begin(), calls.end(), "heuristic");
  };
  const Array a = matrix({5, 7}, 1), b = matrix({7, 9}, 2);
  (void)matmul(a, b).to_vector<float>();
  EXPECT_EQ(asked(), 2);                                  // for aligned addresses, and for all
  (void)(matmul(a + 1.0f, b) * 2.0f).to_vector<float>();  // another plan
  EXPECT_EQ(asked(), 2);
}

TEST_F(CublasLt, CallsBecomePartsOfGraphs) {
  const DeviceScope scope(device("cuda:0"));
  const auto runs = plan_counters().graph_runs.load(),
             failures = plan_counters().graph_failures.load();
  std::vector<Array> kept;
  const Array b = matrix({8, 8}, 2);
  std::vector<std::vector<float>> results;
  for (int k = 0; k < 4; ++k) {
    kept.push_back(matrix({6, 8}, 3));
    results.push_back((matmul(exp(kept.back()), b) * 0.5f).to_vector<float>());
  }
  for (const auto& r : results) EXPECT_EQ(r, results[0]);
  EXPECT_EQ(plan_counters().graph_runs - runs, 3);
  EXPECT_EQ(plan_counters().graph_failures, failures);
  EXPECT_EQ(products().size(), 4u);
}

}  // namespace
}  // namespace noyau::test
