// Products by cuBLASLt, on a fake that computes plainly and checks what it is given.
// SPDX-License-Identifier: Apache-2.0
#include "core/graph.hpp"
#include "tests/common/message_of.hpp"
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
  // bfloat16 is the faster of both; where cuBLASLt has none, TF32 keeps more.
  for (const bool tf32 : {false, true}) {
    EXPECT_EQ(same([&] {
                const Precision allowed({.tf32 = tf32, .bf16 = true});
                return matmul(filled({6, 8}, 1), filled({8, 12}, 2));
              }),
              Calls{"matmul nn batch 1 compute 75 alignment 16"});
  }
  fake_cuda::fail("heuristic of bfloat16", 15);
  EXPECT_EQ(same([] {
              const Precision allowed({.bf16 = true});
              return matmul(filled({6, 8}, 1), filled({8, 16}, 2));
            }),
            Calls{"matmul nn batch 1 compute 77 alignment 16"});
  fake_cuda::fail("heuristic of bfloat16", 0);
  EXPECT_EQ(same(
                [] {
                  const Precision allowed({.bf16 = true});
                  return matmul(filled({6, 8}, 1, float64), filled({8, 12}, 2, float64));
                },
                1e-14),
            Calls{"matmul nn batch 1 compute 70 alignment 16"});
  // Integers have no routine there: a generated kernel.
  EXPECT_EQ(same([] {
              return matmul(filled({6, 8}, 1, int32), filled({8, 12}, 2, int32));
            }),
            Calls{});
}

TEST_F(CublasLt, FactorsAreRoundedAsAllowedWhenTheProductIsMade) {
  const DeviceScope scope(device("cuda:0"));
  // 1 + 2^-9 is 1 in bfloat16, 1 + 2^-11 in TF32, too; sums stay in float32.
  const Array a = full({4, 8}, 1 + 0x1p-9 + 0x1p-11, float32), b = ones({8, 4}, float32);
  const auto product = [&](AllowedPrecision allowed) {
    const Precision scoped(allowed);
    return matmul(a, b);
  };
  const Array plain = product({}), tf32 = product({.tf32 = true}), bf16 = product({.bf16 = true}),
              both = product({.tf32 = true, .bf16 = true});
  const auto element = [](const Array& x) { return sum(x).item<float>() / 16; };
  EXPECT_EQ(element(plain), 8 * (1 + 0x1p-9f + 0x1p-11f));
  EXPECT_EQ(element(tf32), 8 * (1 + 0x1p-9f));
  EXPECT_EQ(element(bf16), 8);
  EXPECT_EQ(element(both), 8);
  // In one plan, too: they are not equal subexpressions.
  EXPECT_EQ(element(product({}) - product({.bf16 = true})), 0x1p-6f + 0x1p-8f);
}

TEST_F(CublasLt, HalvesAreExactInFasterFormats) {
  const auto product = [](DType dtype) {
    return [dtype] { return matmul(filled({6, 8}, 1, dtype), filled({8, 12}, 2, dtype)); };
  };
  EXPECT_EQ(same(product(float16), 1e-3), Calls{"matmul nn batch 1 compute 77 alignment 16"});
  EXPECT_EQ(same(product(bfloat16), 1e-2), Calls{"matmul nn batch 1 compute 75 alignment 16"});
  const DeviceScope scope(device("cuda:0"));
  const Array most = full({1, 4}, 1 + 0x1p-10, float16), one = ones({4, 1}, float16);
  EXPECT_EQ(matmul(most, one).item<float>(), 4 + 0x1p-8f) << "all 10 bits";
}

TEST_F(CublasLt, GradientsOfAProductAreAllowedWhatItWas) {
  EXPECT_EQ(same([] {
              const Array w = filled({8, 12}, 2);
              return grad(
                  [&](const Array& x) {
                    const Precision allowed({.tf32 = true});
                    const Array y = matmul(x, w);
                    return sum(y * y);
                  },
                  filled({6, 8}, 1));
            }),
            (Calls{"matmul nn batch 1 compute 77 alignment 16",
                   "matmul tn batch 1 compute 77 alignment 16"}));
}

