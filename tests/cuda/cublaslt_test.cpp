// Products by cuBLASLt, on a fake that computes plainly and checks what it is given.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/compare.hpp"

namespace noyau::test {
namespace {

class CublasLt : public VendorTest {};

TEST_F(CublasLt, AllOrdersOfAxesWithoutCopies) {
  EXPECT_EQ(same([] {
              return matmul(filled({6, 8}, 1), filled({8, 12}, 2));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              return matmul(filled({6, 8}, 1), transpose(filled({12, 8}, 2)));
            }),
            Calls{"matmul tn batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              return matmul(transpose(filled({8, 6}, 1)), filled({8, 12}, 2));
            }),
            Calls{"matmul nt batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              return matmul(transpose(filled({8, 6}, 1)), transpose(filled({12, 8}, 2)));
            }),
            Calls{"matmul tt batch 1 compute 68 alignment 16"});
}

TEST_F(CublasLt, PartsOfArraysAndVectors) {
  // Columns 1 to 8 of a wider matrix: a leading dimension, and an address that is not aligned.
  EXPECT_EQ(same([] {
              return matmul(filled({6, 10}, 1)[{slice(), slice(1, 9)}], filled({8, 12}, 2));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 4"});
  EXPECT_EQ(same([] { return matmul(filled({1, 8}, 1), filled({8, 1}, 2)); }).size(), 1u);
  EXPECT_EQ(same([] { return matmul(filled({7, 1}, 1), filled({1, 5}, 2)); }).size(), 1u);
}

TEST_F(CublasLt, BatchesAndTheirBroadcasts) {
  EXPECT_EQ(same([] {
              return matmul(filled({3, 4, 8}, 1), filled({3, 8, 4}, 2));
            }),
            Calls{"matmul nn batch 3 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              return matmul(filled({3, 4, 8}, 1), filled({1, 8, 4}, 2));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});  // more rows
  EXPECT_EQ(same([] {
              return matmul(filled({1, 4, 8}, 1), filled({3, 8, 4}, 2));
            }),
            Calls{"matmul nn batch 3 compute 68 alignment 16"});
  // Two axes of batch that are not one: a launch for each of the outer.
  EXPECT_EQ(same([] {
              return matmul(filled({2, 1, 4, 8}, 1), filled({1, 3, 8, 4}, 2));
            }),
            (Calls{"matmul nn batch 3 compute 68 alignment 16",
                   "matmul nn batch 3 compute 68 alignment 16"}));
}

TEST_F(CublasLt, TheTypeOfTheSumIsTheCallers) {
  EXPECT_EQ(same(
                [] {
                  return matmul(filled({6, 8}, 1, float64), filled({8, 12}, 2, float64));
                },
                1e-14),
            Calls{"matmul nn batch 1 compute 70 alignment 16"});
  EXPECT_EQ(same([] {
              const Precision allowed({.tf32 = true});
              return matmul(filled({6, 8}, 1), filled({8, 12}, 2));
            }),
            Calls{"matmul nn batch 1 compute 77 alignment 16"});
  EXPECT_EQ(same([] {
              const Precision allowed({.tf32 = true});
              return matmul(filled({6, 8}, 1, float64), filled({8, 12}, 2, float64));
            }),
            Calls{"matmul nn batch 1 compute 70 alignment 16"});
  // Integers have no routine there: a generated kernel.
  EXPECT_EQ(same([] {
              return matmul(filled({6, 8}, 1, int32), filled({8, 12}, 2, int32));
            }),
            Calls{});
}

TEST_F(CublasLt, TheBiasIsAddedOnTheWay) {
  const auto with_bias = [](const Array& bias) {
    return matmul(filled({6, 8}, 1), filled({8, 12}, 2)) + bias;
  };
  EXPECT_EQ(same([&] { return with_bias(filled({12}, 3)); }),
            Calls{"matmul nn batch 1 compute 68 alignment 16 bias"});
  // Its relu is computed by a kernel: NaN stays NaN.
  EXPECT_EQ(same([&] { return relu(with_bias(filled({12}, 3))); }),
            Calls{"matmul nn batch 1 compute 68 alignment 16 bias"});
  EXPECT_EQ(same([&] {
              return with_bias(filled({6, 1}, 3));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([&] {
              return with_bias(filled({6, 12}, 3));
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});
  EXPECT_EQ(same([] {
              const Array p = matmul(filled({6, 8}, 1), filled({8, 12}, 2));
              return (p + filled({12}, 3)) * p;  // somebody else reads the product
            }),
            Calls{"matmul nn batch 1 compute 68 alignment 16"});
}

TEST_F(CublasLt, AShapeIsAskedForOnce) {
  const DeviceScope scope(device("cuda:0"));
  const Array a = filled({5, 7}, 1), b = filled({7, 9}, 2);
  (void)matmul(a, b).to_vector<float>();
  EXPECT_EQ(heuristics(), 2);                             // for aligned addresses, and for all
  (void)(matmul(a + 1.0f, b) * 2.0f).to_vector<float>();  // another plan
  EXPECT_EQ(heuristics(), 2);
}

TEST_F(CublasLt, CallsBecomePartsOfGraphs) {
  const DeviceScope scope(device("cuda:0"));
  const auto runs = plan_counters().graph_runs.load();
  std::vector<Array> kept;
  const Array b = filled({8, 8}, 2);
  std::vector<std::vector<float>> results;
  for (int k = 0; k < 4; ++k) {
    kept.push_back(filled({6, 8}, 3));
    results.push_back((matmul(exp(kept.back()), b) * 0.5f).to_vector<float>());
  }
  for (const auto& r : results) EXPECT_EQ(r, results[0]);
  EXPECT_EQ(plan_counters().graph_runs - runs, 3);
  EXPECT_EQ(routines().size(), 4u);
}

}  // namespace
}  // namespace noyau::test
