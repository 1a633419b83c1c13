// Inputs of tests.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/values.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "noyau/error.hpp"

namespace noyau::test {
namespace {

using reference::Value;

template <class T>
std::vector<double> special_reals() {
  using Limits = std::numeric_limits<T>;
  std::vector<double> result;
  for (T v : {T{0}, T{1}, T(0.5), T(1.5), T(2.5), T(3), Limits::min(), Limits::denorm_min(),
              Limits::min() - Limits::denorm_min(), Limits::max(), Limits::epsilon(),
              Limits::infinity(), T(1e10), T(16777217)}) {
    result.push_back(static_cast<double>(v));
    result.push_back(static_cast<double>(-v));
  }
  result.push_back(std::numeric_limits<double>::quiet_NaN());
  return result;
}

/// Of a 16-bit float: its least normal number, its least and greatest numbers, its epsilon.
std::vector<double> special_halves(double normal, double least, double greatest, double epsilon) {
  std::vector<double> result;
  for (double v : {0.0, 1.0, 0.5, 1.5, 2.5, 3.0, normal, least, normal - least, greatest, epsilon,
                   std::numeric_limits<double>::infinity(), 1024.0, 2048.0}) {
    result.push_back(v);
    result.push_back(-v);
  }
  result.push_back(std::numeric_limits<double>::quiet_NaN());
  return result;
}

std::vector<double> special_reals(DType dtype) {
  switch (dtype) {
    case float16:
      return special_halves(0x1p-14, 0x1p-24, 65504, 0x1p-10);
    case bfloat16:
      return special_halves(0x1p-126, 0x1p-133, 0x1.fep127, 0x1p-7);
    case float32:
      return special_reals<float>();
    default:
      return special_reals<double>();
  }
}

Value with(DType dtype, const std::vector<std::uint64_t>& integers) {
  Value value(dtype, Shape{static_cast<std::int64_t>(integers.size())});
  for (std::size_t i = 0; i < integers.size(); ++i) {
    value.integers[i] = reference::wrap(dtype, integers[i]);
  }
  return value;
}

}  // namespace

std::uint64_t Numbers::bits() {
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}
std::int64_t Numbers::between(std::int64_t low, std::int64_t high) {
  const std::uint64_t range = static_cast<std::uint64_t>(high - low) + 1;
  return low + static_cast<std::int64_t>(range == 0 ? bits() : bits() % range);
}
double Numbers::unit() { return std::ldexp(static_cast<double>(bits() >> 11), -53); }

Value special_values(DType dtype) {
  if (is_floating(dtype)) {
    const std::vector<double> reals = special_reals(dtype);
    Value value(dtype, Shape{static_cast<std::int64_t>(reals.size())});
    value.reals = reals;
    return value;
  }
  if (dtype == bool_) return with(dtype, {0, 1});
  const std::uint64_t top = std::uint64_t{1} << (8 * size_of(dtype) - 1);
  return with(dtype, {0, 1, 2, 3, 7, 8, 31, 64, 100, 0 - std::uint64_t{1}, 0 - std::uint64_t{2},
                      0 - std::uint64_t{3}, 0 - std::uint64_t{7}, top, top - 1, top + 1});
}

Value random_values(Numbers& numbers, DType dtype, const Shape& shape, double low, double high,
                    double special) {
  const Value specials = special_values(dtype);
  Value value(dtype, shape);
  const auto least =
      static_cast<std::int64_t>(std::ceil(is_signed(dtype) ? low : std::max(low, 0.0)));
  const auto most = std::max(least, static_cast<std::int64_t>(std::floor(high)));
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (numbers.chance(special)) {
      const auto last = static_cast<std::int64_t>(specials.size()) - 1;
      value.copy_element(i, specials, static_cast<std::size_t>(numbers.between(0, last)));
    } else if (value.is_real()) {
      const double v = low + (high - low) * numbers.unit();
      value.reals[i] = Scalar::of(v).as(dtype).to_double();
    } else if (dtype == bool_) {
      value.integers[i] = numbers.bits() & 1;
    } else {
      value.integers[i] =
          reference::wrap(dtype, static_cast<std::uint64_t>(numbers.between(least, most)));
    }
  }
  return value;
}

Array array_of(const Value& value) {
  const std::size_t bytes = size_of(value.dtype);
  std::vector<std::byte> packed(value.size() * bytes);
  for (std::size_t i = 0; i < value.size(); ++i) {
    const Scalar one = value.is_real() ? Scalar::of(value.reals[i]).as(value.dtype)
                                       : Scalar{value.dtype, value.integers[i]};
    std::memcpy(packed.data() + i * bytes, &one.bits, bytes);
  }
  return detail::make_array_checked(packed.data(), value.size(), value.dtype, value.shape,
                                    value.dtype);
}

Array call(ops::ElementwiseOp op, const std::vector<Array>& in) {
#define NOYAU_CALL_1(name) noyau::name(in[0])
#define NOYAU_CALL_2(name) noyau::name(in[0], in[1])
#define NOYAU_CALL_3(name) noyau::name(in[0], in[1], in[2])
  switch (op) {
#define NOYAU_OP(name, inputs, rule, meaning, dx, dy, dz, low, high) \
  case ops::ElementwiseOp::name:                                     \
    return NOYAU_CALL_##inputs(name);
#include "noyau/ops.def"
  }
  throw InternalError("an operation that does not exist");
}

std::vector<DType> dtypes_of(ops::TypeRule rule) {
  const auto takes = [rule](DType t) {
    switch (rule) {
      case ops::TypeRule::numeric:
        return t != bool_;
      case ops::TypeRule::bitwise:
        return !is_floating(t);
      case ops::TypeRule::shift:
        return is_integer(t);
      default:
        return true;
    }
  };
  std::vector<DType> result;
  std::copy_if(std::begin(all_dtypes), std::end(all_dtypes), std::back_inserter(result), takes);
  return result;
}

}  // namespace noyau::test
