// Trace: the part of the graph that one eval computes, linearised, with everything a plan depends
// on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/graph.hpp"
#include "jit/program.hpp"

namespace noyau::jit {

/// An operand of a traced node: element (i...) of the consumer's shape is element offset + sum i_k
/// * strides[k] of the producer's row-major elements. Views and other aliases have been folded in.
struct Edge {
  std::int32_t producer = 0;
  std::int32_t output = 0;
  std::int64_t offset = 0;
  Shape strides;
  bool dense = true;             ///< the same elements in the same order
  const Shape* shape = nullptr;  ///< the operand's own: what `strides` are over
};

/// One node of the trace. Aliases (views, watches ...) appear only where their values must be
/// stored: as a copy.
struct TraceNode {
  Node* node = nullptr;
  NodeKind kind = NodeKind::data;
  std::uint8_t code = 0;
  DType dtype = float32;
  std::int32_t first_edge = 0, edge_count = 0;
  std::int32_t slot = -1;  ///< the first of its slots, when it has any
  std::int32_t uses = 0;   ///< edges that lead to it
  bool root = false;       ///< somebody asked for it
  bool stored = false;     ///< its values outlive the plan
  bool alive = false;      ///< somebody holds it after the eval
  bool unaligned = false;  ///< data that does not begin at a multiple of 16 bytes
  bool donatable = false;  ///< data that nobody can read after the eval: its memory may be reused
  Node* source = nullptr;  ///< whose attributes count: itself, or the product it is the epilogue of
  bool absorbed = false;   ///< done by another node's step: nothing of its own remains
  bool bias = false, relu = false;  ///< a product with its epilogue: the bias is its last edge
  const Shape& shape() const { return node->shape; }
};

/// Nodes in creation order: producers before consumers.
struct Trace {
  std::vector<TraceNode> nodes;
  std::vector<Edge> edges;
  std::vector<std::uint64_t>
      slots;  ///< scalars: constants, generator calls, roll offsets; not part of the key
  std::vector<DType> slot_types;
  Device device;
  Hash128 key;
  std::vector<NodeRef> held;  ///< of groups: nodes that no root holds
  /// Pending transfers that the roots read, or are: leaves without values yet. What is beyond them
  /// belongs to other devices.
  std::vector<NodeRef> transfers;

  std::span<const Edge> edges_of(const TraceNode& n) const {
    return {edges.data() + n.first_edge, static_cast<std::size_t>(n.edge_count)};
  }
  std::span<const Edge> edges_of(std::int32_t index) const {
    return edges_of(nodes[static_cast<std::size_t>(index)]);
  }
};

/// Linearises what `roots` need, with what is alive of the groups (core/node_group) met on the way;
/// decides what is stored, and computes the key. Roots that are evaluated already are left out. Not
/// thread-safe: called under the eval mutex. All roots are of one device. Without `groups`, what no
/// root needs is left alone.
Trace linearise(std::span<const Array> roots, bool groups = true);

/// A number for Node::visit that no walk has used. Under the eval mutex.
std::uint64_t next_walk();

/// Appends everything that decides the values of a node, given those of its operands: what it
/// computes, the shapes, its slots and operands by number.
void append_identity(const Trace& trace, const TraceNode& node, std::vector<std::uint64_t>& words);

/// Makes one of nodes that compute the same from the same: the first stays, the others are absorbed
/// or, where they are stored, show its memory. Linear.
void merge_equal(Trace& trace);

/// Reads an alias through to what it shows: producer and output as a node, offset and strides over
/// the alias's shape.
struct Resolved {
  Node* node;
  int output;
  std::int64_t offset;
  Shape strides;
  bool dense;
};
Resolved resolve(Node* node, int output);

}  // namespace noyau::jit
