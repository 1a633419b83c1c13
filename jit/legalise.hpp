// Passes that rewrite what a target cannot say into what it can.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "jit/program.hpp"

namespace noyau::jit {

/// Shuffles and votes by way of shared memory and barriers, for targets without lane exchange. What
/// is asked of control flow around them grows: it must be the same for the whole block.
Program exchange_through_shared(const Program& program);

}  // namespace noyau::jit
