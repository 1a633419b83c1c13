// What the generated matrix products share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "jit/generated.hpp"

namespace noyau::jit {

/// For devices whose blocks have many threads: a[..., m, k] by b[..., k, n], all with the same
/// batch axes. `swapped`: b is the launch's first buffer.
GeneratedKernel matmul_in_blocks(const TensorView& a, const TensorView& b, const TensorView& out,
                                 bool swapped);

}  // namespace noyau::jit
