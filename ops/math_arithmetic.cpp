// Small functions of floats in the kernel language.
// SPDX-License-Identifier: Apache-2.0
#include "ops/math_sources.hpp"

namespace noyau::ops::source {

const char* const arithmetic = R"(
template <typename T> T rsqrt(T x) { return 1 / sqrt(x); }
// Halves go away from zero, as in C; rint rounds them to even.
template <typename T> T round(T x) {
  T t = trunc(x);
  return fabs(x - t) >= 0.5 ? t + copysign(1, x) : t;
}
)";

}  // namespace noyau::ops::source
