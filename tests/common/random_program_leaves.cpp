// Leaves of random programs, and values as C++.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "tests/common/random_program_author.hpp"

namespace noyau::test {
namespace {

using Values = std::vector<Array>;

}  // namespace

std::string text_of(const Shape& shape) {
  return fmt::format("Shape{{{}}}", fmt::join(shape.begin(), shape.end(), ", "));
}
std::string text_of(double v) {
  if (std::isnan(v)) return "NAN";
  if (std::isinf(v)) return v > 0 ? "INFINITY" : "-INFINITY";
  return fmt::format("{:a}", v);
}
/// C++ that makes an array of these values.
std::string text_of(const reference::Value& value) {
  std::vector<std::string> elements;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value.is_real()) elements.push_back(text_of(value.reals[i]));
    else if (is_signed_integer(value.dtype)) {
      const auto v = static_cast<std::int64_t>(value.integers[i]);
      elements.push_back(v == INT64_MIN ? "INT64_MIN" : fmt::format("{}", v));
    } else {
      elements.push_back(fmt::format("{}{}", value.integers[i], value.dtype == uint64 ? "u" : ""));
    }
  }
  if (is_half(value.dtype)) {
    reference::Value wide = value;
    wide.dtype = float32;
    return fmt::format("astype({}, {})", text_of(wide), name(value.dtype));
  }
  const std::string type = value.dtype == bool_     ? "bool"
                           : value.dtype == float32 ? "float"
                           : value.dtype == float64 ? "double"
                                                    : fmt::format("std::{}_t", name(value.dtype));
  return fmt::format("array(std::vector<{}>{{{}}}, {})", type, fmt::join(elements, ", "),
                     text_of(value.shape));
}
std::string text_of(DType dtype) { return dtype == bool_ ? "bool_" : std::string(name(dtype)); }

std::int64_t Author::some_extent() {
  static const std::int64_t extents[] = {0, 1, 1, 2, 3, 3, 4, 5, 7, 8, 13, 16, 17, 31};
  return numbers_.pick(extents);
}

Shape Author::some_shape() {
  Shape result;
  const std::int64_t rank = numbers_.between(0, 4);
  for (std::int64_t k = 0; k < rank; ++k) {
    std::int64_t extent = some_extent();
    if (extent == 0 && numbers_.chance(0.7)) extent = 1;
    const bool fits = result.elements() * extent <= most_elements / 4;
    result.push_back(fits ? extent : 1);
  }
  return result;
}

DType Author::some_dtype() {
  if (numbers_.chance(0.4)) return float32;
  if (numbers_.chance(0.2)) return float64;
  return numbers_.pick(all_dtypes);
}

void Author::leaf() {
  const Shape shape = some_shape();
  const DType dtype = some_dtype();
  switch (numbers_.between(0, 9)) {
    case 0: {
      const reference::Value one = random_values(numbers_, dtype, {}, -5, 5, 0.4);
      const double v = one.to_double(0);
      const std::string literal = one.is_real() ? text_of(v) : fmt::format("{}", v);
      return add(fmt::format("full({}, {}, {})", text_of(shape), literal, text_of(dtype)), {},
                 [=](const Values&) { return full(shape, v, dtype); });
    }
    case 1: {
      const std::int64_t count = some_extent(), step = numbers_.between(1, 3);
      const DType type = dtype == bool_ ? int32 : dtype;
      return add(fmt::format("arange(0, {}, {}, {})", count * step, step, text_of(type)), {},
                 [=](const Values&) { return arange(0, count * step, step, type); });
    }
    case 2: {
      const std::uint64_t seed = numbers_.bits();
      const DType type = is_floating(dtype) ? dtype : float32;
      return add(fmt::format("random::Generator({}u).uniform({}, {})", seed, text_of(shape),
                             text_of(type)),
                 {}, [=](const Values&) { return random::Generator(seed).uniform(shape, type); });
    }
    default: {
      const double size = numbers_.chance(0.3) ? 100 : 3;
      const double special = numbers_.chance(0.3) ? 0.15 : 0;
      const reference::Value data = random_values(numbers_, dtype, shape, -size, size, special);
      return add(text_of(data), {}, [data](const Values&) { return array_of(data); });
    }
  }
}

}  // namespace noyau::test
