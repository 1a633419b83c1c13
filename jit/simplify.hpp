// The pass that makes Programs smaller and keeps every bit that they compute.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "jit/program.hpp"

namespace noyau::jit {

/// fold_values, then remove_dead_code. Linear in the length of the program; verified in debug
/// builds.
Program simplify(const Program& program);

/// Folds constants as jit/scalar_ops computes them, merges equal pure instructions where one is in
/// scope of the other, drops identities that are exact (x * 1, x + -0.0, integer x * 0, ...; never
/// floating x * 0 or x + 0, and no reassociation), takes the part of an `if` whose condition is
/// constant, and the first value of a loop parameter that never changes.
Program fold_values(const Program& program);

/// Drops values that nothing uses: loads, shuffles and votes too, loop parameters and results of
/// ifs that only feed themselves, ifs, loops and calls without effects, empty else parts, and funcs
/// that are not called (a program whose entry is empty is a library and keeps them all).
Program remove_dead_code(const Program& program);

}  // namespace noyau::jit
