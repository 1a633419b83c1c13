// What is painted: a night sky with glowing discs and vortices over hills, as functions of the
// place.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <noyau/noyau.hpp>
#include <vector>

namespace paint {

/// Places: x from 0 to the picture's width over its height, y from 0 (top) to 1. Any shape.
struct Place {
  noyau::Array x, y;
};
/// Red, green, blue of 0 to 1.
using Color = std::array<noyau::Array, 3>;
/// A unit vector at each place.
struct Direction {
  noyau::Array x, y;
};

class Scene {
 public:
  /// A scene for a picture of this width over height; the seed moves its waves.
  Scene(double aspect, std::uint64_t seed);
  Color color(const Place& at) const;
  /// Where the wind blows: the curl of a stream function, by the library's own gradients.
  Direction flow(const Place& at) const;
  /// 1 at discs and vortices, falling to 0 away from them: where finer strokes go.
  noyau::Array interest(const Place& at) const;

 private:
  struct Wave {
    double kx, ky, phase, size;
  };
  struct Vortex {
    double x, y, radius, strength;
  };
  struct Disc {
    double x, y, radius;
    std::array<double, 3> color;
  };
  noyau::Array stream(const Place& at) const;
  noyau::Array hill(const noyau::Array& x) const;
  Color sky(const Place& at) const;
  Color ground(const Place& at) const;

  std::vector<Wave> waves_;
  std::vector<Vortex> vortices_;
  std::vector<Disc> discs_;
};

}  // namespace paint
