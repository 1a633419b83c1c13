// The rows of ops.def as source text in the kernel language: what meaning.cpp parses.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "jit/snippet.hpp"
#include "ops/op_table.hpp"

namespace noyau::ops {

/// Whether the operation computes in that dtype.
bool computes_in(const OpRow& row, DType compute);

/// sign, floor_divide, floor_remainder and power of one dtype; for floats the last calls pow.
void add_helpers(jit::FunctionLibrary& library, DType type);

/// Adds the derivatives of all rows that have some, as functions "d0_sin", "d1_divide", ... of
/// (inputs..., out), for one floating dtype. What they call must be in `library`.
void add_derivatives(jit::FunctionLibrary& library, DType type);

/// A function of `library` by name, or no_value.
jit::Value function_named(const jit::FunctionLibrary& library, std::string_view name);

}  // namespace noyau::ops
