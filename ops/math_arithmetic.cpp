// Small functions of arithmetic in the kernel language, for integers and for floats.
// SPDX-License-Identifier: Apache-2.0
#include "ops/math_sources.hpp"

namespace noyau::ops::source {

// Division by zero gives 0; a negative power truncates, so only 1 and -1 have one.
const char* const integer_arithmetic = R"(
template <typename T> T sign(T x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
template <typename T> T floor_divide(T x, T y) {
  T q = x / y, r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? q - 1 : q;
}
template <typename T> T floor_remainder(T x, T y) {
  T r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}
template <typename T> T power(T x, T y) {
  T result = 1, square = x;
  for (T n = y; n > 0; n >>= 1) {
    result = (n & 1) != 0 ? result * square : result;
    square *= square;
  }
  T inverse = x == 1 ? 1 : x == (T)-1 ? ((y & 1) != 0 ? -1 : 1) : 0;
  return y < 0 ? inverse : result;
}
)";

const char* const float_arithmetic = R"(
template <typename T> T sign(T x) { return x != x || x == 0 ? x : copysign((T)1, x); }
template <typename T> T floor_divide(T x, T y) { return floor(x / y); }
template <typename T> T floor_remainder(T x, T y) {
  T r = fmod(x, y);
  r = r != 0 && (r < 0) != (y < 0) ? r + y : r;
  return r == 0 ? copysign((T)0, y) : r;
}
template <typename T> T power(T x, T y) { return pow(x, y); }
template <typename T> T rsqrt(T x) { return 1 / sqrt(x); }
// Halves go away from zero, as in C; rint rounds them to even.
template <typename T> T round(T x) {
  T t = trunc(x);
  return fabs(x - t) >= (T)0.5 ? t + copysign((T)1, x) : t;
}
)";

}  // namespace noyau::ops::source
