// Which programs read memory across the axis along which their items lie.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "jit/program.hpp"

namespace noyau::jit {

/// True when neighbours along axis 0 read memory lines of their own, and those along axis 1 share
/// them (a transpose): then items are best taken in small squares.
bool reads_columns(const Program& program);

}  // namespace noyau::jit
