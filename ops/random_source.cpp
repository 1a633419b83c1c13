// Philox4x32-10 and the distributions made from it, in the kernel language.
// SPDX-License-Identifier: Apache-2.0
#include "ops/random_source.hpp"

#include <mutex>

#include "ops/math.hpp"

namespace noyau::ops {
namespace {

// The counter is (element, call), the key the seed. The first two words of the block are the
// element's 64 bits.
constexpr std::string_view source = R"(
ulong philox_bits(ulong element, ulong seed, ulong call) {
  uint c0 = (uint)element;
  uint c1 = (uint)(element >> 32);
  uint c2 = (uint)call;
  uint c3 = (uint)(call >> 32);
  uint k0 = (uint)seed;
  uint k1 = (uint)(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    ulong p0 = (ulong)0xD2511F53u * (ulong)c0;
    ulong p1 = (ulong)0xCD9E8D57u * (ulong)c2;
    uint n0 = (uint)(p1 >> 32) ^ c1 ^ k0;
    uint n2 = (uint)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint)p1;
    c3 = (uint)p0;
    c0 = n0;
    c2 = n2;
    k0 = k0 + 0x9E3779B9u;
    k1 = k1 + 0xBB67AE85u;
  }
  return (ulong)c0 | ((ulong)c1 << 32);
}
float random_uniform(ulong element, ulong seed, ulong call, float low, float high) {
  uint word = (uint)philox_bits(element, seed, call);
  return fma((float)(word >> 8) * 0x1p-24f, high - low, low);
}
double random_uniform(ulong element, ulong seed, ulong call, double low, double high) {
  ulong word = philox_bits(element, seed, call);
  return fma((double)(word >> 11) * 0x1p-53, high - low, low);
}
float random_normal_float(ulong element, ulong seed, ulong call) {
  ulong bits = philox_bits(element, seed, call);
  uint word = (uint)bits + 1u;
  float u = word == 0u ? 1.0f : (float)word * 0x1p-32f;
  float angle = (float)((uint)(bits >> 32)) * 0x1p-32f * 6.28318530717958647692f;
  return sqrt(-2.0f * log(u)) * cos(angle);
}
double random_normal_double(ulong element, ulong seed, ulong call) {
  ulong bits = philox_bits(element, seed, call);
  double u = (double)((uint)bits) * 0x1p-32 + 0x1p-32;
  double angle = (double)((uint)(bits >> 32)) * 0x1p-32 * 6.28318530717958647692;
  return sqrt(-2.0 * log(u)) * cos(angle);
}
long random_integers(ulong element, ulong seed, ulong call, long low, long high) {
  ulong bits = philox_bits(element, seed, call);
  ulong range = (ulong)high - (ulong)low;
  ulong low_product = (bits & 0xFFFFFFFFul) * (range & 0xFFFFFFFFul);
  ulong middle = (bits >> 32) * (range & 0xFFFFFFFFul) + (low_product >> 32);
  ulong other = (bits & 0xFFFFFFFFul) * (range >> 32) + (middle & 0xFFFFFFFFul);
  ulong upper = (bits >> 32) * (range >> 32) + (middle >> 32) + (other >> 32);
  return (long)((ulong)low + upper);
}
)";

const jit::FunctionLibrary& library() {
  static const jit::FunctionLibrary& made = *[] {
    auto* functions = new jit::FunctionLibrary(math_library());
    jit::parse_functions(source, *functions, "random");
    return functions;
  }();
  return made;
}

}  // namespace

Meaning random_function(Distribution distribution, DType dtype) {
  const bool wide = dtype == DType::float64;
  std::string_view name = "philox_bits";
  std::vector<DType> parameters{DType::uint64, DType::uint64, DType::uint64};
  switch (distribution) {
    case Distribution::bits32:
    case Distribution::bits64:
      break;
    case Distribution::uniform:
      name = "random_uniform";
      parameters.insert(parameters.end(), 2, dtype);
      break;
    case Distribution::normal:
      name = wide ? "random_normal_double" : "random_normal_float";
      break;
    case Distribution::integers:
      name = "random_integers";
      parameters.insert(parameters.end(), 2, DType::int64);
      break;
  }
  const auto* entry = library().find(name, parameters);
  if (entry == nullptr) throw InternalError(fmt::format("no random function {}", name));
  return {&library().program, entry->function};
}

}  // namespace noyau::ops
