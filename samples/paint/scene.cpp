// The night sky: stream function, flow and colours.
// SPDX-License-Identifier: Apache-2.0
#include "samples/paint/scene.hpp"

#include <cmath>
#include <numbers>
#include <random>

namespace ny = noyau;
using ny::Array;

namespace paint {
namespace {

using Tint = std::array<double, 3>;

Color mix(const Color& color, const Tint& tint, const Array& share) {
  Color result;
  for (std::size_t c = 0; c < 3; ++c) result[c] = color[c] + (tint[c] - color[c]) * share;
  return result;
}
Color mix(const Color& a, const Color& b, const Array& share) {
  Color result;
  for (std::size_t c = 0; c < 3; ++c) result[c] = a[c] + (b[c] - a[c]) * share;
  return result;
}
Color gradient(const Tint& from, const Tint& to, const Array& share) {
  Color result;
  for (std::size_t c = 0; c < 3; ++c) result[c] = from[c] + (to[c] - from[c]) * share;
  return result;
}

/// A wave between 0 and 1.
Array ripple(const Array& phase) { return 0.5 + 0.5 * sin(phase); }

/// exp(-d^2) of the distance d to (x, y) in units of `radius`.
Array bell(const Place& at, double x, double y, double radius) {
  return exp((square(at.x - x) + square(at.y - y)) * (-1 / (radius * radius)));
}

/// Uniform numbers that are the same with every standard library.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : engine_(seed) {}
  double uniform(double low, double high) {
    return low + (high - low) * std::ldexp(static_cast<double>(engine_() >> 11), -53);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace

Scene::Scene(double aspect, std::uint64_t seed) {
  Numbers numbers(seed);
  struct Band {
    int count;
    double frequency, size;
  };
  for (const Band& band : {Band{4, 3.0, 0.05}, Band{5, 6.0, 0.02}, Band{4, 11.0, 0.006}}) {
    for (int i = 0; i < band.count; ++i) {
      const double angle = numbers.uniform(0, 2 * std::numbers::pi);
      const double k = band.frequency * numbers.uniform(0.6, 1.6);
      waves_.push_back({k * std::cos(angle), k * std::sin(angle),
                        numbers.uniform(0, 2 * std::numbers::pi), band.size});
    }
  }
  vortices_ = {{0.40 * aspect, 0.36, 0.17, 0.256},
               {0.66 * aspect, 0.50, 0.12, -0.160},
               {0.12 * aspect, 0.58, 0.09, 0.096}};
  discs_ = {{0.86 * aspect, 0.17, 0.075, {1.0, 0.86, 0.42}},  // the moon
            {0.13 * aspect, 0.20, 0.045, {1.0, 0.93, 0.66}},
            {0.30 * aspect, 0.11, 0.028, {0.98, 0.95, 0.80}},
            {0.55 * aspect, 0.14, 0.034, {1.0, 0.90, 0.55}},
            {0.70 * aspect, 0.31, 0.026, {0.95, 0.97, 0.88}},
            {0.24 * aspect, 0.40, 0.030, {1.0, 0.88, 0.50}},
            {0.92 * aspect, 0.50, 0.034, {1.0, 0.93, 0.70}},
            {0.05 * aspect, 0.45, 0.020, {0.95, 0.95, 0.90}},
            {0.47 * aspect, 0.62, 0.022, {1.0, 0.90, 0.60}}};
}

Array Scene::hill(const Array& x) const {
  return 0.80 + 0.05 * sin(2.1 * x + 0.6) + 0.025 * sin(5.3 * x + 2.0) + 0.012 * sin(11.0 * x);
}

Array Scene::stream(const Place& at) const {
  Array p = 0.35 * at.y;
  for (const Wave& wave : waves_)
    p += wave.size * sin(wave.kx * at.x + wave.ky * at.y + wave.phase);
  for (const Vortex& v : vortices_)
    p += v.strength * bell(at, v.x, v.y, std::numbers::sqrt2 * v.radius);
  // Round a disc the wind of the sky gives way to one that circles it.
  for (const Disc& disc : discs_) {
    const Array near = bell(at, disc.x, disc.y, 2.6 * disc.radius);
    p = p * (1.0 - 0.8 * near) + 2.4 * disc.radius * near;
  }
  // Below the skyline it follows the slope.
  const Array below = sigmoid(80.0 * (at.y - hill(at.x)));
  const Array slope = 1.2 * (at.y - 0.6 * hill(at.x)) + 0.02 * sin(9.0 * at.x + 14.0 * at.y);
  return p + (slope - p) * below;
}

Direction Scene::flow(const Place& at) const {
  const auto total = [&](std::span<const Array> in) { return sum(stream({in[0], in[1]})); };
  const std::vector<Array> slope = ny::grad(total, {at.x, at.y});
  const Array length = sqrt(square(slope[0]) + square(slope[1])) + 1e-6;
  return {slope[1] / length, -slope[0] / length};
}

Color Scene::sky(const Place& at) const {
  const Array p = stream(at);
  Color color = gradient({0.035, 0.07, 0.26}, {0.13, 0.30, 0.55}, clamp(at.y * 1.25, 0.0, 1.0));
  color = mix(color, Tint{0.10, 0.42, 0.66}, 0.55 * square(ripple(42.0 * p)));
  color = mix(color, Tint{0.62, 0.80, 0.83}, 0.50 * power(ripple(63.0 * p + 1.3), 6.0));
  for (const Vortex& v : vortices_)
    color = mix(color, Tint{0.75, 0.86, 0.80},
                0.42 * bell(at, v.x, v.y, v.radius) * (0.4 + 0.6 * ripple(70.0 * p)));
  const Array glow = exp(-square((at.y - hill(at.x) + 0.03) / 0.07));
  color = mix(color, Tint{0.80, 0.72, 0.45}, 0.55 * glow);
  for (const Disc& disc : discs_) {
    const Array distance = sqrt(square(at.x - disc.x) + square(at.y - disc.y)) / disc.radius;
    const Array rings = 0.35 + 0.65 * (0.5 + 0.5 * cos(4.6 * distance));
    color = mix(color, Tint{0.96, 0.70, 0.18}, 0.95 * exp(-square(distance / 2.5)) * rings);
    color = mix(color, disc.color, sigmoid(9.0 * (0.95 - distance)));
  }
  return color;
}

Color Scene::ground(const Place& at) const {
  const Array patches = 0.5 + 0.5 * sin(23.0 * at.x + 31.0 * at.y) * sin(17.0 * at.x - 9.0 * at.y);
  const Color color = gradient({0.03, 0.10, 0.17}, {0.12, 0.30, 0.20}, patches);
  const Array furrows = power(ripple(40.0 * (at.y - hill(at.x)) + 6.0 * at.x), 8.0);
  return mix(color, Tint{0.62, 0.52, 0.18}, 0.55 * furrows);
}

Color Scene::color(const Place& at) const {
  return mix(sky(at), ground(at), sigmoid(120.0 * (at.y - hill(at.x))));
}

Array Scene::interest(const Place& at) const {
  Array most = ny::zeros({});
  for (const Disc& disc : discs_) most = maximum(most, bell(at, disc.x, disc.y, 3 * disc.radius));
  for (const Vortex& v : vortices_) most = maximum(most, 0.8 * bell(at, v.x, v.y, 1.2 * v.radius));
  return most;
}

}  // namespace paint
