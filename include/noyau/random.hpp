// Random numbers: Philox4x32-10 (Salmon et al., SC 2011), the same on every device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "noyau/array.hpp"

namespace noyau::random {

/// value = f(seed, number of the call, element), whether or not the array is ever evaluated.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) : seed_(seed) {}
  Array uniform(const Shape& shape, DType dtype = float32);  ///< in [0, 1)
  Array uniform(const Shape& shape, double low, double high,
                DType dtype = float32);                     ///< in [low, high)
  Array normal(const Shape& shape, DType dtype = float32);  ///< mean 0, deviation 1
  Array integers(std::int64_t low, std::int64_t high, const Shape& shape,
                 DType dtype = int64);  ///< in [low, high)
  std::uint64_t calls() const { return calls_; }

 private:
  std::uint64_t seed_, calls_ = 0;
};

}  // namespace noyau::random
