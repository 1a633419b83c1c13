// Ranges of float32 in the kernel language, by error-free transformations (Ogita, Rump, Oishi,
// SIAM J. Sci. Comput. 26, 2005).
// SPDX-License-Identifier: Apache-2.0
#include "ops/iota_source.hpp"

#include "jit/snippet.hpp"
#include "noyau/error.hpp"
#include "ops/math.hpp"

namespace noyau::ops {
namespace {

// The index is i + i_rest, i * step is p + p_rest, start + p is s + s_rest, each exactly; what is
// left is rounded when it is added up, which is seldom seen in the result. A large start is scaled,
// so that products that it brings back among the finite numbers do not overflow. The correction is
// NaN when s is infinite, and 0 where a sum could change the sign of a zero.
constexpr std::string_view source = R"(
float iota_of(float high, float low, float start, float step) {
  bool large = fabs(start) >= 0x1p64f;
  float scale = large ? 0x1p-64f : 1.0f;
  float first = start * scale;
  float by = step * scale;
  float i = high + low;
  float i_rest = low - (i - high);
  float p = i * by;
  float p_rest = fma(i, by, -p);
  float s = first + p;
  float q = s - first;
  float s_rest = (first - (s - q)) + (p - q);
  float correction = s_rest + fma(i_rest, by, p_rest);
  return (fabs(correction) > 0.0f ? s + correction : s) * (large ? 0x1p64f : 1.0f);
}
float float32_iota(int index, float start, float step) {
  return iota_of((float)(index & ~0xFFFFFF), (float)(index & 0xFFFFFF), start, step);
}
float float32_iota(long index, float start, float step) {
  return iota_of((float)(index & ~0xFFFFFFl), (float)(index & 0xFFFFFFl), start, step);
}
)";

const jit::FunctionLibrary& library() {
  static const jit::FunctionLibrary& made = *[] {
    auto* functions = new jit::FunctionLibrary(math_library());
    jit::parse_functions(source, *functions, "iota");
    return functions;
  }();
  return made;
}

}  // namespace

Meaning float32_iota(DType index) {
  const DType parameters[] = {index, DType::float32, DType::float32};
  const auto* entry = library().find("float32_iota", parameters);
  if (entry == nullptr) throw InternalError("[iota] indices are int32 or int64");
  return {&library().program, entry->function};
}

}  // namespace noyau::ops
