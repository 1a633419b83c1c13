// Runs what oneDNN would split by the number of threads in parts that depend on sizes only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/onednn/common.hpp"
#include "backends/onednn/sequence.hpp"

namespace noyau::onednn {

/// A convolution (or its gradient by the input) that choose_forward or choose_input_gradient chose:
/// reads `from`, writes `to`, both channels-last, whose arguments are numbered so.
void execute_convolution(Sequence& sequence, const Convolution& convolution, const Choice& choice,
                         int from_argument, const Operand& from, int to_argument, const Operand& to,
                         Arguments others);

/// A product that choose_matmul chose: `a` and `b` in the layouts of the choice, an optional bias.
void execute_product(Sequence& sequence, const Choice& choice, const Operand& a, const Operand& b,
                     const Operand& out, const Operand* bias, bool relu);

}  // namespace noyau::onednn
