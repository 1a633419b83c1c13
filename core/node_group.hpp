// Groups of nodes: the results of one call, which are evaluated together.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "core/graph.hpp"

namespace noyau {

/// Makes one group of the nodes of these arrays, and of the groups that they are in. What is
/// evaluated already needs none.
void join_group(std::span<const Array> arrays);

/// The node's group, the node included, held; without those that are being destroyed.
std::vector<NodeRef> members_of_group(Node& node);

/// Takes a node that is being destroyed out of its group.
void leave_group(Node& node) noexcept;

}  // namespace noyau
