// The table of elementwise operations, derived from noyau/ops.def.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "jit/snippet.hpp"
#include "noyau/dtype.hpp"

namespace noyau::ops {

enum class ElementwiseOp : std::uint8_t {
#define NOYAU_OP(name, inputs, rule, meaning, dx, dy, dz, low, high) name,
#include "noyau/ops.def"
};

enum class TypeRule : std::uint8_t {
  arithmetic,
  numeric,
  floating,
  rounding,
  bitwise,
  shift,
  comparison,
  logical,
  predicate,
  select
};

/// One row of ops.def.
struct OpRow {
  std::string_view name;
  int inputs;
  TypeRule rule;
  std::string_view meaning;
  std::string_view derivatives[3];  ///< empty: zero
  double sample_low, sample_high;
};
inline constexpr OpRow op_table[] = {
#define NOYAU_OP(name, inputs, rule, meaning, dx, dy, dz, low, high) \
  {#name,                                                            \
   inputs,                                                           \
   TypeRule::rule,                                                   \
   meaning,                                                          \
   {dx, dy, dz},                                                     \
   static_cast<double>(low),                                         \
   static_cast<double>(high)},
#include "noyau/ops.def"
};
inline constexpr int op_count = static_cast<int>(std::size(op_table));
inline const OpRow& row(ElementwiseOp op) { return op_table[static_cast<int>(op)]; }
inline const OpRow& row(std::uint8_t code) { return op_table[code]; }

/// What the operation means for inputs of these dtypes (already promoted: T for all, or bool, T, T
/// for where), as a function of the returned library; parsed on first use and kept. `compute` is
/// the type T of its row.
struct Meaning {
  const jit::Program* program;
  jit::Value function;
};
Meaning meaning(ElementwiseOp op, DType compute);
/// The derivative with respect to input k, as a function of (inputs..., out), all of type T (bool
/// first input for where); function == jit::no_value when it is zero.
Meaning derivative(ElementwiseOp op, int input, DType compute);

}  // namespace noyau::ops
