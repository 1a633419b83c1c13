// asin, acos, atan and atan2 in the kernel language.
// SPDX-License-Identifier: Apache-2.0
//
// asin beyond 1/2 by asin x = pi/2 - 2 asin sqrt((1 - x) / 2); atan beyond 1 by the reciprocal;
// odd minimax polynomials of z = s^2 within. Constants like pi/2 are sums of two floats.
#include "ops/math_sources.hpp"

namespace noyau::ops::source {

const char* const inverse = R"(
// asin s - s for s = sqrt z <= 1/2
float asin_added(float s, float z) {
  float p = fma(z, 0x1.33f852p-5f, 0x1.d72d52p-7f);
  p = fma(p, z, 0x1.04b5bcp-5f);
  p = fma(p, z, 0x1.6ca9f8p-5f);
  p = fma(p, z, 0x1.3338a2p-4f);
  p = fma(p, z, 0x1.55554cp-3f);
  return p * (s * z);
}
double asin_added(double s, double z) {
  double p = fma(z, 0x1.0bb48e6478576p-5, -0x1.59552a451e822p-6);
  p = fma(p, z, 0x1.6489f03987411p-6);
  p = fma(p, z, 0x1.e2fa734f93a8fp-9);
  p = fma(p, z, 0x1.616ddde5754bap-7);
  p = fma(p, z, 0x1.757cf3ac3ef0bp-7);
  p = fma(p, z, 0x1.ca209362189f6p-7);
  p = fma(p, z, 0x1.1c49e5b7058b8p-6);
  p = fma(p, z, 0x1.6e8bdf74234f5p-6);
  p = fma(p, z, 0x1.f1c71a8fd3db2p-6);
  p = fma(p, z, 0x1.6db6db721fca4p-5);
  p = fma(p, z, 0x1.333333332e014p-4);
  p = fma(p, z, 0x1.5555555555578p-3);
  return p * (s * z);
}
float asin(float x) {
  float a = fabs(x);
  bool big = a > 0.5f;
  float z = big ? fma(-0.5f, a, 0.5f) : a * a;
  float s = big ? sqrt(z) : a, t = asin_added(s, z);
  float part = fma(-2.0f, s, 0x1.921fb6p0f);
  float low = fma(-2.0f, t, -0x1.777a5cp-25f) + fma(-2.0f, s, 0x1.921fb6p0f - part);
  return copysign(big ? part + low : s + t, x);
}
double asin(double x) {
  double a = fabs(x);
  bool big = a > 0.5;
  double z = big ? fma(-0.5, a, 0.5) : a * a;
  double s = big ? sqrt(z) : a, t = asin_added(s, z);
  double part = fma(-2.0, s, 0x1.921fb54442d18p0);
  double low = fma(-2.0, t, 0x1.1a62633145c07p-54) + fma(-2.0, s, 0x1.921fb54442d18p0 - part);
  return copysign(big ? part + low : s + t, x);
}
// 2 v, pi - 2 v or pi/2 -+ v
float acos(float x) {
  float a = fabs(x);
  bool big = a > 0.5f, negative = x < 0.0f;
  float z = big ? fma(-0.5f, a, 0.5f) : a * a;
  float s = big ? sqrt(z) : a, v = s + asin_added(s, z);
  v = big ? v + v : v;
  v = big == negative ? -v : v;
  float high = big ? (negative ? 0x1.921fb6p1f : 0.0f) : 0x1.921fb6p0f;
  return high + fma(high, -0x1.de12cap-26f, v);
}
double acos(double x) {
  double a = fabs(x);
  bool big = a > 0.5, negative = x < 0.0;
  double z = big ? fma(-0.5, a, 0.5) : a * a;
  double s = big ? sqrt(z) : a, v = s + asin_added(s, z);
  v = big ? v + v : v;
  v = big == negative ? -v : v;
  double high = big ? (negative ? 0x1.921fb54442d18p1 : 0.0) : 0x1.921fb54442d18p0;
  return high + fma(high, 0x1.678afae35cdd1p-55, v);
}

// atan t for 0 <= t <= 1
float atan_small(float t) {
  float z = t * t;
  float p = fma(z, -0x1.d4782ap-10f, 0x1.64b212p-7f);
  p = fma(p, z, -0x1.fdefc4p-6f);
  p = fma(p, z, 0x1.da59eap-5f);
  p = fma(p, z, -0x1.581456p-4f);
  p = fma(p, z, 0x1.c08f2ep-4f);
  p = fma(p, z, -0x1.2420b4p-3f);
  p = fma(p, z, 0x1.9991e6p-3f);
  p = fma(p, z, -0x1.55553ep-2f);
  return fma(t * z, p, t);
}
double atan_small(double t) {
  double z = t * t;
  double p = fma(z, 0x1.bbb245b9e8754p-17, -0x1.3f1092a76ff26p-13);
  p = fma(p, z, 0x1.b3ce5d205099ap-11);
  p = fma(p, z, -0x1.7a1972a417438p-9);
  p = fma(p, z, 0x1.d799262cee5d1p-8);
  p = fma(p, z, -0x1.c778945cede5fp-7);
  p = fma(p, z, 0x1.683014cad4815p-6);
  p = fma(p, z, -0x1.e9ef5adcde9a3p-6);
  p = fma(p, z, 0x1.2c2adb79585adp-5);
  p = fma(p, z, -0x1.59a2334c62d3fp-5);
  p = fma(p, z, 0x1.82da1f6011643p-5);
  p = fma(p, z, -0x1.ae5e395c86fa7p-5);
  p = fma(p, z, 0x1.e1bb98aafb08ap-5);
  p = fma(p, z, -0x1.110e4fe7c1f8ep-4);
  p = fma(p, z, 0x1.3b13666f6e399p-4);
  p = fma(p, z, -0x1.745d11aa61684p-4);
  p = fma(p, z, 0x1.c71c717f8c34ap-4);
  p = fma(p, z, -0x1.249249237dfe8p-3);
  p = fma(p, z, 0x1.999999999553dp-3);
  p = fma(p, z, -0x1.5555555555526p-2);
  return fma(t * z, p, t);
}
float atan(float x) {
  float a = fabs(x);
  bool big = a > 1.0f;
  float v = atan_small(big ? 1.0f / a : a);
  return copysign(big ? (-0x1.777a5cp-25f - v) + 0x1.921fb6p0f : v, x);
}
double atan(double x) {
  double a = fabs(x);
  bool big = a > 1.0;
  double v = atan_small(big ? 1.0 / a : a);
  return copysign(big ? (0x1.1a62633145c07p-54 - v) + 0x1.921fb54442d18p0 : v, x);
}

// The angle of (x, y): atan of the smaller over the larger, turned into its octant. 0/0 is taken as
// 0 and infinity over infinity as 1, as IEEE 754 has it.
float atan2(float y, float x) {
  float ax = fabs(x), ay = fabs(y);
  bool steep = ay > ax;
  float small = steep ? ax : ay, large = steep ? ay : ax;
  float t = large == 0.0f ? 0.0f : small == INFINITY ? 1.0f : small / large;
  float v = atan_small(t);
  v = steep ? (-0x1.777a5cp-25f - v) + 0x1.921fb6p0f : v;
  v = signbit(x) ? (-0x1.777a5cp-24f - v) + 0x1.921fb6p1f : v;
  return x != x || y != y ? x + y : copysign(v, y);
}
double atan2(double y, double x) {
  double ax = fabs(x), ay = fabs(y);
  bool steep = ay > ax;
  double small = steep ? ax : ay, large = steep ? ay : ax;
  double t = large == 0.0 ? 0.0 : small == INFINITY ? 1.0 : small / large;
  double v = atan_small(t);
  v = steep ? (0x1.1a62633145c07p-54 - v) + 0x1.921fb54442d18p0 : v;
  v = signbit(x) ? (0x1.1a62633145c07p-53 - v) + 0x1.921fb54442d18p1 : v;
  return x != x || y != y ? x + y : copysign(v, y);
}
)";

}  // namespace noyau::ops::source
