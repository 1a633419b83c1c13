// The pass that computes indices in 32 bits, for devices where 64 take twice the registers or more.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "jit/program.hpp"

namespace noyau::jit {

/// int64 values that are made of parameters, constants and numbers of blocks, threads and items,
/// and go nowhere but into comparisons, offsets and conversions, become int32. What is loaded or
/// stored as int64 keeps its type, and so does what is computed with it. The caller knows that no
/// index overflows 32 bits; all else is the same to the bit. Leaves values that nothing uses:
/// simplify.
Program narrow_indices(const Program& program);

}  // namespace noyau::jit
