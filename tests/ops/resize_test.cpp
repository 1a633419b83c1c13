// image::resize against numbers of Pillow, its gradient, and its mistakes.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <noyau/noyau.hpp>
#include <vector>

namespace ny = noyau;

namespace {

ny::Array picture(ny::DType dtype = ny::float64) {
  return astype(reshape(ny::array({0, 7, 14, 21, 5,  12, 19, 3, 18, 10, 2, 17, 4, 19, 12, 12, 12, 7,
                                   7, 2, 2,  4,  12, 15, 0,  3, 6,  14, 2, 18, 6, 17, 5,  16, 9}),
                        {5, 7, 1}),
                dtype);
}

struct Case {
  ny::Resize method;
  std::int64_t height, width;
  std::vector<double> expected;
};

// Pillow 13.0, mode F.
const Case cases[] = {
    {ny::Resize::nearest, 2, 3, {18, 2, 4, 12, 0, 6}},
    {ny::Resize::nearest, 3, 7, {0, 7, 14, 21, 5,  12, 19, 12, 12, 12, 7,
                                 7, 2, 2,  2,  18, 6,  17, 5,  16, 9}},
    {ny::Resize::bilinear, 2, 3, {9.55195, 10.0936, 10.1753, 10.3182, 8.09626, 8.15584}},
    {ny::Resize::bilinear, 3, 7, {1.28571, 11.7143, 12.2857, 12.8571, 10.1429, 8.57143, 19.0,
                                  8.22222, 13.3333, 12.2222, 4.33333, 8.33333, 3.33333, 8.44444,
                                  2.85714, 15.4286, 9.85714, 9.71429, 4.14286, 11.7143, 11.1429}},
    {ny::Resize::bicubic, 2, 3, {9.35799, 10.3513, 10.1939, 10.5375, 7.92478, 7.88075}},
    {ny::Resize::bicubic, 3, 7, {1.21538, 11.7538, 12.1846, 13.1692, 10.4154, 8.61539, 19.1538,
                                 8.62791, 13.4419, 12.3953, 3.14884, 8.62791, 2.58605, 8.25581,
                                 2.86154, 15.3231, 9.89231, 9.87692, 3.73846, 11.9077, 10.9231}},
    {ny::Resize::bicubic,
     8,
     9,
     {-0.519979, 3.56642, 9.68579, 16.5885, 22.3672,   6.90043, 7.49975, 15.2434, 19.3041,
      0.214629,  8.08865, 12.6334, 12.5848, 13.2472,   10.8698, 8.58824, 12.3575, 20.3725,
      2.73524,   13.9515, 16.0418, 7.67572, 1.67529,   15.0369, 9.24873, 7.46103, 19.0449,
      10.0635,   13.001,  13.3165, 9.83808, 5.51807,   10.0265, 5.62681, 2.5865,  5.91949,
      10.5161,   10.9614, 12.693,  11.9321, 4.89307,   5.0757,  3.58602, 2.93266, 4.25344,
      4.0133,    9.19018, 14.6057, 12.6279, -0.199707, 2.04123, 4.1222,  8.35302, 14.0468,
      1.75985,   11.7975, 13.974,  9.46002, 9.93607,   4.49188, 8.42346, 12.6253, 11.5462,
      1.07144,   14.0381, 13.2288, 6.96669, 18.2232,   6.89159, 11.5701, 14.9495, 8.25777}},
};

TEST(Resize, AgreesWithPillow) {
  for (const Case& c : cases) {
    for (const ny::DType dtype : {ny::float32, ny::float64}) {
      const ny::Array resized = ny::image::resize(picture(dtype), c.height, c.width, c.method);
      ASSERT_EQ(resized.shape(), (ny::Shape{c.height, c.width, 1}));
      ASSERT_EQ(resized.dtype(), dtype);
      const std::vector<double> values = resized.to_vector<double>();
      for (std::size_t i = 0; i < values.size(); ++i)
        EXPECT_NEAR(values[i], c.expected[i], 6e-5)
            << "method " << static_cast<int>(c.method) << " " << c.height << "x" << c.width
            << " pixel " << i;
    }
  }
}

TEST(Resize, TreatsChannelsAlike) {
  const ny::Array one = picture();
  const ny::Array three = ny::concatenate({one, 2.0 * one, one + 1.0}, 2);
  const ny::Array resized = ny::image::resize(three, 3, 9, ny::Resize::bicubic);
  const ny::Array alone = ny::image::resize(one, 3, 9, ny::Resize::bicubic);
  const ny::Array expected = ny::concatenate({alone, 2.0 * alone, alone + 1.0}, 2);
  EXPECT_LT(max(abs(resized - expected)).item<double>(), 1e-12);
}

TEST(Resize, HasTheGradientOfALinearMap) {
  const ny::Array weights = reshape(sin(ny::arange(0.0, 27.0, 1.0, ny::float64)), {3, 9, 1});
  const auto f = [&](const ny::Array& x) {
    return sum(weights * ny::image::resize(x, 3, 9, ny::Resize::bicubic));
  };
  const ny::Array slope = ny::grad(f, picture());
  // Linear: f(x) = <slope, x> for every x.
  const ny::Array other = square(picture()) - 3.0;
  EXPECT_NEAR(sum(slope * other).item<double>(), f(other).item<double>(), 1e-9);
}

TEST(Resize, RefusesWhatIsNoPicture) {
  EXPECT_THROW(ny::image::resize(ny::ones({4, 4}), 2, 2), ny::ShapeError);
  EXPECT_THROW(ny::image::resize(ny::ones({4, 0, 3}), 2, 2), ny::ShapeError);
  EXPECT_THROW(ny::image::resize(ny::ones({4, 4, 3}), 0, 2), ny::ShapeError);
  EXPECT_THROW(ny::image::resize(ny::ones({4, 4, 3}, ny::uint8), 2, 2), ny::DtypeError);
  EXPECT_THROW(ny::image::resize(1.0, 2, 2), ny::ShapeError);
}

}  // namespace
