// start + step * index in float32, from float32 alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/op_table.hpp"

namespace noyau::ops {

/// A function of (index, float start, float step), the index int32 or int64 and not negative: the
/// float32 that is nearest to start + step * index, or in one of millions of cases the one beside
/// it. Needs no float64, which many GPUs lack.
Meaning float32_iota(DType index);

}  // namespace noyau::ops
