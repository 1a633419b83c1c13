// Reading values as another type: what item() and to_vector() do.
// SPDX-License-Identifier: Apache-2.0
#include "core/convert.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "noyau/error.hpp"

namespace noyau {
namespace {

/// Calls f with a value of the C++ type of a dtype that has one.
template <class F>
void with_type(DType type, F f) {
  switch (type) {
    case bool_:
      return f(bool{});
    case int8:
      return f(std::int8_t{});
    case int16:
      return f(std::int16_t{});
    case int32:
      return f(std::int32_t{});
    case int64:
      return f(std::int64_t{});
    case uint8:
      return f(std::uint8_t{});
    case uint16:
      return f(std::uint16_t{});
    case uint32:
      return f(std::uint32_t{});
    case uint64:
      return f(std::uint64_t{});
    case float32:
      return f(float{});
    case float64:
      return f(double{});
    case float16:
    case bfloat16:
      break;
  }
  throw InternalError("convert_values: a dtype that does not exist");
}

template <class To, class From>
bool representable(From value) {
  if constexpr (std::is_floating_point_v<To>) {
    return true;
  } else if constexpr (std::is_same_v<To, bool>) {
    return value == From{0} || value == From{1};
  } else if constexpr (std::is_same_v<From, bool>) {
    return true;
  } else if constexpr (std::is_floating_point_v<From>) {
    // 2^digits is exact in From; so are the limits of signed types, being powers of two.
    const From above = std::ldexp(From{1}, std::numeric_limits<To>::digits);
    const From below = std::is_signed_v<To> ? -above : From{0};
    return value >= below && value < above && std::trunc(value) == value;
  } else {
    return std::in_range<To>(value);
  }
}

template <class From>
[[noreturn]] void refuse(From value, std::int64_t element, DType from, DType to) {
  throw DtypeError(fmt::format(
      "[read] element {} is {}, which {} cannot represent: read this {} array as {}, or convert it "
      "first with astype(x, noyau::{})",
      element, value, name(to), name(from), name(is_half(from) ? float32 : from),
      to == bool_ ? "bool_" : name(to)));
}

/// From and to types that C++ has. A refusal speaks of `given`.
void convert_plain(const void* from, DType from_type, DType given, void* to, DType to_type,
                   std::size_t n) {
  with_type(from_type, [&](auto source) {
    using From = decltype(source);
    with_type(to_type, [&](auto target) {
      using To = decltype(target);
      const auto* in = static_cast<const From*>(from);
      auto* out = static_cast<To*>(to);
      for (std::size_t i = 0; i < n; ++i) {
        if (!representable<To>(in[i])) {
          refuse(in[i], static_cast<std::int64_t>(i), given, to_type);
        }
        out[i] = static_cast<To>(in[i]);
      }
    });
  });
}

void round_to_halves(const void* from, DType from_type, void* to, DType to_type, std::size_t n) {
  with_type(from_type, [&](auto source) {
    using From = decltype(source);
    const auto* in = static_cast<const From*>(from);
    auto* out = static_cast<std::uint16_t*>(to);
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = static_cast<std::uint16_t>(Scalar::of(in[i]).as(to_type).bits);
    }
  });
}

std::vector<float> widened(const void* from, DType from_type, std::size_t n) {
  const auto* in = static_cast<const std::uint16_t*>(from);
  std::vector<float> wide(n);
  for (std::size_t i = 0; i < n; ++i) {
    wide[i] = static_cast<float>(Scalar{from_type, in[i]}.to_double());
  }
  return wide;
}

}  // namespace

void convert_values(const void* from, DType from_type, void* to, DType to_type,
                    std::int64_t count) {
  const auto n = static_cast<std::size_t>(count);
  if (n == 0) return;
  if (from_type == to_type) {
    std::memcpy(to, from, n * size_of(to_type));
    return;
  }
  if (is_half(from_type)) {
    const std::vector<float> wide = widened(from, from_type, n);
    if (is_half(to_type)) return round_to_halves(wide.data(), float32, to, to_type, n);
    return convert_plain(wide.data(), float32, from_type, to, to_type, n);
  }
  if (is_half(to_type)) return round_to_halves(from, from_type, to, to_type, n);
  convert_plain(from, from_type, from_type, to, to_type, n);
}

}  // namespace noyau
