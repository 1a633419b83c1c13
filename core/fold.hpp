// Constant folding: what make_node makes instead of the node it was asked for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "core/graph.hpp"

namespace noyau {

/// A cheaper node of the same value: power with the exponents 2, 1, 0.5 and -1, casts and
/// arithmetic of constants. Empty when there is none.
std::optional<Array> fold(const NodeSpec& spec);

}  // namespace noyau
