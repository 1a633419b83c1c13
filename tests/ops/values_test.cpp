// What operations build, evaluated by the reference evaluator.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "noyau/noyau.hpp"
#include "tests/ops/evaluate.hpp"

namespace noyau {
namespace {

using List = std::vector<double>;

class OperationValues : public ::testing::Test {
 protected:
  DeviceScope scope_{device("null:0")};
};

TEST_F(OperationValues, Subscripts) {
  const Array t = reshape(arange(12), {3, 4});
  EXPECT_EQ(values((t[{1, 2}])), (List{6}));
  EXPECT_EQ(values((t[{slice(), -1}])), (List{3, 7, 11}));
  EXPECT_EQ(values((t[{slice(2, 0, -1), slice(1, 3)}])), (List{9, 10, 5, 6}));
  EXPECT_EQ((t[{newaxis, slice(), 0}].shape()), (Shape{1, 3}));
  EXPECT_EQ(values(t[-1]), (List{8, 9, 10, 11}));
  EXPECT_EQ(values((t[{slice(), slice(std::nullopt, std::nullopt, -3)}][1])), (List{7, 4}));
  EXPECT_EQ((t[{slice(2, 2)}].shape()), (Shape{0, 4}));
  EXPECT_EQ(values(t[slice(-2, 100)][0]), (List{4, 5, 6, 7}));
  // Views of views end at one base.
  const Array v = transpose(t[{slice(), slice(0, 4, 2)}])[1];
  EXPECT_EQ(values(v), (List{2, 6, 10}));
  EXPECT_EQ(v.node()->base->kind, NodeKind::iota);
}

TEST_F(OperationValues, ReshapeIsAViewWhereStridesAllow) {
  const Array t = reshape(arange(24), {2, 3, 4});
  EXPECT_EQ(t.node()->kind, NodeKind::view);
  const Array merged = reshape(t[{slice(), slice(), slice(0, 4, 2)}], {6, 2});
  EXPECT_EQ(merged.node()->base->kind, NodeKind::iota);
  EXPECT_EQ(values(merged), (List{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22}));
  const Array flat = reshape(transpose(t), {24});
  EXPECT_EQ(flat.node()->base->kind, NodeKind::elementwise);  // a copy in order
  EXPECT_EQ(values(flat[slice(0, 5)]), (List{0, 12, 4, 16, 8}));
  EXPECT_EQ(reshape(t, {-1, 6}).shape(), (Shape{4, 6}));
  EXPECT_EQ(values(reshape(broadcast_to(arange(2), {3, 2}), {6})), (List{0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(reshape(zeros({0, 3}), {3, 0, 5}).shape(), (Shape{3, 0, 5}));
}

TEST_F(OperationValues, Movement) {
  const Array t = reshape(arange(6), {2, 3});
  EXPECT_EQ(values(flip(t)), (List{5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(values(flip(t, 0)), (List{3, 4, 5, 0, 1, 2}));
  EXPECT_EQ(values(repeat(t, 2, 1)), (List{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}));
  EXPECT_EQ(values(stack({t[0], t[1]}, 1)), (List{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(values(concatenate({t, t[{slice(), slice(0, 1)}]}, 1)), (List{0, 1, 2, 0, 3, 4, 5, 3}));
  EXPECT_EQ(values(roll(t, -1, 1)), (List{1, 2, 0, 4, 5, 3}));
  EXPECT_EQ(values(roll(t, {1, 4}, {0, 1})), (List{5, 3, 4, 2, 0, 1}));
  EXPECT_EQ(squeeze(ones({1, 2, 1})).shape(), (Shape{2}));
  EXPECT_EQ(squeeze(ones({1, 2, 1}), -1).shape(), (Shape{1, 2}));
  EXPECT_EQ(swap_axes(ones({1, 2, 3}), 0, -1).shape(), (Shape{3, 2, 1}));
  EXPECT_EQ(values(pad(t[0], {{1, 2}}, Pad::constant, 9)), (List{9, 0, 1, 2, 9, 9}));
  EXPECT_EQ(values(pad(t[0], {{1, 2}}, Pad::edge)), (List{0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(values(pad(t[0], {{2, 1}}, Pad::reflect)), (List{2, 1, 0, 1, 2, 1}));
  EXPECT_EQ(values(set(t, {slice(), 0}, 100)), (List{100, 1, 2, 100, 4, 5}));
  EXPECT_EQ(values(set(t, {1, slice(2, 0, -1)}, array_of({7, 8}))), (List{0, 1, 2, 3, 8, 7}));
  EXPECT_EQ(values(set(t, slice(1, 1), 100)), (List{0, 1, 2, 3, 4, 5}));
}

TEST_F(OperationValues, Creation) {
  EXPECT_EQ(values(arange(2, 7, 2)), (List{2, 4, 6}));
  EXPECT_EQ(values(arange(0, 10, 2.5)), (List{0, 2.5, 5, 7.5}));
  EXPECT_EQ(arange(0, 1, 0.25).dtype(), float32);
  EXPECT_EQ(values(arange(5, 0, -2)), (List{5, 3, 1}));
  EXPECT_EQ(arange(5, 0).shape(), (Shape{0}));
  EXPECT_EQ(arange(0.0, 1.0, 0.25).dtype(), float32);
  EXPECT_EQ(values(arange(0.0, 1.0, 0.25)), (List{0, 0.25, 0.5, 0.75}));
  EXPECT_EQ(arange(0, 3, 1, uint8).dtype(), uint8);
  EXPECT_EQ(values(linspace(0, 1, 5)), (List{0, 0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(values(linspace(0, 0.1, 4, float64)).back(), 0.1);
  EXPECT_EQ(values(linspace(3, 4, 1)), (List{3}));
  EXPECT_EQ(values(eye(2, 3)), (List{1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(full({2}, 3).dtype(), int64);
  EXPECT_EQ(full({2}, 3.0).dtype(), float32);
  EXPECT_EQ(full({2}, true).dtype(), bool_);
  EXPECT_EQ(values(array({{true, false}, {false, false}})), (List{1, 0, 0, 0}));
  EXPECT_THROW(full({2}, std::uint64_t{1} << 63), DtypeError);
  EXPECT_THROW(full({2}, 256, uint8), DtypeError);
  EXPECT_EQ(values(full({1}, std::uint64_t{1} << 63, uint64)), (List{0x1p63}));
}

TEST_F(OperationValues, Reductions) {
  const Array t = reshape(arange(6), {2, 3});
  EXPECT_EQ(values(sum(t, 0)), (List{3, 5, 7}));
  EXPECT_EQ(values(sum(t, -1, {.keepdims = true})), (List{3, 12}));
  EXPECT_EQ(sum(t, -1, {.keepdims = true}).shape(), (Shape{2, 1}));
  EXPECT_EQ(sum(t, {}).shape(), (Shape{}));
  EXPECT_EQ(sum(t, std::vector<int>{}).shape(), (Shape{2, 3}));
  EXPECT_EQ(sum(astype(t, uint8)).dtype(), uint64);
  EXPECT_EQ(sum(t > 2).dtype(), int64);
  EXPECT_EQ(values(sum(t > 2)), (List{3}));
  EXPECT_EQ(values(prod(t + 1)), (List{720}));
  EXPECT_EQ(values(max(t, 1)), (List{2, 5}));
  EXPECT_EQ(values(mean(t)), (List{2.5}));
  EXPECT_EQ(mean(t).dtype(), float64);
  EXPECT_EQ(mean(astype(t, int8)).dtype(), float32);
  EXPECT_EQ(values(var(astype(t, float64), 1)), (List{2. / 3, 2. / 3}));
  EXPECT_EQ(values(any(t > 4, 1)), (List{0, 1}));
  EXPECT_EQ(values(all(t >= 0)), (List{1}));
  EXPECT_EQ(values(max(t > 4)), (List{1}));
  EXPECT_EQ(values(argmax(-t, 1)), (List{0, 0}));
  EXPECT_EQ(values(argmax(t)), (List{5}));
  EXPECT_EQ(values(sum(zeros({0, 2}), 0)), (List{0, 0}));
  EXPECT_EQ(values(prod(zeros({0, 2}))), (List{1}));
  EXPECT_THROW(max(zeros({0, 2}), 0), ShapeError);
  EXPECT_EQ(max(zeros({0, 2}), 1).shape(), (Shape{0}));
  const Array s = softmax(astype(t, float64));
  EXPECT_NEAR(values(s)[0], 1 / (1 + std::exp(1) + std::exp(2)), 1e-15);
  EXPECT_NEAR(values(logsumexp(astype(t, float64)))[0], 5.4561933163, 1e-9);
  EXPECT_EQ(values(logsumexp(full({3}, -INFINITY)))[0], -INFINITY);
}

TEST_F(OperationValues, MatmulFollowsNumPy) {
  const Array a = astype(reshape(arange(6), {2, 3}), float64);
  const Array v = astype(arange(3), float64);
  EXPECT_EQ(values(matmul(a, v)), (List{5, 14}));
  EXPECT_EQ(values(matmul(v, v)), (List{5}));
  EXPECT_EQ(values(matmul(v, transpose(a))), (List{5, 14}));
  EXPECT_EQ(values(matmul(a, transpose(a))), (List{5, 14, 14, 50}));
  EXPECT_EQ(matmul(ones({8, 3, 4}), full({4, 2}, 0.5)).shape(), (Shape{8, 3, 2}));
  EXPECT_EQ(matmul(ones({7, 1, 3, 4}), ones({5, 4, 2})).shape(), (Shape{7, 5, 3, 2}));
  EXPECT_EQ(values(matmul(ones({2, 0}), ones({0, 2}))), (List{0, 0, 0, 0}));
  EXPECT_EQ(values(matmul(reshape(arange(4), {2, 2}), reshape(arange(4), {2, 2}))),
            (List{2, 3, 6, 11}));
  EXPECT_EQ(values(outer(v, v)), (List{0, 0, 0, 0, 1, 2, 0, 2, 4}));
}

TEST_F(OperationValues, Windows) {
  const Array x = reshape(astype(arange(16), float64), {1, 1, 4, 4});
  EXPECT_EQ(values(conv2d(x, ones({1, 1, 3, 3}, float64))), (List{45, 54, 81, 90}));
  EXPECT_EQ(conv2d(x, ones({1, 1, 3, 3}), {.stride = 2, .padding = 1}).shape(),
            (Shape{1, 1, 2, 2}));
  EXPECT_EQ(
      conv2d(ones({2, 4, 5, 5}), ones({6, 2, 3, 1}), {.dilation = {2, 1}, .groups = 2}).shape(),
      (Shape{2, 6, 1, 5}));
  EXPECT_EQ(values(max_pool2d(x, 2)), (List{5, 7, 13, 15}));
  EXPECT_EQ(values(avg_pool2d(x, 2)), (List{2.5, 4.5, 10.5, 12.5}));
  EXPECT_EQ(max_pool2d(ones({1, 1, 255, 191}), 3, {.stride = 2, .ceil_mode = true}).shape(),
            (Shape{1, 1, 127, 95}));
  EXPECT_EQ(max_pool2d(ones({1, 1, 6, 6}), 3, {.stride = 2, .ceil_mode = true}).shape(),
            (Shape{1, 1, 3, 3}));
  // A window that starts past the padded input is dropped.
  EXPECT_EQ(
      max_pool2d(ones({1, 1, 3, 3}), 2, {.stride = 2, .padding = 1, .ceil_mode = true}).shape(),
      (Shape{1, 1, 2, 2}));
  EXPECT_EQ(values(avg_pool2d(ones({1, 1, 3, 3}), 2, {.ceil_mode = true})), (List{1, 1, 1, 1}));
}

TEST_F(OperationValues, WeakScalarsAndPromotion) {
  const Array f = ones({2}), i = arange(2), b = i > 0, d = ones({2}, float64);
  EXPECT_EQ((f * 2.0).dtype(), float32);
  EXPECT_EQ((f * 2).dtype(), float32);
  EXPECT_EQ((i * 2).dtype(), int64);
  EXPECT_EQ((i * 2.0).dtype(), float32);
  EXPECT_EQ((i + true).dtype(), int64);
  EXPECT_EQ((b + 1).dtype(), int64);
  EXPECT_EQ((b * 1.5).dtype(), float32);
  EXPECT_EQ((f + d).dtype(), float64);
  EXPECT_EQ((astype(i, uint8) + 1).dtype(), uint8);
  EXPECT_EQ((astype(i, int8) / 2).dtype(), float32);
  EXPECT_EQ((i / 2).dtype(), float64);
  EXPECT_EQ(where(b, 1.0, 0.2).dtype(), float32);
  EXPECT_EQ(where(b, 1, f).dtype(), float32);
  EXPECT_EQ(sqrt(astype(i, int16)).dtype(), float32);
  EXPECT_EQ(floor(i).node(), i.node());
  EXPECT_EQ(values(isfinite(i)), (List{1, 1}));
  EXPECT_EQ((f == f).dtype(), bool_);
  EXPECT_EQ(values(logical_and(f, i)), (List{0, 1}));
  EXPECT_THROW(astype(i, uint8) + 300, DtypeError);
  EXPECT_THROW(astype(i, uint64) + -1, DtypeError);
  EXPECT_EQ(values(clamp(astype(arange(5), float64), 1, 3)), (List{1, 1, 2, 3, 3}));
  EXPECT_NEAR(values(softplus(full({1}, 0.0, float64)))[0], std::log(2), 1e-15);
  EXPECT_EQ(values(softplus(full({1}, 1000.0, float64)))[0], 1000);
}

TEST_F(OperationValues, TheCallersLineIsTheUsers) {
  const int here = __LINE__ + 1;
  const Array x = softplus(ones({2}) * 2.0);
  EXPECT_EQ(x.node()->line, here);
  EXPECT_NE(std::string(x.node()->file).find("values_test"), std::string::npos);
  EXPECT_EQ(mean(x).node()->inputs[0]->line, here + 3);
}

}  // namespace
}  // namespace noyau
