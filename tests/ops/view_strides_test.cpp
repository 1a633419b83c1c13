// The offset and strides of views say the same as what the user asked for.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "core/graph.hpp"
#include "noyau/noyau.hpp"
#include "ops/reference.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/random_program.hpp"

namespace noyau::test {
namespace {

using reference::Value;

/// The elements that offset and strides name, in order.
std::vector<std::int64_t> elements_of(const Shape& shape, std::int64_t offset,
                                      const Shape& strides) {
  std::vector<std::int64_t> elements;
  Shape index = Shape::filled(shape.rank(), 0);
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    std::int64_t element = offset;
    for (int axis = 0; axis < shape.rank(); ++axis) element += index[axis] * strides[axis];
    elements.push_back(element);
    for (int axis = shape.rank() - 1; axis >= 0 && ++index[axis] == shape[axis]; --axis) {
      index[axis] = 0;
    }
  }
  return elements;
}

TEST(ViewStrides, AgreeWithWhatWasAskedFor) {
  const DeviceScope scope(devices().front());
  int views = 0, sets = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const std::vector<Array> values = random_program(seed).build();
    for (const Node* node : reference::pending_nodes(values)) {
      if (node->kind == NodeKind::view) {
        ++views;
        const auto& a = std::get<ViewAttributes>(node->attributes);
        const Value got = reference::evaluate(NodeRef(const_cast<Node*>(node), 0).array());
        const Value base = reference::evaluate(node->base.array());
        Value want(got.dtype, got.shape);
        const std::vector<std::int64_t> from = elements_of(node->shape, a.offset, a.strides);
        for (std::size_t i = 0; i < from.size(); ++i) {
          ASSERT_LT(static_cast<std::size_t>(from[i]), base.size());
          want.copy_element(i, base, static_cast<std::size_t>(from[i]));
        }
        EXPECT_TRUE(same_bits(got, want));
        EXPECT_NE(node->base->kind, NodeKind::view) << "unless it was evaluated";
      } else if (node->kind == NodeKind::set) {
        ++sets;
        const auto& a = std::get<ViewAttributes>(node->attributes);
        const Value x(node->dtype, node->shape), value(node->dtype, node->inputs[1]->shape);
        const Value* const inputs[] = {&x, &value};
        const std::vector<reference::Source> sources = reference::sources(*node, inputs);
        const std::vector<std::int64_t> to = elements_of(value.shape, a.offset, a.strides);
        for (std::size_t i = 0; i < to.size(); ++i) {
          const reference::Source& source = sources.at(static_cast<std::size_t>(to[i]));
          EXPECT_EQ(source.input, 1);
          EXPECT_EQ(source.element, static_cast<std::int64_t>(i));
        }
      }
    }
  }
  EXPECT_GT(views, 500);
  EXPECT_GT(sets, 50);
}

}  // namespace
}  // namespace noyau::test
