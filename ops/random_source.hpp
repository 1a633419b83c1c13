// Philox4x32-10 in the kernel language (Salmon et al., SC 2011).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/graph.hpp"
#include "ops/op_table.hpp"

namespace noyau::ops {

/// A function of (ulong element, ulong seed, ulong call[, T low, T high]) for uniform and integers
/// (low and high are long there); its result is T, or the integer before it is converted to the
/// array's dtype. float32 and float64 only for uniform and normal.
Meaning random_function(Distribution distribution, DType dtype);

}  // namespace noyau::ops
