// The reference meaning of random nodes, and a plain Philox4x32-10.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "noyau/error.hpp"
#include "ops/reference_ops.hpp"

namespace noyau::reference {
namespace {

std::uint32_t low_word(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high_word(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

/// A number in [0, 1) with as many bits as the dtype has: 24 or 53.
double unit(DType dtype, const PhiloxWords& bits) {
  if (dtype == float32) return std::ldexp(static_cast<double>(bits.word[0] >> 8), -24);
  const std::uint64_t both = bits.word[0] | std::uint64_t{bits.word[1]} << 32;
  return std::ldexp(static_cast<double>(both >> 11), -53);
}

/// Box and Muller's transform of the first two words. u1 is in (0, 1], so that its logarithm is
/// finite.
template <class T>
double normal(const PhiloxWords& bits) {
  const T u1 = static_cast<T>(std::ldexp(static_cast<double>(bits.word[0]) + 1, -32));
  const T u2 = static_cast<T>(std::ldexp(static_cast<double>(bits.word[1]), -32));
  const long double angle = 2 * 3.14159265358979323846264338327950288L * u2;
  return static_cast<double>(std::sqrt(-2 * std::log(static_cast<long double>(u1))) *
                             std::cos(angle));
}

std::uint64_t integer_below(std::uint64_t range, const PhiloxWords& bits) {
  const std::uint64_t both = bits.word[0] | std::uint64_t{bits.word[1]} << 32;
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(both) * range >> 64);
}

double uniform(const Node& node, const RandomAttributes& a, const PhiloxWords& bits,
               Rounding rounding) {
  const double u = unit(node.dtype, bits);
  const double low = a.low.to_double(), high = a.high.to_double();
  if (low == 0 && high == 1) return u;
  if (node.dtype == float32 && rounding == Rounding::each_operation) {
    const float from = static_cast<float>(low), width = static_cast<float>(high) - from;
    return std::fma(static_cast<float>(u), width, from);
  }
  return std::fma(u, high - low, low);
}

}  // namespace

PhiloxWords philox(PhiloxWords counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter.word[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter.word[2];
    counter = {{high_word(b) ^ counter.word[1] ^ key0, low_word(b),
                high_word(a) ^ counter.word[3] ^ key1, low_word(a)}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

Value random(const Node& node, Rounding rounding) {
  const auto& a = std::get<RandomAttributes>(node.attributes);
  Value result(node.dtype, node.shape);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const PhiloxWords bits =
        philox({{low_word(i), high_word(i), low_word(a.call), high_word(a.call)}}, low_word(a.seed),
               high_word(a.seed));
    switch (a.distribution) {
      case Distribution::bits32:
        result.integers[i] = wrap(node.dtype, bits.word[0]);
        break;
      case Distribution::bits64:
        result.integers[i] = bits.word[0] | std::uint64_t{bits.word[1]} << 32;
        break;
      case Distribution::uniform:
        result.reals[i] = uniform(node, a, bits, rounding);
        break;
      case Distribution::normal:
        result.reals[i] =
            rounded(node.dtype == float32 ? normal<float>(bits) : normal<double>(bits), node.dtype,
                    rounding);
        break;
      case Distribution::integers: {
        const std::uint64_t low = static_cast<std::uint64_t>(a.low.to_int64());
        const std::uint64_t range = static_cast<std::uint64_t>(a.high.to_int64()) - low;
        result.integers[i] = wrap(node.dtype, low + integer_below(range, bits));
        break;
      }
    }
  }
  return result;
}

}  // namespace noyau::reference
