// Builds the library of mathematical functions; states their accuracy.
// SPDX-License-Identifier: Apache-2.0
#include "ops/math.hpp"

#include "ops/math_sources.hpp"

namespace noyau::ops {
namespace {

constexpr MathAccuracy accuracy[] = {
    {"exp", 1, 1},       {"exp2", 1, 1},      {"expm1", 1.5, 1.5}, {"log", 1, 1},
    {"log2", 1, 1},      {"log10", 1, 1},     {"log1p", 1.5, 1.5}, {"pow", 1.5, 1.5},
    {"sin", 1.6, 1},     {"cos", 1.6, 1},     {"tan", 1.6, 1},     {"sinpi", 1.6, 1.2},
    {"cospi", 1.6, 1.2}, {"asin", 1.5, 1.5},  {"acos", 1.5, 1.5},  {"atan", 1.5, 2},
    {"atan2", 2, 2},     {"sinh", 2, 2},      {"cosh", 1.5, 1.5},  {"tanh", 2, 2},
    {"erf", 1.5, 1.5},   {"rsqrt", 1.5, 1.5},
};

void parse(jit::FunctionLibrary& library) {
  jit::parse_functions(source::exponentials, library, "math/exponentials");
  jit::parse_functions(source::logarithms, library, "math/logarithms");
  jit::parse_functions(source::power, library, "math/power");
  jit::parse_functions(source::trigonometry, library, "math/trigonometry");
  jit::parse_functions(source::inverse, library, "math/inverse");
  jit::parse_functions(source::hyperbolic, library, "math/hyperbolic");
  jit::parse_functions(source::arithmetic, library, "math/arithmetic");
}

}  // namespace

const jit::FunctionLibrary& math_library() {
  static const jit::FunctionLibrary library = [] {
    jit::FunctionLibrary made;
    parse(made);
    return made;
  }();
  return library;
}

void add_math(jit::FunctionLibrary& library) {
  if (library.entries.empty()) library = math_library();  // a copy is cheaper than parsing
  else parse(library);
}

std::span<const MathAccuracy> math_accuracy() { return accuracy; }

}  // namespace noyau::ops
