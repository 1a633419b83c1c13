// Nodes: how they are made, what views are made of, what is folded, how they die.
// SPDX-License-Identifier: Apache-2.0
#include "core/graph.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/convert.hpp"
#include "noyau/error.hpp"
#include "ops/op_table.hpp"
#include "tests/common/small_stack.hpp"

namespace noyau {
namespace {

using ops::ElementwiseOp;
using test::with_small_stack;

Array leaf(const Shape& shape, DType dtype = float32, const char* on = "null:0") {
  return make_node({.kind = NodeKind::random,
                    .dtype = dtype,
                    .shape = shape,
                    .attributes = RandomAttributes{},
                    .device = device(on)});
}
Array elementwise(ElementwiseOp op, std::initializer_list<Array> inputs) {
  return make_node({.kind = NodeKind::elementwise,
                    .code = static_cast<std::uint8_t>(op),
                    .dtype = inputs.begin()->dtype(),
                    .shape = inputs.begin()->shape(),
                    .inputs = {inputs.begin(), inputs.size()}});
}
Array constant(double value, const Shape& shape, DType dtype = float32) {
  return make_node({.kind = NodeKind::constant,
                    .dtype = dtype,
                    .shape = shape,
                    .attributes = Scalar::of(value).as(dtype),
                    .device = device("null:0")});
}

TEST(Graph, NodesAreNumberedAndCounted) {
  Array x = leaf({2, 3});
  Array y = elementwise(ElementwiseOp::add, {x, x});
  EXPECT_LT(x.node()->number, y.node()->number);
  EXPECT_EQ(x.node()->handles, 1u);
  EXPECT_EQ(x.node()->references, 3u);  // the handle and two inputs
  EXPECT_EQ(y.device().name(), "null:0");
  {
    Array copy = x;
    EXPECT_EQ(x.node()->handles, 2u);
  }
  y = x;
  EXPECT_EQ(x.node()->references, 2u);
}

TEST(Graph, LongChainsDieWithoutRecursion) {
  with_small_stack([] {
    Array x = leaf({16});
    for (int i = 0; i < 1'000'000; ++i) x = elementwise(ElementwiseOp::negative, {x});
    Array half = x;
    x = Array();
    EXPECT_EQ(half.node()->references, 1u);
  });
}

TEST(Graph, ReleasedInputsDieWithoutRecursion) {
  with_small_stack([] {
    Array x = leaf({16});
    for (int i = 0; i < 1'000'000; ++i) x = elementwise(ElementwiseOp::negative, {x});
    release_inputs(*x.node());
    EXPECT_TRUE(x.node()->inputs.empty());
  });
}

TEST(Graph, ViewsReferToTheBaseOfWhatTheyView) {
  Array x = leaf({4, 6});
  const ViewOf of = view_of(x);
  EXPECT_EQ(of.base, x.node());
  EXPECT_EQ(of.strides, (Shape{6, 1}));
  ViewAttributes rows;
  rows.kind = ViewAttributes::Kind::slice;
  rows.offset = 6;
  rows.strides = {12, 1};
  Array v = make_view(x, of, {2, 6}, rows, nullptr, 0);
  const ViewOf again = view_of(v);
  EXPECT_EQ(again.base, x.node());
  EXPECT_EQ(again.offset, 6);
  Array w = make_view(v, again, {2, 6}, rows, nullptr, 0);
  EXPECT_EQ(w.node()->base.node(), x.node());
  EXPECT_EQ(w.node()->inputs[0].node(), v.node());
  // An evaluated view has values of its own.
  v.node()->status = NodeStatus::evaluated;
  release_inputs(*v.node());
  EXPECT_EQ(view_of(v).base, v.node());
  EXPECT_EQ(view_of(v).strides, (Shape{6, 1}));
  EXPECT_EQ(view_of(w).base, x.node());
}

TEST(Graph, PowersAndConstantsAreFolded) {
  Array x = leaf({3});
  auto code = [](const Array& a) { return static_cast<ElementwiseOp>(a.node()->code); };
  EXPECT_EQ(code(elementwise(ElementwiseOp::power, {x, constant(2, {3})})), ElementwiseOp::square);
  EXPECT_EQ(code(elementwise(ElementwiseOp::power, {x, constant(0.5, {3})})), ElementwiseOp::sqrt);
  EXPECT_EQ(code(elementwise(ElementwiseOp::power, {x, constant(-1, {3})})),
            ElementwiseOp::reciprocal);
  EXPECT_EQ(elementwise(ElementwiseOp::power, {x, constant(1, {3})}).node(), x.node());
  EXPECT_EQ(code(elementwise(ElementwiseOp::power, {x, constant(3, {3})})), ElementwiseOp::power);
  Array i = leaf({3}, int32);
  EXPECT_EQ(code(elementwise(ElementwiseOp::power, {i, constant(-1, {3}, int32)})),
            ElementwiseOp::power);
  Array sum = elementwise(ElementwiseOp::add, {constant(0.1, {3}), constant(0.2, {3})});
  EXPECT_EQ(std::get<Scalar>(sum.node()->attributes), Scalar::of(0.1f + 0.2f));
  Array wrapped =
      elementwise(ElementwiseOp::multiply, {constant(100, {3}, int8), constant(3, {3}, int8)});
  EXPECT_EQ(std::get<Scalar>(wrapped.node()->attributes).to_int64(), 44);
  const auto less = [](const Array& a, const Array& b) {
    const Array result = make_node({.kind = NodeKind::elementwise,
                                    .code = static_cast<std::uint8_t>(ElementwiseOp::less),
                                    .dtype = bool_,
                                    .shape = a.shape(),
                                    .inputs = std::vector<Array>{a, b}});
    return std::get<Scalar>(result.node()->attributes);
  };
  EXPECT_EQ(less(constant(-1, {3}, int64), constant(1, {3}, int64)), Scalar::of(true));
  EXPECT_EQ(less(constant(1, {3}, uint64), constant(2, {3}, uint64)), Scalar::of(true));
  EXPECT_EQ(less(constant(NAN, {3}), constant(1, {3})), Scalar::of(false));
}

TEST(Graph, ArraysTooLargeToExistAreRefused) {
  EXPECT_THROW(leaf({std::int64_t{1} << 40, std::int64_t{1} << 40}), ShapeError);
  EXPECT_THROW(Array().shape(), ValueError);
  EXPECT_THROW(elementwise(ElementwiseOp::add, {leaf({1}), Array()}), ValueError);
}

TEST(Convert, IntegersMustRepresentTheValue) {
  const double values[] = {1, 2.5, 300, -1};
  std::int64_t wide = 0;
  convert_values(values, float64, &wide, int64, 1);
  EXPECT_EQ(wide, 1);
  EXPECT_THROW(convert_values(values, float64, &wide, int64, 2), DtypeError);
  std::uint8_t small = 0;
  EXPECT_THROW(convert_values(values + 2, float64, &small, uint8, 1), DtypeError);
  EXPECT_THROW(convert_values(values + 3, float64, &small, uint8, 1), DtypeError);
  const double edge[] = {9223372036854775808.0, -9223372036854775808.0};
  EXPECT_THROW(convert_values(edge, float64, &wide, int64, 1), DtypeError);
  convert_values(edge + 1, float64, &wide, int64, 1);
  EXPECT_EQ(wide, INT64_MIN);
  float rounded = 0;
  const double tenth = 0.1;
  convert_values(&tenth, float64, &rounded, float32, 1);
  EXPECT_EQ(rounded, 0.1f);
  const std::int64_t big = -5;
  EXPECT_THROW(convert_values(&big, int64, &small, uint8, 1), DtypeError);
}

}  // namespace
}  // namespace noyau
