// The mathematical functions as texts in the kernel language, by family.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace noyau::ops::source {

extern const char* const arithmetic;    ///< rsqrt, round
extern const char* const exponentials;  ///< exp, exp2, expm1
extern const char* const logarithms;    ///< log, log2, log10, log1p
extern const char* const power;         ///< pow
extern const char* const trigonometry;  ///< sin, cos, tan, sinpi, cospi
extern const char* const inverse;       ///< asin, acos, atan, atan2
extern const char* const hyperbolic;    ///< sinh, cosh, tanh, erf

}  // namespace noyau::ops::source
