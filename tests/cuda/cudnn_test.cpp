// Convolutions by cuDNN, on a fake that computes plainly and checks what it is given.
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "tests/cuda/compare.hpp"

namespace noyau::test {
namespace {

class Cudnn : public VendorTest {};

TEST_F(Cudnn, ConvolutionsOfAllKinds) {
  // The fastest offers are transforms, vary, or round: passed over.
  const Calls plain{"convolution algorithm 1 math 3"};
  EXPECT_EQ(same([] { return conv2d(filled({2, 3, 9, 8}, 1), filled({4, 3, 3, 3}, 2)); }), plain);
  EXPECT_EQ(same([] {
              return conv2d(filled({1, 3, 9, 8}, 1), filled({5, 3, 3, 2}, 2),
                            {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}});
            }),
            plain);
  EXPECT_EQ(same([] { return conv2d(filled({1, 1, 4, 1}, 1), filled({1, 1, 4, 1}, 2)); }), plain);
  EXPECT_EQ(same([] {
              return conv2d(filled({2, 6, 5, 5}, 1), filled({4, 3, 3, 3}, 2), {.groups = 2});
            }),
            Calls{"convolution algorithm 1 math 3 groups"});
  EXPECT_EQ(same(
                [] {
                  return conv2d(filled({1, 2, 5, 5}, 1, float64), filled({3, 2, 3, 3}, 2, float64));
                },
                1e-14),
            plain);
}

TEST_F(Cudnn, Tf32WhereTheCallerAllowsIt) {
  EXPECT_EQ(same([] {
              const Precision allowed({.tf32 = true});
              return conv2d(filled({2, 3, 9, 8}, 1), filled({4, 3, 3, 3}, 2));
            }),
            Calls{"convolution algorithm 1 math 0"});
  // There is no bfloat16 in its math of float32; TF32 keeps more.
  EXPECT_EQ(same([] {
              const Precision allowed({.bf16 = true});
              return conv2d(filled({2, 3, 9, 8}, 1), filled({4, 3, 3, 3}, 2));
            }),
            Calls{"convolution algorithm 1 math 0"});
  EXPECT_EQ(same(
                [] {
                  const Array w = filled({4, 3, 3, 3}, 2, float16);
                  return grad([&](const Array& x) { return sum(square(conv2d(x, w))); },
                              filled({2, 3, 5, 6}, 1, float16));
                },
                0.05),
            (Calls{"convolution algorithm 1 math 0", "input gradient algorithm 1 math 0"}))
      << "halves are exact in TF32";
  // 1 + 2^-11 is 1 in TF32.
  const auto sum_of_one = [] {
    return conv2d(full({1, 1, 2, 2}, 1 + 0x1p-11, float32), ones({1, 1, 2, 2}, float32))
        .item<float>();
  };
  const DeviceScope scope(device("cuda:0"));
  EXPECT_EQ(sum_of_one(), 4 + 0x1p-9f);
  const Precision allowed({.tf32 = true});
  EXPECT_EQ(sum_of_one(), 4);
}

TEST_F(Cudnn, BiasAndReluOnTheWay) {
  const auto layer = [](float first) {
    std::vector<float> values(2 * 3 * 6 * 6, 0.5f);
    values[40] = first;
    return relu(conv2d(array(values, {2, 3, 6, 6}), filled({4, 3, 3, 3}, 2)) +
                filled({1, 4, 1, 1}, 3));
  };
  EXPECT_EQ(same([&] { return layer(1); }), Calls{"convolution algorithm 1 math 3 bias relu"});
  // NaN stays NaN.
  EXPECT_EQ(same([&] { return layer(std::numeric_limits<float>::quiet_NaN()); }),
            Calls{"convolution algorithm 1 math 3 bias relu"});
}

TEST_F(Cudnn, WhatIsRefusedAtItsLaunchIsComputedAnotherWay) {
  const auto layer = [] { return conv2d(filled({2, 3, 5, 5}, 1), filled({4, 3, 3, 3}, 2)); };
  refuse("convolution algorithm 1", 3000);
  EXPECT_EQ(same(layer), Calls{"convolution algorithm 0 math 3"});
  refuse("convolution algorithm 0", 3000);
  EXPECT_EQ(same(layer), Calls{});
  EXPECT_EQ(refused_calls(), 2);
  // It is remembered, of that call alone.
  accept_all();
  EXPECT_EQ(same([&] { return layer() * 2.0f; }), Calls{});
  EXPECT_EQ(same([] {
              return conv2d(filled({2, 3, 5, 5}, 1), filled({5, 3, 3, 3}, 2));
            }),
            Calls{"convolution algorithm 1 math 3"});
  EXPECT_EQ(refused_calls(), 2);
}

TEST_F(Cudnn, AnEpilogueThatIsRefusedIsComputedApart) {
  refuse("convolution algorithm 1 bias relu", 3000);
  refuse("convolution algorithm 0 bias relu", 3000);
  const auto layer = [] {
    return relu(conv2d(filled({1, 3, 5, 5}, 1), filled({4, 3, 3, 2}, 2)) + filled({1, 4, 1, 1}, 3));
  };
  EXPECT_EQ(same(layer), Calls{"convolution algorithm 1 math 3"});
  EXPECT_EQ(refused_calls(), 2);
}

TEST_F(Cudnn, GradientsThatAreRefusedAreGenerated) {
  const auto gradients = [] {
    const Array x = filled({1, 3, 6, 7}, 1), w = filled({4, 3, 3, 3}, 2);
    const auto all = grad(
        [](std::span<const Array> v) {
          const Array y = conv2d(v[0], v[1]);
          return sum(y * y);
        },
        std::vector<Array>{x, w});
    return concatenate({reshape(all[0], {-1}), reshape(all[1], {-1})}, 0);
  };
  const Calls plain{"convolution algorithm 1 math 3"};
  refuse("input gradient algorithm 1", 3000);
  refuse("weight gradient algorithm 1", 3000);
  EXPECT_EQ(same(gradients).size(), 3u) << "the forward one in each plan that was tried";
  EXPECT_EQ(refused_calls(), 2);
  EXPECT_EQ(same(gradients), plain);
}

TEST_F(Cudnn, Gradients) {
  const auto gradients = [](bool of_weights) {
    const Array x = filled({2, 3, 7, 8}, 1), w = filled({4, 3, 3, 3}, 2);
    const auto loss = [&](const Array& a, const Array& b) {
      const Array y = conv2d(a, b, {.stride = 2, .padding = 1});
      return sum(y * y);
    };
    return of_weights ? grad([&](const Array& v) { return loss(x, v); }, w)
                      : grad([&](const Array& v) { return loss(v, w); }, x);
  };
  EXPECT_EQ(same([&] { return gradients(false); }),
            (Calls{"convolution algorithm 1 math 3", "input gradient algorithm 1 math 3"}));
  EXPECT_EQ(same([&] { return gradients(true); }),
            (Calls{"convolution algorithm 1 math 3", "weight gradient algorithm 1 math 3"}));
}

TEST_F(Cudnn, ImagesWithChannelsLastAreTakenAsTheyAre) {
  EXPECT_EQ(same([] {
              const Array x = permute(filled({2, 6, 5, 4}, 1), {0, 3, 1, 2});
              return conv2d(x, filled({4, 4, 3, 3}, 2));
            }),
            Calls{"convolution algorithm 1 math 3 nhwc"});
  EXPECT_EQ(same([] {
              const Array w = permute(filled({4, 3, 3, 2}, 2), {0, 3, 1, 2});
              return conv2d(filled({1, 2, 6, 5}, 1), w);
            }),
            Calls{"convolution algorithm 1 math 3"});
}

TEST_F(Cudnn, ACallIsAskedForOnce) {
  const DeviceScope scope(device("cuda:0"));
  const Array x = filled({1, 3, 8, 7}, 1), w = filled({2, 3, 2, 2}, 2);
  (void)conv2d(x, w).to_vector<float>();
  EXPECT_EQ(heuristics(), 1);
  (void)(conv2d(x + 1.0f, w) * 2.0f).to_vector<float>();
  EXPECT_EQ(heuristics(), 1);
}

TEST_F(Cudnn, CallsBecomePartsOfGraphs) {
  const DeviceScope scope(device("cuda:0"));
  const auto runs = plan_counters().graph_runs.load();
  std::vector<Array> kept;
  std::vector<std::vector<float>> results;
  const Array w = filled({4, 3, 3, 3}, 2);
  for (int k = 0; k < 4; ++k) {
    kept.push_back(filled({2, 3, 9, 8}, 1));
    results.push_back((conv2d(exp(kept.back() * 0.1f), w) * 0.5f).to_vector<float>());
  }
  for (const auto& r : results) EXPECT_EQ(r, results[0]);
  EXPECT_EQ(plan_counters().graph_runs - runs, 3);
}

}  // namespace
}  // namespace noyau::test
