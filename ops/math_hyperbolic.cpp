// sinh, cosh, tanh and erf in the kernel language.
// SPDX-License-Identifier: Apache-2.0
#include "ops/math_sources.hpp"

namespace noyau::ops::source {

const char* const hyperbolic = R"(
float sinh(float x) {
  float a = fabs(x);
  float t = exp_shifted(a, -1);
  float z = x * x;
  float p = fma(z, 0x1.756c1ep-19f, 0x1.a022bcp-13f);
  p = fma(p, z, 0x1.1110ep-7f);
  p = fma(p, z, 0x1.555556p-3f);
  return a < 1.0f ? fma(x * z, p, x) : copysign(t - 0.25f / t, x);
}
double sinh(double x) {
  double a = fabs(x);
  double t = exp_shifted(a, -1l);
  double z = x * x;
  double p = fma(z, 0x1.b4c75ebc7e35ep-41, 0x1.611a560eee4bcp-33);
  p = fma(p, z, 0x1.ae64671b42ad6p-26);
  p = fma(p, z, 0x1.71de3a465ae2bp-19);
  p = fma(p, z, 0x1.a01a01a0289a3p-13);
  p = fma(p, z, 0x1.11111111110a6p-7);
  p = fma(p, z, 0x1.5555555555556p-3);
  return a < 1.0 ? fma(x * z, p, x) : copysign(t - 0.25 / t, x);
}
float cosh(float x) {
  float t = exp_shifted(fabs(x), -1);
  return t + 0.25f / t;
}
double cosh(double x) {
  double t = exp_shifted(fabs(x), -1l);
  return t + 0.25 / t;
}

// float32: an odd polynomial below 0.55; beyond, 1 - 2 / (e^2a + 1), where e^2a needs no more than
// a few bits below the last: it is made as in exp, with one part of ln 2.
float tanh(float x) {
  float z = x * x;
  float p = fma(z, -0x1.99fdecp-8f, 0x1.5903bp-6f);
  p = fma(p, z, -0x1.b92112p-5f);
  p = fma(p, z, 0x1.110cf6p-3f);
  p = fma(p, z, -0x1.55554ap-2f);
  float a = fabs(x);
  p = fma(p, a * z, a);
  float b = a > 10.0f ? 10.0f : a;
  float m = fma(b, 0x1.715476p1f, 0x1.8000fep23f);
  float r = fma(m - 0x1.8000fep23f, -0x1.62e43p-1f, b + b);
  float e = fma(r, 0x1.6a545p-10f, 0x1.123b1p-7f);
  e = fma(e, r, 0x1.5558acp-5f);
  e = fma(e, r, 0x1.55549p-3f);
  e = fma(e, r, 0x1.fffffcp-2f);
  e = fma(e, r, 1.0f);
  e = fma(e, r, 1.0f);
  e = fma(e, as_float(as_int(m) << 23), 1.0f);
  return copysign(a < 0.55f ? p : 1.0f - 2.0f / e, x);
}
// float64: t / (t + 2) with t = e^2a - 1, the quotient corrected by its remainder.
double tanh(double x) {
  double a = fabs(x);
  double t = expm1(a > 22.0 ? 44.0 : a + a);
  double d = t + 2.0, d_low = (2.0 - d) + t;
  double inverse = 1.0 / d, v = t * inverse;
  double rest = fma(-v, d_low, fma(-v, d, t));
  return copysign(fma(rest, inverse, v), x);
}

// erf: below about 1 an odd polynomial; beyond, 1 - e^(-Q(x)) with Q = -log(1 - erf).
float erf(float x) {
  float a = fabs(x);
  float z = x * x;
  float p = fma(z, 0x1.4fa938p-14f, -0x1.a61812p-11f);
  p = fma(p, z, 0x1.544b08p-8f);
  p = fma(p, z, -0x1.b80124p-6f);
  p = fma(p, z, 0x1.ce2d64p-4f);
  p = fma(p, z, -0x1.81274p-2f);
  p = fma(p, z, 0x1.06eba8p-3f);
  float b = a > 4.0f ? 4.0f : a;
  float q = fma(b, -0x1.231914p-12f, 0x1.1c746ap-8f);
  q = fma(q, b, -0x1.050bbap-5f);
  q = fma(q, b, 0x1.32388ep-3f);
  q = fma(q, b, 0x1.d6e86ap-1f);
  q = fma(q, b, 0x1.a0690ep0f);
  q = fma(q, b, 0x1.72157ep-12f);
  float m = 0x1.8000fep23f - q;
  float e = exp2_fraction((0x1.8000fep23f - m) - q) * as_float(as_int(m) << 23);
  return a < 0.95f ? fma(x, p, x) : copysign(1.0f - e, x);
}
double erf(double x) {
  double a = fabs(x);
  double z = x * x;
  double p = fma(z, -0x1.abae1bd32006fp-31, 0x1.d71aff72c4d21p-27);
  p = fma(p, z, -0x1.5c0724997cb06p-23);
  p = fma(p, z, 0x1.b97fd37463f5dp-20);
  p = fma(p, z, -0x1.f4ca4d649e333p-17);
  p = fma(p, z, 0x1.f9a2baa847335p-14);
  p = fma(p, z, -0x1.c02db03dcf23ep-11);
  p = fma(p, z, 0x1.565bccf92af83p-8);
  p = fma(p, z, -0x1.b82ce311fa921p-6);
  p = fma(p, z, 0x1.ce2f21a040d15p-4);
  p = fma(p, z, -0x1.812746b0379bdp-2);
  p = fma(p, z, 0x1.06eba8214db68p-3);
  double b = a > 6.0 ? 6.0 : a;
  double q = fma(b, 0x1.5ad63277c060fp-38, -0x1.c1b5b8dca14fcp-33);
  q = fma(q, b, 0x1.0e5ea289739f4p-28);
  q = fma(q, b, -0x1.8ec8287a27addp-25);
  q = fma(q, b, 0x1.90d78fc2dcbeap-22);
  q = fma(q, b, -0x1.1ea730134f59p-19);
  q = fma(q, b, 0x1.22d437bdd8951p-17);
  q = fma(q, b, -0x1.7ee8b4ea45afdp-16);
  q = fma(q, b, 0x1.540b52388addep-16);
  q = fma(q, b, 0x1.1b370d8114239p-13);
  q = fma(q, b, -0x1.94096911000e5p-11);
  q = fma(q, b, 0x1.f6407618a77f5p-10);
  q = fma(q, b, -0x1.ae92031a2e5d6p-12);
  q = fma(q, b, -0x1.372297ec8c431p-6);
  q = fma(q, b, 0x1.a4ac5ce75408p-4);
  q = fma(q, b, 0x1.45f6275127b5dp-1);
  q = fma(q, b, 0x1.20dd1fd426cddp0);
  q = fma(q, b, 0x1.0df6c64358078p-21);
  return a < 1.0 ? fma(x, p, x) : copysign(1.0 - exp(-q), x);
}
)";

}  // namespace noyau::ops::source
