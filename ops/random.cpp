// Random arrays: nodes that know their seed and the number of the call.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "noyau/error.hpp"
#include "ops/build.hpp"

namespace noyau::random {
namespace {

Array random_node(const Shape& shape, DType dtype, RandomAttributes attributes) {
  return make_node(
      {.kind = NodeKind::random, .dtype = dtype, .shape = shape, .attributes = attributes});
}

void check_floating(DType dtype, std::string_view operation) {
  if (is_floating(dtype)) return;
  throw DtypeError(fmt::format("[{}] of {}: gives floats; use integers(low, high, shape, dtype)",
                               operation, name(dtype)));
}

/// The greatest number of a dtype of 16 bits that is less than `bound`.
Scalar half_below(double bound, DType dtype) {
  Scalar s = Scalar::of(bound).as(dtype);
  if (s.to_double() < bound) return s;
  if (s.to_double() == 0) s.bits = 0x8001;
  else if (s.to_double() > 0) --s.bits;
  else ++s.bits;
  return s;
}

}  // namespace

Array Generator::uniform(const Shape& shape, DType dtype) { return uniform(shape, 0, 1, dtype); }

Array Generator::uniform(const Shape& shape, double low, double high, DType dtype) {
  check_floating(dtype, "uniform");
  const auto finite = [](double value, DType type) {
    return std::isfinite(Scalar::of(value).as(type).to_double());
  };
  if (!(low < high) || !finite(low, dtype) || !finite(high, dtype) ||
      !finite(high - low, ops::computed_in(dtype))) {
    throw ValueError(fmt::format(
        "[uniform] in [{}, {}): low < high, and the bounds and their distance are finite numbers "
        "of {}",
        low, high, name(dtype)));
  }
  if (is_half(dtype)) {
    // As many bits as the significand has, so that in [0, 1) nothing is rounded up to 1; elsewhere
    // much is.
    const double steps = dtype == float16 ? 2048 : 256;
    const Array unit = floor(uniform(shape, 0, 1, float32) * steps);
    const double last = std::max(half_below(high, dtype).to_double(), low);
    return astype(minimum(fma(unit, (high - low) / steps, low), last), dtype);
  }
  return random_node(shape, dtype,
                     {.distribution = Distribution::uniform,
                      .seed = seed_,
                      .call = calls_++,
                      .low = Scalar::of(low).as(dtype),
                      .high = Scalar::of(high).as(dtype)});
}

Array Generator::normal(const Shape& shape, DType dtype) {
  check_floating(dtype, "normal");
  if (is_half(dtype)) return astype(normal(shape, float32), dtype);
  return random_node(shape, dtype,
                     {.distribution = Distribution::normal, .seed = seed_, .call = calls_++});
}

Array Generator::integers(std::int64_t low, std::int64_t high, const Shape& shape, DType dtype) {
  if (!is_integer(dtype)) {
    throw DtypeError(fmt::format("[integers] of {}: gives integers; use uniform", name(dtype)));
  }
  if (low >= high) {
    throw ValueError(fmt::format("[integers] in [{}, {}): low must be less than high", low, high));
  }
  const auto fits = [&](std::int64_t value) {
    const Scalar s = Scalar::of(value).as(dtype);
    return s.to_int64() == value && !(dtype == uint64 && value < 0);
  };
  if (!fits(low) || !fits(high - 1)) {
    throw DtypeError(fmt::format("[integers] in [{}, {}): {} cannot hold them all; use int64", low,
                                 high, name(dtype)));
  }
  return random_node(shape, dtype,
                     {.distribution = Distribution::integers,
                      .seed = seed_,
                      .call = calls_++,
                      .low = Scalar::of(low),
                      .high = Scalar::of(high)});
}

}  // namespace noyau::random
