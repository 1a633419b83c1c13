// Inputs of tests: special values, random values, and every elementwise operation by its number.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "noyau/noyau.hpp"
#include "ops/reference.hpp"

namespace noyau::test {

inline constexpr DType all_dtypes[] = {bool_,  int8,   int16,   int32,   int64,   uint8,   uint16,
                                       uint32, uint64, float32, float64, float16, bfloat16};
static_assert(std::size(all_dtypes) == dtype_count);

/// A small generator of numbers that is the same everywhere (splitmix64).
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits();
  /// In [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high);
  /// In [0, 1).
  double unit();
  bool chance(double probability) { return unit() < probability; }
  template <class Container>
  auto& pick(Container& from) {
    return from[static_cast<std::size_t>(
        between(0, static_cast<std::int64_t>(std::size(from)) - 1))];
  }

 private:
  std::uint64_t state_;
};

/// The values at the edges of `dtype`: NaN, zeros, infinities, denormals, least and greatest.
reference::Value special_values(DType dtype);
/// `shape` of values drawn from [low, high] (clipped to what dtype holds), each an element of
/// special_values with probability `special`.
reference::Value random_values(Numbers& numbers, DType dtype, const Shape& shape, double low,
                               double high, double special = 0);
/// An evaluated array of these values.
Array array_of(const reference::Value& value);
inline Array random_array(Numbers& numbers, DType dtype, const Shape& shape, double low = -9,
                          double high = 9, double special = 0) {
  return array_of(random_values(numbers, dtype, shape, low, high, special));
}

/// The public function of an operation.
Array call(ops::ElementwiseOp op, const std::vector<Array>& inputs);
/// The dtypes of arrays that an operation takes; for `where`, of its last two.
std::vector<DType> dtypes_of(ops::TypeRule rule);

}  // namespace noyau::test
