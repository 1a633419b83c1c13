// The rules of reverse mode: what each kind of node passes on to its inputs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "ops/build.hpp"

namespace noyau::ops {

/// One node of the reverse walk: what a rule reads and what it gives.
struct Backward {
  const Node& node;
  Array result;     ///< output 0 of the node: derivatives may name it
  Array cotangent;  ///< of output 0, of its shape and dtype
  /// Whether zeros of the cotangent may stand for "not chosen" (by where, max, a slice ...). The
  /// derivative of what was not chosen may be infinite there, and must not make a NaN.
  bool masked;
  std::vector<bool> wanted;  ///< for each input: whether its cotangent is asked for

  std::vector<Array> cotangents;  ///< for each input: what the rule adds; empty for nothing
  bool masks = false;             ///< set by rules that put zeros where nothing was chosen

  Array input(std::size_t i) const { return node.inputs[i].array(); }
  Array zero_like(const Array& x) const { return constant_like(0, x); }
};

void differentiate(Backward& b);  ///< by kind

void differentiate_elementwise(Backward& b);
void differentiate_view(Backward& b);
void differentiate_pad(Backward& b);
void differentiate_roll(Backward& b);
void differentiate_concatenate(Backward& b);
void differentiate_set(Backward& b);
void differentiate_reduce(Backward& b);
void differentiate_matmul(Backward& b);
void differentiate_windows(Backward& b);
void differentiate_custom(Backward& b);

}  // namespace noyau::ops
