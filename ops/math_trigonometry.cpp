// sin, cos and tan in the kernel language.
// SPDX-License-Identifier: Apache-2.0
//
// x = q pi/2 + r with |r| <= pi/4 (q is found by adding 1.5 * 2^23 or 2^52, as in exp), then a
// minimax polynomial for the sine or the cosine of r by q's parity. For moderate x, q pi/2 is
// subtracted in three parts (Cody and Waite), each with one fma. Beyond, x's mantissa is multiplied
// with the bits of 2/pi that matter for it (Payne and Hanek), in integers: exact for every x. That
// is a branch, as it costs three times the rest and is hardly ever taken.
#include "ops/math_sources.hpp"

namespace noyau::ops::source {

const char* const trigonometry = R"(
// 2/pi as fixed-point words, the first of which begins with weight 2^8 (float32), 2^31 (float64).
// The 96 bits from where 2^e 2/pi has weight 2^1 on, times the mantissa, are x 2/pi modulo 4.
void reduce_huge(float x, int& q, float& r, float& r_low) {
  uint bits = as_uint(x) & 0x7fffffffu;
  int at = (int)(bits >> 23) - 143;
  ulong mantissa = (bits & 0x7fffffu) | 0x800000u;
  bool far = at >= 64;
  ulong a = far ? 0x94fe13abe8fa9a6eul : 0x00517cc1b727220aul;
  ulong b = far ? 0xe06db14acc9e21c8ul : 0x94fe13abe8fa9a6eul;
  ulong c = far ? 0x20ff28b1d5ef5de2ul : 0xe06db14acc9e21c8ul;
  int shift = at & 63;
  ulong high = (a << shift) | ((b >> 1) >> (63 - shift));
  ulong low = (b << shift) | ((c >> 1) >> (63 - shift));
  ulong turns = mantissa * high + ((mantissa * (low >> 32)) >> 32);
  ulong quarter = (turns + 0x2000000000000000ul) >> 62;
  long fixed = (long)(turns - (quarter << 62));
  float part = (float)fixed, rest = (float)(fixed - (long)part);
  float p = part * 0x1.921fb6p-62f;
  float p_low = fma(part, 0x1.921fb6p-62f, -p);
  p_low = fma(part, -0x1.777a5cp-87f, fma(rest, 0x1.921fb6p-62f, p_low));
  q = x < 0.0f ? -(int)quarter : (int)quarter;
  float sum = p + p_low, low_sum = (p - sum) + p_low;
  r = fabs(x) < INFINITY ? (x < 0.0f ? -sum : sum) : NAN;
  r_low = x < 0.0f ? -low_sum : low_sum;
}
void reduce(float x, int& q, float& r) {
  float m = fma(x, 0x1.45f306p-1f, 0x1.8p23f);
  float n = m - 0x1.8p23f;
  q = as_int(m);
  r = fma(n, -0x1.921fb4p0f, x);
  r = fma(n, -0x1.4442dp-24f, r);
  r = fma(n, -0x1.846988p-48f, r);
  float low;
  if (fabs(x) > 100000.0f) reduce_huge(x, q, r, low);
}

// The same with r's rounding error, for tan, which would double it.
void reduce(float x, int& q, float& r, float& r_low) {
  float m = fma(x, 0x1.45f306p-1f, 0x1.8p23f);
  float n = m - 0x1.8p23f;
  q = as_int(m);
  float h = fma(n, -0x1.921fb4p0f, x);
  float w = n * 0x1.4442dp-24f;
  r = h - w;
  r_low = (h - r) - w - fma(n, 0x1.4442dp-24f, -w) - n * 0x1.846988p-48f;
  if (fabs(x) > 100000.0f) reduce_huge(x, q, r, r_low);
}

float sin_quadrant(float r, int q) {
  float z = r * r;
  float s = fma(z, -0x1.992446p-13f, 0x1.1106d4p-7f);
  s = fma(s, z, -0x1.555544p-3f);
  s = fma(s, z * r, r);
  float c = fma(z, 0x1.99e622p-16f, -0x1.6c0c24p-10f);
  c = fma(c, z, 0x1.55554ap-5f);
  c = fma(c, z, -0.5f);
  c = fma(c, z, 1.0f);
  float v = (q & 1) == 0 ? s : c;
  return as_float(as_int(v) ^ ((q & 2) << 30));
}
float sin(float x) {
  int q;
  float r;
  reduce(x, q, r);
  return x == 0.0f ? x : sin_quadrant(r, q);
}
float cos(float x) {
  int q;
  float r;
  reduce(x, q, r);
  return sin_quadrant(r, q + 1);
}
float tan(float x) {
  int q;
  float r, r_low;
  reduce(x, q, r, r_low);
  float z = r * r;
  float p = fma(z, 0x1.200f52p-8f, 0x1.d17bc2p-15f);
  p = fma(p, z, 0x1.63cb92p-7f);
  p = fma(p, z, 0x1.5c95c4p-6f);
  p = fma(p, z, 0x1.badd1ap-5f);
  p = fma(p, z, 0x1.110d92p-3f);
  p = fma(p, z, 0x1.55556p-2f);
  float added = fma(p, z * r, r_low);
  float t = r + added, t_low = (r - t) + added;
  float v = -1.0f / t;  // corrected by its remainder
  v = fma(fma(v, t_low, fma(v, t, 1.0f)), v, v);
  return x == 0.0f ? x : (q & 1) == 0 ? t : v;
}

// sin and cos of pi x: the reduction is exact, without branches.
float half_turns(float x, int& q) {
  float y = fma(-2.0f, rint(0.5f * x), x);
  float m = fma(y, 2.0f, 0x1.8p23f);
  q = as_int(m);
  float t = fma(m - 0x1.8p23f, -0.5f, y);
  return fma(t, 0x1.921fb6p1f, t * -0x1.777a5cp-24f);
}
float sinpi(float x) {
  int q;
  float r = half_turns(x, q);
  float v = sin_quadrant(r, q);
  return v == 0.0f ? copysign(0.0f, x) : v;
}
float cospi(float x) {
  int q;
  float r = half_turns(x, q);
  return sin_quadrant(r, q + 1) + 0.0f;  // no -0
}

ulong multiply_high(ulong a, ulong b) {
  ulong al = a & 0xffffffffu, ah = a >> 32, bl = b & 0xffffffffu, bh = b >> 32;
  ulong low = al * bl, mid = ah * bl + (low >> 32), mid2 = al * bh + (mid & 0xffffffffu);
  return ah * bh + (mid >> 32) + (mid2 >> 32);
}
// Words `at` .. `at` + 3, picked bit of `at` by bit.
void two_over_pi_words(int at, ulong& a, ulong& b, ulong& c, ulong& d) {
  bool far = (at & 8) != 0;
  ulong v0 = far ? 0x2ebb4484e99c7026ul : 0x00000000a2f9836eul;
  ulong v1 = far ? 0xb45f7e413991d639ul : 0x4e441529fc2757d1ul;
  ulong v2 = far ? 0x835339f49c845f8bul : 0xf534ddc0db629599ul;
  ulong v3 = far ? 0xbdf9283b1ff897fful : 0x3c439041fe5163abul;
  ulong v4 = far ? 0xde05980fef2f118bul : 0xdebbc561b7246e3aul;
  ulong v5 = far ? 0x5a0a6d1f6d367ecful : 0x424dd2e006492eeaul;
  ulong v6 = far ? 0x27cb09b74f463f66ul : 0x09d1921cfe1deb1cul;
  ulong v7 = far ? 0x9e5fea2d7527bac7ul : 0xb129a73ee88235f5ul;
  ulong v8 = far ? 0xebe5f17b3d0739f7ul : 0x2ebb4484e99c7026ul;
  ulong v9 = far ? 0x8a5292ea6bfb5fb1ul : 0xb45f7e413991d639ul;
  ulong v10 = far ? 0x1f8d5d0856033046ul : 0x835339f49c845f8bul;
  far = (at & 4) != 0;
  v0 = far ? v4 : v0; v1 = far ? v5 : v1; v2 = far ? v6 : v2; v3 = far ? v7 : v3;
  v4 = far ? v8 : v4; v5 = far ? v9 : v5; v6 = far ? v10 : v6;
  far = (at & 2) != 0;
  v0 = far ? v2 : v0; v1 = far ? v3 : v1; v2 = far ? v4 : v2; v3 = far ? v5 : v3;
  v4 = far ? v6 : v4;
  far = (at & 1) != 0;
  a = far ? v1 : v0; b = far ? v2 : v1; c = far ? v3 : v2; d = far ? v4 : v3;
}
void reduce_huge(double x, long& q, double& r, double& r_low) {
  ulong bits = as_ulong(x) & 0x7ffffffffffffffful;
  int at = (int)(bits >> 52) - 1045;
  ulong mantissa = (bits & 0xffffffffffffful) | 0x10000000000000ul;
  ulong a = 0, b = 0, c = 0, d = 0;
  two_over_pi_words(at >> 6, a, b, c, d);
  int shift = at & 63;
  ulong w0 = (a << shift) | ((b >> 1) >> (63 - shift));
  ulong w1 = (b << shift) | ((c >> 1) >> (63 - shift));
  ulong w2 = (c << shift) | ((d >> 1) >> (63 - shift));
  ulong middle = mantissa * w1;
  ulong low = middle + multiply_high(mantissa, w2);
  ulong turns = mantissa * w0 + multiply_high(mantissa, w1) + (low < middle ? 1ul : 0ul);
  ulong quarter = (turns + 0x2000000000000000ul) >> 62;
  long fraction = (long)(turns - (quarter << 62));
  double high = (double)fraction;
  double rest = (double)(fraction - (long)high) + (double)(long)(low >> 1) * 0x1p-63;
  double sum = high + rest;
  rest = (high - sum) + rest;
  double p = sum * 0x1.921fb54442d18p-62;
  double p_low = fma(sum, 0x1.921fb54442d18p-62, -p);
  p_low = fma(sum, 0x1.1a62633145c07p-116, fma(rest, 0x1.921fb54442d18p-62, p_low));
  q = x < 0.0 ? -(long)quarter : (long)quarter;
  r = fabs(x) < INFINITY ? (x < 0.0 ? -p : p) : NAN;
  r_low = x < 0.0 ? -p_low : p_low;
}
void reduce(double x, long& q, double& r, double& r_low) {
  double m = fma(x, 0x1.45f306dc9c883p-1, 0x1.8p52);
  double n = m - 0x1.8p52;
  q = as_long(m);
  double h = fma(n, -0x1.921fb54442d18p0, x);
  double w = n * 0x1.1a62633145c06p-54;
  r = h - w;
  r_low = (h - r) - w - fma(n, 0x1.1a62633145c06p-54, -w) - n * 0x1.c1cd129024e08p-107;
  if (fabs(x) > 1e9) reduce_huge(x, q, r, r_low);
}

// r + r^3 P(r^2), and 1 - r^2/2 + r^4 P(r^2), of r + r_low; each as what is added to r or to 1.
double sin_added(double r, double r_low, double z) {
  double s = fma(z, 0x1.5d8a4d0be0efep-33, -0x1.ae5e4805986b4p-26);
  s = fma(s, z, 0x1.71de3550cd52fp-19);
  s = fma(s, z, -0x1.a01a019be434cp-13);
  s = fma(s, z, 0x1.111111110f709p-7);
  s = fma(s, z, -0x1.5555555555548p-3);
  return fma(s, z * r, fma(-0.5 * z, r_low, r_low));
}
double cos_added(double r, double r_low, double z) {
  double c = fma(z, -0x1.8f9e76029010fp-37, 0x1.1ee9cc14077aep-29);
  c = fma(c, z, -0x1.27e4f7da03d59p-22);
  c = fma(c, z, 0x1.a01a019c6da0ep-16);
  c = fma(c, z, -0x1.6c16c16c14eaep-10);
  c = fma(c, z, 0x1.555555555554ap-5);
  return fma(c, z * z, -r * r_low);
}
double sin_quadrant(double r, double r_low, long q) {
  double z = r * r;
  double s = r + sin_added(r, r_low, z);
  double w = fma(-0.5, z, 1.0);
  double c = w + (fma(-0.5, z, 1.0 - w) + cos_added(r, r_low, z));
  double v = (q & 1) == 0 ? s : c;
  return as_double(as_long(v) ^ ((q & 2) << 62));
}
double sin(double x) {
  long q;
  double r, r_low;
  reduce(x, q, r, r_low);
  return x == 0.0 ? x : sin_quadrant(r, r_low, q);
}
double cos(double x) {
  long q;
  double r, r_low;
  reduce(x, q, r, r_low);
  return sin_quadrant(r, r_low, q + 1);
}
double half_turns(double x, long& q, double& r_low) {
  double y = fma(-2.0, rint(0.5 * x), x);
  double m = fma(y, 2.0, 0x1.8p52);
  q = as_long(m);
  double t = fma(m - 0x1.8p52, -0.5, y);
  double r = t * 0x1.921fb54442d18p1;
  r_low = fma(t, 0x1.1a62633145c07p-53, fma(t, 0x1.921fb54442d18p1, -r));
  return r;
}
double sinpi(double x) {
  long q;
  double r_low, r = half_turns(x, q, r_low);
  double v = sin_quadrant(r, r_low, q);
  return v == 0.0 ? copysign(0.0, x) : v;
}
double cospi(double x) {
  long q;
  double r_low, r = half_turns(x, q, r_low);
  return sin_quadrant(r, r_low, q + 1) + 0.0;
}
// Sine over cosine, both as sums of two doubles; the quotient is corrected by its remainder.
double tan(double x) {
  long q;
  double r, r_low;
  reduce(x, q, r, r_low);
  double z = r * r;
  double s_added = sin_added(r, r_low, z);
  double s = r + s_added;
  double s_low = (r - s) + s_added;
  double w = fma(-0.5, z, 1.0);
  double c_added = fma(-0.5, z, 1.0 - w) + cos_added(r, r_low, z);
  double c = w + c_added;
  double c_low = (w - c) + c_added;
  bool swap = (q & 1) != 0;
  double n = swap ? -c : s, n_low = swap ? -c_low : s_low;
  double d = swap ? s : c, d_low = swap ? s_low : c_low;
  double inverse = 1.0 / d;
  double v = n * inverse;
  double rest = fma(-v, d, n) + fma(-v, d_low, n_low);
  return x == 0.0 ? x : fma(rest, inverse, v);
}
)";

}  // namespace noyau::ops::source
