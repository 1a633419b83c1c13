// log, log2, log10 and log1p in the kernel language.
// SPDX-License-Identifier: Apache-2.0
//
// x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)): k and f come from the bits of x by integer
// arithmetic. float32: a minimax polynomial in f. float64: log(1 + f) = 2 atanh(s), s = f / (2 +
// f), as in Sun's fdlibm (its method, not its text), a polynomial in s^2.
#include "ops/math_sources.hpp"

namespace noyau::ops::source {

const char* const logarithms = R"(
// k 2^23 (2^52) from the bits of a positive number; f = x 2^-k - 1.
int exponent_bits(float x) { return (as_int(x) - 0x3f3504f3) & -0x800000; }
long exponent_bits(double x) { return (as_long(x) - 0x3fe6a09e667f3bcdl) & -0x10000000000000l; }

// x = 2^k (1 + f), denormals too. Numbers <= 0, infinity and NaN give some k and f.
void split(float x, float& k, float& f) {
  bool tiny = x < 0x1p-126f;
  float a = tiny ? x * 0x1p23f : x;
  int e = exponent_bits(a);
  f = as_float(as_int(a) - e) - 1.0f;
  k = fma((float)e, 0x1p-23f, tiny ? -23.0f : 0.0f);
}
// |k| < 2^11, so a sum with 1.5 2^52 converts it: no 64-bit conversion, which few machines have.
void split(double x, double& k, double& f) {
  bool tiny = x < 0x1p-1022;
  double a = tiny ? x * 0x1p52 : x;
  long e = exponent_bits(a);
  f = as_double(as_long(a) - e) - 1.0;
  k = as_double((e >> 52) + 0x4338000000000000l) - (tiny ? 0x1.8000000000034p52 : 0x1.8p52);
}

// The value where x is a positive number, else what IEEE 754 says of the logarithms.
float log_result(float x, float value) {
  float y = x < INFINITY ? value : x;
  return x > 0.0f ? y : x == 0.0f ? -INFINITY : NAN;
}
double log_result(double x, double value) {
  double y = x < INFINITY ? value : x;
  return x > 0.0 ? y : x == 0.0 ? -INFINITY : NAN;
}

// k ln 2 + log(1 + f)
float log_sum(float k, float f) {
  float p = fma(f, -0x1.38c77cp-4f, 0x1.055e38p-3f);
  p = fma(p, f, -0x1.0d8258p-3f);
  p = fma(p, f, 0x1.22d93ap-3f);
  p = fma(p, f, -0x1.54728ap-3f);
  p = fma(p, f, 0x1.99a01cp-3f);
  p = fma(p, f, -0x1.000226p-2f);
  p = fma(p, f, 0x1.555554p-2f);
  p = fma(p, f, -0.5f);
  float t = fma(p, f * f, k * -0x1.05c61p-29f);
  return fma(k, 0x1.62e43p-1f, f + t);
}
// s G(s^2) of log(1 + f) = 2 s + s^3 G(s^2), with s = f / (2 + f), times s
double log_tail(double s, double z) {
  double p = fma(z, 0x1.2f03b3d5ef2b4p-3, 0x1.39a1e7b062833p-3);
  p = fma(p, z, 0x1.74663d14561b6p-3);
  p = fma(p, z, 0x1.c71c5212b3c3fp-3);
  p = fma(p, z, 0x1.24924941e521dp-2);
  p = fma(p, z, 0x1.999999997fe99p-2);
  p = fma(p, z, 0x1.5555555555592p-1);
  return p * z;
}
// 2 s = f - s f = f - f^2/2 + s f^2/2
double log_sum(double k, double f) {
  double s = f / (2.0 + f);
  double h = 0.5 * f * f;
  double t = s * (h + log_tail(s, s * s));
  double low = fma(k, 0x1.abc9e3b39803fp-56, t) - h;
  return fma(k, 0x1.62e42fefa39efp-1, f + low);
}

float log(float x) {
  float k, f;
  split(x, k, f);
  return log_result(x, log_sum(k, f));
}
double log(double x) {
  double k, f;
  split(x, k, f);
  return log_result(x, log_sum(k, f));
}

float log2(float x) {
  float k, f;
  split(x, k, f);
  float p = fma(f, -0x1.c6907p-4f, 0x1.7f7168p-3f);
  p = fma(p, f, -0x1.87905ap-3f);
  p = fma(p, f, 0x1.a2b5dap-3f);
  p = fma(p, f, -0x1.eaa98ap-3f);
  p = fma(p, f, 0x1.277fe2p-2f);
  p = fma(p, f, -0x1.715aeep-2f);
  p = fma(p, f, 0x1.ec7092p-2f);
  p = fma(p, f, -0x1.71547p-1f);
  float t = fma(p, f * f, f * 0x1.4ae0cp-26f);
  return log_result(x, k + fma(f, 0x1.715476p0f, t));
}
float log10(float x) {
  float k, f;
  split(x, k, f);
  float p = fma(f, -0x1.1042c4p-5f, 0x1.cc4694p-5f);
  p = fma(p, f, -0x1.d748fcp-5f);
  p = fma(p, f, 0x1.f85d2ep-5f);
  p = fma(p, f, -0x1.276eb2p-4f);
  p = fma(p, f, 0x1.63d04ap-4f);
  p = fma(p, f, -0x1.bcbf36p-4f);
  p = fma(p, f, 0x1.287a7p-3f);
  p = fma(p, f, -0x1.bcb7aap-3f);
  float t = fma(p, f * f, f * -0x1.5b235ep-27f);
  t = fma(k, -0x1.ec10cp-27f, t);
  return log_result(x, fma(k, 0x1.344136p-2f, fma(f, 0x1.bcb7b2p-2f, t)));
}

// log(1 + f) as a sum of two doubles
void log_parts(double f, double& high, double& low) {
  double s = f / (2.0 + f);
  double h = 0.5 * f * f;
  double h_low = fma(0.5 * f, f, -h);
  high = f - h;
  low = ((f - high) - h) - h_low + s * (h + log_tail(s, s * s));
}
double log2(double x) {
  double k, f, high, low;
  split(x, k, f);
  log_parts(f, high, low);
  double p = high * 0x1.71547652b82fep0;
  double t = fma(high, 0x1.71547652b82fep0, -p);
  t = fma(high, 0x1.777d0ffda0d24p-56, fma(low, 0x1.71547652b82fep0, t));
  double sum = k + p;
  return log_result(x, sum + ((k - sum) + p + t));
}
double log10(double x) {
  double k, f, high, low;
  split(x, k, f);
  log_parts(f, high, low);
  double p = high * 0x1.bcb7b1526e50ep-2;
  double t = fma(high, 0x1.bcb7b1526e50ep-2, -p);
  t = fma(high, 0x1.95355baaafad3p-57, fma(low, 0x1.bcb7b1526e50ep-2, t));
  double q = k * 0x1.34413509f79ffp-2;
  t += fma(k, 0x1.34413509f79ffp-2, -q) + k * -0x1.9dc1da994fd21p-59;
  double sum = q + p;
  return log_result(x, sum + ((q - sum) + p + t));
}

// 1 + f = 2^-k (1 + x), so f = 2^-k x + (2^-k - 1), rounded once; 4 2^-k is never denormal.
float log1p(float x) {
  float u = 1.0f + x;
  int e = exponent_bits(u);
  float s = as_float(0x40800000 - e);
  float f = 0.25f * fma(x, s, s - 4.0f);
  float value = log_result(u, log_sum((float)e * 0x1p-23f, f));
  return fabs(x) < 0x1p-25f ? x : value;
}
double log1p(double x) {
  double u = 1.0 + x;
  long e = exponent_bits(u);
  double s = as_double(0x4010000000000000l - e);
  double f = 0.25 * fma(x, s, s - 4.0);
  double k = as_double((e >> 52) + 0x4338000000000000l) - 0x1.8p52;
  double value = log_result(u, log_sum(k, f));
  return fabs(x) < 0x1p-54 ? x : value;
}
)";

}  // namespace noyau::ops::source
