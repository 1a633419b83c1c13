// pow in the kernel language.
// SPDX-License-Identifier: Apache-2.0
//
// 2^(y log2 |x|) with log2 |x| as a sum of two floats, the special cases of IEEE 754-2019 (pow)
// chosen afterwards. log2(1 + f) = c0 s + c1 s^3 + ..., s = f / (2 + f); float64 keeps the second
// term in two parts as well, since y log2 |x| multiplies its error by up to 2^10.
#include "ops/math_sources.hpp"

namespace noyau::ops::source {

const char* const power = R"(
// log2 of a positive finite number
void log2_parts(float x, float& high, float& low) {
  float k, f;
  split(x, k, f);
  float d = 1.0f / (2.0f + f);
  float s = f * d;
  float s_low = fma(-s, f, fma(-2.0f, s, f)) * d;
  float z = s * s;
  float z_low = fma(s, s, -z) + 2.0f * s * s_low;
  float p = fma(z, 0x1.58906cp-2f, 0x1.a5d046p-2f);
  p = fma(p, z, 0x1.2776ep-1f);
  p = p * z;
  float g = 0x1.ec709ep-1f + p;
  float g_low = (0x1.ec709ep-1f - g) + p - 0x1.e2fe02p-28f;
  float c = s * z;
  float c_low = fma(s, z, -c) + fma(s, z_low, s_low * z);
  float u = c * g;
  float u_low = fma(c, g, -u) + fma(c, g_low, c_low * g);
  float h = s * 0x1.715476p1f;
  float t = fma(s, 0x1.715476p1f, -h);
  t = fma(s, 0x1.4ae0cp-25f, fma(s_low, 0x1.715476p1f, t));
  float both = h + u;
  t += (h - both) + u + u_low;
  float sum = k + both;
  t += (k - sum) + both;
  high = sum + t;
  low = t - (high - sum);
}
void log2_parts(double x, double& high, double& low) {
  double k, f;
  split(x, k, f);
  double d = 1.0 / (2.0 + f);
  double s = f * d;
  double s_low = fma(-s, f, fma(-2.0, s, f)) * d;
  double z = s * s;
  double z_low = fma(s, s, -z) + 2.0 * s * s_low;
  double p = fma(z, 0x1.85e4bad07e253p-3, 0x1.87b13bffe252cp-3);
  p = fma(p, z, 0x1.c69f86c7c4d99p-3);
  p = fma(p, z, 0x1.0c9a63e5aa9fp-2);
  p = fma(p, z, 0x1.484b14216cfb5p-2);
  p = fma(p, z, 0x1.a61762a759c3dp-2);
  p = fma(p, z, 0x1.2776c50ef9d23p-1);
  p = p * z;
  double g = 0x1.ec709dc3a03fdp-1 + p;
  double g_low = (0x1.ec709dc3a03fdp-1 - g) + p + 0x1.d27f05548af0cp-55;
  double c = s * z;
  double c_low = fma(s, z, -c) + fma(s, z_low, s_low * z);
  double u = c * g;
  double u_low = fma(c, g, -u) + fma(c, g_low, c_low * g);
  double h = s * 0x1.71547652b82fep1;
  double t = fma(s, 0x1.71547652b82fep1, -h);
  t = fma(s, 0x1.777d0ffda0d24p-55, fma(s_low, 0x1.71547652b82fep1, t));
  double both = h + u;
  t += (h - both) + u + u_low;
  double sum = k + both;
  t += (k - sum) + both;
  high = sum + t;
  low = t - (high - sum);
}

float pow(float x, float y) {
  float a = fabs(x), high, low;
  log2_parts(a, high, low);
  float p = y * high;
  float p_low = fma(y, high, -p) + y * low;
  float v = exp2_sum(p, fabs(p) < 160.0f ? p_low : 0.0f);
  bool whole = rint(y) == y;
  bool odd = whole && rint(0.5f * y) != 0.5f * y;
  v = a == INFINITY ? (y < 0.0f ? 0.0f : INFINITY) : v;
  v = a == 0.0f ? (y < 0.0f ? INFINITY : 0.0f) : v;
  v = fabs(y) == INFINITY ? (a == 1.0f ? 1.0f : (a > 1.0f) == (y > 0.0f) ? INFINITY : 0.0f) : v;
  v = x < 0.0f && !whole && a < INFINITY ? NAN : v;
  v = odd ? copysign(v, x) : v;
  v = x != x || y != y ? x + y : v;
  return y == 0.0f || x == 1.0f ? 1.0f : v;
}
double pow(double x, double y) {
  double a = fabs(x), high, low;
  log2_parts(a, high, low);
  double p = y * high;
  double p_low = fma(y, high, -p) + y * low;
  double v = exp2_sum(p, fabs(p) < 1100.0 ? p_low : 0.0);
  bool whole = rint(y) == y;
  bool odd = whole && rint(0.5 * y) != 0.5 * y;
  v = a == INFINITY ? (y < 0.0 ? 0.0 : INFINITY) : v;
  v = a == 0.0 ? (y < 0.0 ? INFINITY : 0.0) : v;
  v = fabs(y) == INFINITY ? (a == 1.0 ? 1.0 : (a > 1.0) == (y > 0.0) ? INFINITY : 0.0) : v;
  v = x < 0.0 && !whole && a < INFINITY ? NAN : v;
  v = odd ? copysign(v, x) : v;
  v = x != x || y != y ? x + y : v;
  return y == 0.0 || x == 1.0 ? 1.0 : v;
}
)";

}  // namespace noyau::ops::source
