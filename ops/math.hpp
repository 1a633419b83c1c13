// The mathematical functions, written in the kernel language: bit-equal on every backend.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "jit/snippet.hpp"

namespace noyau::ops {

/// exp exp2 expm1 log log2 log10 log1p pow sin cos tan sinpi cospi asin acos atan atan2 sinh cosh
/// tanh erf rsqrt round, each for float32 and float64. All are straight-line code but sin, cos and
/// tan, which branch for arguments beyond 10^5 (float64: 10^9). Parsed on first use, once; never
/// changes afterwards, so any thread may read it.
const jit::FunctionLibrary& math_library();

/// Adds the same functions to a library of one's own.
void add_math(jit::FunctionLibrary& library);

/// The largest error of a function, in units in the last place of the exact result: measured by
/// tests/ops/math_ulp_test.cpp over all magnitudes, asserted there, and shown in docs/numerics.md.
struct MathAccuracy {
  std::string_view function;
  double float32, float64;
};
std::span<const MathAccuracy> math_accuracy();

}  // namespace noyau::ops
