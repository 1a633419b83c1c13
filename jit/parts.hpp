// Parts: nodes that write straight into their part of a concatenation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "jit/layout.hpp"
#include "jit/trace.hpp"

namespace noyau::jit {

struct Part {
  std::int32_t whole;   ///< the concatenation, which may be a part itself
  std::int64_t offset;  ///< in elements of its memory
};
/// By node: those whose memory is part of a concatenation's.
using Parts = std::map<std::int32_t, Part>;

/// Finds the nodes that are only joined with others, and gives them the strides of the whole.
/// `in_memory`: for each node whether its values are certainly in memory.
Parts place_parts(const Trace& trace, Layouts& layouts, const std::vector<char>& in_memory);

/// The axis along which a concatenation joins.
int concatenated_axis(const TraceNode& concatenation);

}  // namespace noyau::jit
