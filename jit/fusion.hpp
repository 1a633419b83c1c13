// Fusion: which nodes of a trace are computed together, by one linear greedy walk.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "jit/trace.hpp"

namespace noyau::jit {

/// Nodes computed in one index space at one level: a kernel, or a few when there are many
/// statements.
struct Group {
  std::int32_t level = 0;
  std::vector<std::int64_t> cuts;  ///< suffix products of the space's axes
  std::vector<bool> rows;  ///< for each interval between cuts: reduced over; empty when nothing is
  std::vector<std::int32_t> members;  ///< trace nodes in creation order
  std::int64_t size() const { return cuts.front(); }
  std::int64_t parallel_size() const;
  std::int64_t row_size() const { return parallel_size() == 0 ? 0 : size() / parallel_size(); }
};

/// How a node relates to the groups.
struct Placement {
  std::int32_t level = 0;
  std::int32_t group = -1;  ///< -1: data, and steps of their own (library calls, set)
  bool outer = false;       ///< computed once for each row, after or between the row loops
  bool inlinable = false;   ///< may be computed again inside any kernel of level >= inline_level
  std::int32_t inline_level = 0;
  std::int32_t shapes = -1;  ///< when inlinable: Fusion::shapes, what it must be placed in
  std::int32_t cost = 0, stored_inputs = 0,
               statements = 0;  ///< of it with all that is inlined into it
};

struct FusionOptions {
  bool rows = true;  ///< let consumers of a reduction share its kernel
  bool fuse = true;  ///< false: every node is a kernel of its own (for tests)
  int halvings = 0;  ///< of what a kernel may hold
  /// What is left of `limit` after them: 1 at least.
  template <class T>
  T reduced(T limit) const {
    return std::max(limit >> halvings, T{1});
  }
};

struct Fusion {
  std::vector<Placement> nodes;
  std::vector<Group> groups;
  /// Sets of shapes: a node is computed at a place only when the place has coordinates in its own
  /// shape and in those of what is inlined into it.
  std::vector<std::vector<Shape>> shapes;
};
/// Whether the producer of an edge over `shape` may be computed again where its consumer is; else
/// the consumer loads it.
bool can_inline(const Trace& trace, const Fusion& fusion, const Edge& e, const Shape& shape);
Fusion fuse(const Trace& trace, const FusionOptions& options);

/// True for a stored view that shows its producer whole and in order: it shares the producer's
/// memory.
bool is_whole_alias(const Trace& trace, const TraceNode& t);
/// True for nodes that are steps of their own: their inputs and outputs are in memory.
bool is_step(NodeKind kind);
/// True for reduce and arg_reduce.
bool is_reduction(NodeKind kind);

}  // namespace noyau::jit
