// A pass: replaces every call by a copy of the function's body.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "jit/program.hpp"

namespace noyau::jit {

/// The program without functions and calls; the same program when it has none.
Program inline_calls(const Program& program);

}  // namespace noyau::jit
