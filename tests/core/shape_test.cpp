// Shapes: products against 128-bit integers, strides, editing, broadcasting and its messages.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/shape.hpp"

#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>

#include "noyau/error.hpp"
#include "tests/common/message_of.hpp"

namespace noyau {
namespace {

using test::message_of;

TEST(Shape, PrintsAsNumPy) {
  EXPECT_EQ(to_string(Shape{}), "()");
  EXPECT_EQ(to_string(Shape{5}), "(5,)");
  EXPECT_EQ(to_string(Shape{2, 3u, 4l}), "(2, 3, 4)");
  std::ostringstream out;
  out << Shape{1, -2};
  EXPECT_EQ(out.str(), "(1, -2)");
}

TEST(Shape, MadeFromVectorsAndEdited) {
  Shape s(std::vector<int>{1, 2});
  EXPECT_EQ(s, Shape(std::vector<std::int64_t>{1, 2}));
  s.push_back(3);
  s.insert(0, 9);
  s.insert(4, 8);
  s.insert(2, 7);
  EXPECT_EQ(s, (Shape{9, 1, 7, 2, 3, 8}));
  s.erase(0);
  s.erase(4);
  EXPECT_EQ(s, (Shape{1, 7, 2, 3}));
  EXPECT_EQ(s.back(), 3);
  EXPECT_NE(s, (Shape{1, 7, 2}));
  EXPECT_EQ(Shape::filled(3, 4), (Shape{4, 4, 4}));
  EXPECT_THROW(s.erase(4), InternalError);
}

TEST(Shape, AtMostEightAxes) {
  Shape s = Shape::filled(max_rank, 1);
  std::string text = message_of<ShapeError>([&] { s.push_back(1); });
  EXPECT_NE(text.find("at most 8 axes, not 9"), std::string::npos) << text;
  EXPECT_THROW(s.insert(0, 1), ShapeError);
  EXPECT_THROW(Shape(std::vector<int>(9, 1)), ShapeError);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError);
  EXPECT_EQ(s.rank(), max_rank);
}

TEST(Shape, ElementsAgreesWith128Bits) {
  std::mt19937_64 random(7);
  int overflows = 0;
  for (int n = 0; n < 20000; ++n) {
    Shape s;
    unsigned __int128 exact = 1;
    bool over = false, none = false;
    for (std::uint64_t i = random() % 6; i > 0; --i) {
      auto extent = static_cast<std::int64_t>((random() >> 1) >> (random() % 63));
      s.push_back(extent);
      none = none || extent == 0;
      exact = over ? exact : exact * static_cast<unsigned __int128>(extent);
      over = over || exact > static_cast<unsigned __int128>(INT64_MAX);
    }
    if (over && !none) {
      ++overflows;
      std::string text = message_of<ShapeError>([&] { (void)s.elements(); });
      EXPECT_NE(text.find(to_string(s)), std::string::npos) << text;
    } else {
      EXPECT_EQ(s.elements(), none ? 0 : static_cast<std::int64_t>(exact)) << s;
    }
  }
  EXPECT_GT(overflows, 1000);
}

TEST(Shape, ElementsAtTheLimits) {
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ((Shape{INT64_MAX}).elements(), INT64_MAX);
  EXPECT_EQ((Shape{7, INT64_MAX / 7}).elements(), INT64_MAX / 7 * 7);
  EXPECT_EQ((Shape{INT64_MAX, 0, INT64_MAX}).elements(), 0);
  EXPECT_THROW((void)(Shape{1ll << 32, 1ll << 31}).elements(), ShapeError);
  EXPECT_THROW((void)(Shape{1ll << 62, 1ll << 62, 1ll << 62}).elements(), ShapeError);
  std::string text = message_of<ShapeError>([] { (void)(Shape{2, -3, 0}).elements(); });
  EXPECT_NE(text.find("(2, -3, 0)"), std::string::npos) << text;
  EXPECT_NE(text.find("extent -3"), std::string::npos) << text;
}

TEST(Shape, ByteSizeIsChecked) {
  EXPECT_EQ(byte_size(Shape{3, 5}, float64), 120);
  EXPECT_EQ(byte_size(Shape{INT64_MAX}, int8), INT64_MAX);
  std::string text = message_of<ShapeError>([] { (void)byte_size(Shape{1ll << 62}, int32); });
  EXPECT_NE(text.find("(4611686018427387904,) of int32"), std::string::npos) << text;
}

TEST(Shape, DenseStrides) {
  EXPECT_EQ((Shape{2, 3, 4}).dense_strides(), (Shape{12, 4, 1}));
  EXPECT_EQ(Shape{}.dense_strides(), Shape{});
  EXPECT_EQ((Shape{2, 0, 4}).dense_strides(), (Shape{4, 4, 1}));
  EXPECT_EQ((Shape{0, INT64_MAX, INT64_MAX}).dense_strides().rank(), 3);
}

TEST(Broadcast, FollowsNumPy) {
  auto both = [](Shape a, Shape b) {
    Shape forth = broadcast_shapes(a, b, "add");
    EXPECT_EQ(forth, broadcast_shapes(b, a, "add"));
    return forth;
  };
  EXPECT_EQ(both({2, 3}, {2, 3}), (Shape{2, 3}));
  EXPECT_EQ(both({2, 3}, {3}), (Shape{2, 3}));
  EXPECT_EQ(both({2, 1, 4}, {3, 1}), (Shape{2, 3, 4}));
  EXPECT_EQ(both({}, {5}), (Shape{5}));
  EXPECT_EQ(both({}, {}), Shape{});
  EXPECT_EQ(both({1}, {0}), (Shape{0}));
  EXPECT_EQ(both({0, 3}, {1, 3}), (Shape{0, 3}));
}

TEST(Broadcast, MessagesTeach) {
  EXPECT_EQ(message_of<ShapeError>([] {
              broadcast_shapes({2, 3}, {2, 4}, "add");
            }),
            "[add] shapes (2, 3) and (2, 4) do not broadcast: axis 1 has extents 3 and 4, which "
            "must be equal or 1");
  EXPECT_EQ(message_of<ShapeError>([] {
              broadcast_shapes({5, 2, 3}, {4, 3}, "where");
            }),
            "[where] shapes (5, 2, 3) and (4, 3) do not broadcast: axis -2 has extents 2 and 4, "
            "which must be equal or 1");
  EXPECT_THROW(broadcast_shapes({0}, {2}, "add"), ShapeError);
}

}  // namespace
}  // namespace noyau
