// exp, exp2 and expm1 in the kernel language.
// SPDX-License-Identifier: Apache-2.0
//
// x = n ln 2 + r with n whole and |r| <= ln 2 / 2; n is found by adding a number so large (1.5 *
// 2^23 or 2^52) that the sum has no bits for a fraction: its low bits are n, and subtracting it
// again gives n as a float. e^r is a minimax polynomial; 2^n is two factors, so that overflow and
// gradual underflow come out of the last multiplication, rounded once.
#include "ops/math_sources.hpp"

namespace noyau::ops::source {

const char* const exponentials = R"(
// 2^n p, where the low bits of `biased` hold n + 2 * 127 (2 * 1023): half of it each time.
float scale_by_exponent(float p, int biased) {
  int half = biased >> 1;
  return p * as_float(half << 23) * as_float((biased - half) << 23);
}
double scale_by_exponent(double p, long biased) {
  long half = biased >> 1;
  return p * as_double(half << 52) * as_double((biased - half) << 52);
}

// e^x 2^shift for shift 0 or -1.
float exp_shifted(float x, int shift) {
  float y = x < -104.0f ? -104.0f : x;
  y = y > 90.0f ? 90.0f : y;
  float m = fma(y, 0x1.715476p0f, 0x1.8001fcp23f);
  float n = m - 0x1.8001fcp23f;
  float r = fma(n, -0x1.62e43p-1f, y);
  r = fma(n, 0x1.05c61p-29f, r);
  float p = fma(r, 0x1.6a545p-10f, 0x1.123b1p-7f);
  p = fma(p, r, 0x1.5558acp-5f);
  p = fma(p, r, 0x1.55549p-3f);
  p = fma(p, r, 0x1.fffffcp-2f);
  p = fma(p, r, 1.0f);
  p = fma(p, r, 1.0f);
  return scale_by_exponent(p, as_int(m) + shift);
}
float exp(float x) { return exp_shifted(x, 0); }

double exp_shifted(double x, long shift) {
  double y = x < -746.0 ? -746.0 : x;
  y = y > 711.0 ? 711.0 : y;
  double m = fma(y, 0x1.71547652b82fep0, 0x1.80000000007fep52);
  double n = m - 0x1.80000000007fep52;
  double r = fma(n, -0x1.62e42fefa39efp-1, y);
  r = fma(n, -0x1.abc9e3b39803fp-56, r);
  double p = fma(r, 0x1.ad7e3db8c132fp-26, 0x1.28ae9d9ca085dp-22);
  p = fma(p, r, 0x1.71df27fcaa0cap-19);
  p = fma(p, r, 0x1.a01998d6cb7d1p-16);
  p = fma(p, r, 0x1.a01a01284d2ccp-13);
  p = fma(p, r, 0x1.6c16c18496539p-10);
  p = fma(p, r, 0x1.111111112846p-7);
  p = fma(p, r, 0x1.55555555506aep-5);
  p = fma(p, r, 0x1.55555555554f7p-3);
  p = fma(p, r, 0x1.000000000000ap-1);
  p = fma(p, r, 1.0);
  p = fma(p, r, 1.0);
  return scale_by_exponent(p, as_long(m) + shift);
}
double exp(double x) { return exp_shifted(x, 0l); }

// 2^f for |f| <= 1/2.
float exp2_fraction(float f) {
  float p = fma(f, 0x1.4178c2p-13f, 0x1.5f0aecp-10f);
  p = fma(p, f, 0x1.3b2dd6p-7f);
  p = fma(p, f, 0x1.c6af78p-5f);
  p = fma(p, f, 0x1.ebfbdcp-3f);
  p = fma(p, f, 0x1.62e43p-1f);
  return fma(p, f, 1.0f);
}
double exp2_fraction(double f) {
  double p = fma(f, 0x1.c2cd3132f2121p-36, 0x1.ea032c2af1ebfp-32);
  p = fma(p, f, 0x1.e4d06fdb14dfbp-28);
  p = fma(p, f, 0x1.b524dc2dc8f35p-24);
  p = fma(p, f, 0x1.62c021e0d628p-20);
  p = fma(p, f, 0x1.ffcbfc755932ap-17);
  p = fma(p, f, 0x1.430912f88460ap-13);
  p = fma(p, f, 0x1.5d87fe78a253ap-10);
  p = fma(p, f, 0x1.3b2ab6fba4e1fp-7);
  p = fma(p, f, 0x1.c6b08d704a0cfp-5);
  p = fma(p, f, 0x1.ebfbdff82c58fp-3);
  p = fma(p, f, 0x1.62e42fefa39efp-1);
  return fma(p, f, 1.0);
}
// 2^(x + low), low being tiny beside x.
float exp2_sum(float x, float low) {
  float y = x < -152.0f ? -152.0f : x;
  y = y > 130.0f ? 130.0f : y;
  float m = y + 0x1.8001fcp23f;
  float f = y - (m - 0x1.8001fcp23f) + low;
  return scale_by_exponent(exp2_fraction(f), as_int(m));
}
double exp2_sum(double x, double low) {
  double y = x < -1077.0 ? -1077.0 : x;
  y = y > 1026.0 ? 1026.0 : y;
  double m = y + 0x1.80000000007fep52;
  double f = y - (m - 0x1.80000000007fep52) + low;
  return scale_by_exponent(exp2_fraction(f), as_long(m));
}
float exp2(float x) { return exp2_sum(x, 0.0f); }
double exp2(double x) { return exp2_sum(x, 0.0); }

// e^x - 1 = 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)); for tiny x it is x, the sign of zero included.
float expm1(float x) {
  float y = x < -18.0f ? -18.0f : x;
  y = y > 89.0f ? 89.0f : y;
  float m = fma(y, 0x1.715476p0f, 0x1.8000fcp23f);
  float n = m - 0x1.8000fcp23f;
  float r = fma(n, -0x1.62e43p-1f, y);
  r = fma(n, 0x1.05c61p-29f, r);
  float p = fma(r, 0x1.9e7d86p-13f, 0x1.6d3aacp-10f);
  p = fma(p, r, 0x1.1112d4p-7f);
  p = fma(p, r, 0x1.5554f8p-5f);
  p = fma(p, r, 0x1.555554p-3f);
  p = fma(p, r, 0.5f);
  p = fma(p, r * r, r);
  float s = as_float(as_int(m) << 23);
  float half = fma(p, s, s - 0.5f);
  return fabs(x) < 0x1p-25f ? x : half + half;
}
double expm1(double x) {
  double y = x < -38.0 ? -38.0 : x;
  y = y > 710.0 ? 710.0 : y;
  double m = fma(y, 0x1.71547652b82fep0, 0x1.80000000003fep52);
  double n = m - 0x1.80000000003fep52;
  double h = fma(n, -0x1.62e42fefa39efp-1, y);
  double r = fma(n, -0x1.abc9e3b39803fp-56, h);
  double r_low = fma(n, -0x1.abc9e3b39803fp-56, h - r);
  double p = fma(r, 0x1.1ee87753225e1p-29, 0x1.af5fe9f5d1f0fp-26);
  p = fma(p, r, 0x1.27e536e153df3p-22);
  p = fma(p, r, 0x1.71ddf7b9cfa5bp-19);
  p = fma(p, r, 0x1.a01a017b20819p-16);
  p = fma(p, r, 0x1.a01a01b01aaadp-13);
  p = fma(p, r, 0x1.6c16c16c1f39dp-10);
  p = fma(p, r, 0x1.111111110f63cp-7);
  p = fma(p, r, 0x1.555555555553ep-5);
  p = fma(p, r, 0x1.5555555555559p-3);
  p = fma(p, r, 0.5);
  p = fma(p, r * r, r_low);
  double s = as_double(as_long(m) << 52);
  double half = fma(p, s, fma(r, s, s - 0.5));
  return fabs(x) < 0x1p-54 ? x : half + half;
}
)";

}  // namespace noyau::ops::source
