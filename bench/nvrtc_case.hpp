// How long NVRTC takes to compile.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/cases.hpp"

namespace bench {

/// A kernel of twenty operations, exp and sin among them; limit_ms: an empty kernel. Runtime errors
/// where there is no NVRTC.
Run nvrtc_case();

}  // namespace bench
