// Creation: constants, ranges, the identity matrix.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "noyau/error.hpp"
#include "ops/build.hpp"

namespace noyau {
namespace {

Array iota(const Shape& shape, IotaAttributes attributes, DType dtype) {
  return make_node(
      {.kind = NodeKind::iota, .dtype = dtype, .shape = shape, .attributes = attributes});
}

/// How many of start, start + step, ... come before stop.
std::int64_t range_length(Scalar start, Scalar stop, Scalar step) {
  if (is_floating(start.dtype)) {
    const double count = std::ceil((stop.to_double() - start.to_double()) / step.to_double());
    if (!(count < 9.2e18)) {
      throw ValueError(fmt::format(
          "[arange] from {} to {} by {} has no end that fits: give finite values and a larger step",
          start.to_double(), stop.to_double(), step.to_double()));
    }
    return count < 0 ? 0 : static_cast<std::int64_t>(count);
  }
  const auto wide = [](Scalar s) {
    return s.dtype == uint64 ? static_cast<__int128>(s.bits) : static_cast<__int128>(s.to_int64());
  };
  const __int128 distance = wide(stop) - wide(start), by = wide(step);
  if (distance == 0 || (distance < 0) != (by < 0)) return 0;
  const __int128 count = (distance + by + (by < 0 ? 1 : -1)) / by;
  return count > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(count);
}

}  // namespace

Array zeros(const Shape& shape, DType dtype) { return detail::full(shape, Scalar::of(0), dtype); }
Array ones(const Shape& shape, DType dtype) { return detail::full(shape, Scalar::of(1), dtype); }

namespace detail {

Array full(const Shape& shape, Scalar value, DType dtype) {
  if (!ops::fits(value, dtype)) {
    throw DtypeError(fmt::format("[full] the number {} does not fit into {}; give another dtype",
                                 ops::integer_text(value), name(dtype)));
  }
  return ops::constant(value.as(dtype), shape, default_device(), {});
}

Array arange(Scalar start, Scalar stop, Scalar step, std::optional<DType> dtype) {
  const DType type = dtype ? *dtype : is_floating(start.dtype) ? float32 : int64;
  if (type == bool_) {
    throw DtypeError("[arange] means nothing for bool: make int64 and compare, arange(n) > 0");
  }
  if (step.to_double() == 0) {
    throw ValueError("[arange] a step of 0 never gets anywhere: give another step");
  }
  const DType compute = is_half(type) ? float32 : type;
  return ops::cast(iota({range_length(start, stop, step)},
                        {.start = start.as(compute), .step = step.as(compute)}, compute),
                   type, {});
}

}  // namespace detail

Array linspace(double start, double stop, std::int64_t count, DType dtype) {
  if (count < 0) {
    throw ValueError(fmt::format("[linspace] a count of {}: counts are 0 or more", count));
  }
  const DType compute = is_half(dtype) ? float32 : is_floating(dtype) ? dtype : float64;
  const double step = count > 1 ? (stop - start) / static_cast<double>(count - 1) : 0;
  IotaAttributes attributes{.start = Scalar::of(start).as(compute),
                            .step = Scalar::of(step).as(compute)};
  if (count > 1) attributes.last = Scalar::of(stop).as(compute);
  return ops::cast(iota({count}, attributes, compute), dtype, {});
}

Array eye(std::int64_t rows, std::int64_t columns, DType dtype) {
  const Shape shape{rows, columns < 0 ? rows : columns};
  if (rows < 0) throw ShapeError(fmt::format("[eye] {} rows: there are 0 or more", rows));
  IotaAttributes number{.start = Scalar::of(std::int64_t{0}), .step = Scalar::of(std::int64_t{1})};
  const Array row = iota(shape, number, int64);
  number.axis = 1;
  return ops::cast(equal(row, iota(shape, number, int64)), dtype, {});
}

}  // namespace noyau