TEST_F(CublasLt, WhatIsRefusedAtItsLaunchIsGenerated) {
  const auto layer = [] { return matmul(filled({9, 8}, 1), filled({8, 11}, 2)) + filled({11}, 3); };
  refuse("cublasLtMatmul", 15);
  EXPECT_EQ(same(layer), Calls{});
  EXPECT_EQ(refused_calls(), 2) << "with its bias and, then, without";
  accept_all();
  EXPECT_EQ(same([&] { return layer() * 2.0f; }), Calls{}) << "it is remembered";
  EXPECT_EQ(same([] { return matmul(filled({9, 8}, 1), filled({8, 13}, 2)); }).size(), 1u);
  EXPECT_EQ(refused_calls(), 2);
}

TEST_F(CublasLt, WhatIsRefusedWhenAGraphIsMadeIsGenerated) {
  const DeviceScope scope(device("cuda:0"));
  const Array b = filled({8, 15}, 2);
  std::vector<Array> kept;
  const auto layer = [&] {
    kept.push_back(filled({6, 8}, 3));
    return (matmul(exp(kept.back()), b) * 0.5f).to_vector<float>();
  };
  const std::vector<float> wanted = layer();
  refuse("cublasLtMatmul", 15);
  const std::vector<float> found = layer();
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t k = 0; k < found.size(); ++k) EXPECT_NEAR(found[k], wanted[k], 1e-4f) << k;
  EXPECT_EQ(refused_calls(), 1);
}

TEST_F(CublasLt, WhatIsRefusedAfterSomethingWasOverwrittenFailsOnce) {
  const DeviceScope scope(device("cuda:0"));
  Array x = filled({7, 8}, 1).eval();
  const Array b = filled({8, 10}, 2);
  refuse("cublasLtMatmul", 15);
  // The sum takes over the memory of x before the product reads it.
  x = x + 1.0f;
  Array y = matmul(x, b);
  eval({x, y});
  std::string said;
  for (int k = 0; k < 2; ++k) said = message_of<DeviceError>([&] { (void)y.to_vector<float>(); });
  for (const char* part :
       {"cublaslt.matmul", "matmul of float32 (7, 8), float32 (8, 10) to float32 (7, 10)",
        "15 (CUBLAS_STATUS_NOT_SUPPORTED", "NOYAU_LIBRARIES=0"})
    EXPECT_NE(said.find(part), std::string::npos) << said;
  x = filled({7, 8}, 1).eval();
  x = x + 1.0f;
  y = matmul(x, b);
  eval({x, y});
  EXPECT_EQ(y.to_vector<float>().size(), 70u) << "a generated kernel does it now";
  EXPECT_EQ(refused_calls(), 0);
}

TEST_F(CublasLt, AFailureOfTheGpuIsNoRefusal) {
  const DeviceScope scope(device("cuda:0"));
  refuse("cublasLtMatmul", 13);
  const Array y = matmul(filled({6, 8}, 1), filled({8, 9}, 2));
  const std::string said = message_of<LaunchError>([&] { y.wait(); });
  EXPECT_NE(said.find("cublaslt.matmul"), std::string::npos) << said;
  EXPECT_EQ(refused_calls(), 0);
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
  // Memory of somebody else's may begin where cuBLASLt does not want a bias to.
  std::vector<Array> kept;
  const auto foreign = [&](std::int64_t bytes) {
    const Array& whole = kept.emplace_back(filled({16}, 3).eval());
    std::byte* begin = whole.node()->storage[0].buffer->data;
    return from_external(begin + bytes, {12}, float32, default_device(), {});
  };
  EXPECT_EQ(same([&] { return with_bias(foreign(4)); }),
            Calls{"matmul nn batch 1 compute 68 alignment 4 bias"});
  EXPECT_EQ(same([&] { return with_bias(foreign(16)); }),
            Calls{"matmul nn batch 1 compute 68 alignment 16 bias"});
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
