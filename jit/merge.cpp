// Common subexpressions: nodes of a trace that compute the same from the same become one, by value
// numbering.
// SPDX-License-Identifier: Apache-2.0
#include <unordered_map>

#include "jit/fusion.hpp"
#include "jit/program.hpp"
#include "jit/trace.hpp"

namespace noyau::jit {
namespace {

class Merger {
 public:
  explicit Merger(Trace& trace) : trace_(trace), same_(trace.nodes.size()) {
    seen_.reserve(trace.nodes.size());
  }

  void run() {
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(trace_.nodes.size()); ++i) {
      redirect(node(i));
      same(i) = first_equal(i);
      if (same(i) != i) replace(node(i), same(i));
    }
  }

 private:
  TraceNode& node(std::int32_t i) { return trace_.nodes[static_cast<std::size_t>(i)]; }
  Edge& edge(std::int32_t k) { return trace_.edges[static_cast<std::size_t>(k)]; }
  std::int32_t& same(std::int32_t i) { return same_[static_cast<std::size_t>(i)]; }

  /// Lets a node read the nodes that stand for its operands.
  void redirect(const TraceNode& t) {
    for (std::int32_t k = t.first_edge; k < t.first_edge + t.edge_count; ++k) {
      const std::int32_t producer = edge(k).producer, kept = same(producer);
      if (kept == producer) continue;
      node(producer).uses--;
      node(kept).uses++;
      edge(k).producer = kept;
    }
  }

  /// The first node that computes what i does; mostly i itself.
  std::int32_t first_equal(std::int32_t i) {
    const TraceNode& t = node(i);
    if (t.kind == NodeKind::data || is_whole_alias(trace_, t)) return i;
    identify(t, words_);
    const Hash128 hash = hash_bytes(words_.data(), words_.size() * sizeof(words_[0]));
    const auto [found, fresh] = seen_.try_emplace(hash.low, i);
    if (fresh) return i;
    identify(node(found->second), others_);
    return words_ == others_ ? found->second : i;
  }
  void identify(const TraceNode& t, std::vector<std::uint64_t>& words) const {
    words.clear();
    append_identity(trace_, t, words);
  }

  /// Node t needs nothing of its own any more; if it is to be kept, it shares the memory of `kept`,
  /// as a view that shows the whole does.
  void replace(TraceNode& t, std::int32_t kept) {
    for (std::int32_t k = t.first_edge; k < t.first_edge + t.edge_count; ++k)
      node(edge(k).producer).uses--;
    t.first_edge = static_cast<std::int32_t>(trace_.edges.size());
    t.edge_count = 0;
    t.slot = -1;
    if (!t.stored) {
      t.kind = NodeKind::data;
      t.absorbed = true;
      return;
    }
    t.kind = NodeKind::view;
    t.edge_count = 1;
    trace_.edges.push_back({kept, 0, 0, t.shape().dense_strides(), true, &t.shape()});
    node(kept).uses++;
  }

  Trace& trace_;
  std::vector<std::int32_t> same_;  ///< for each node met, the one that stands for it
  std::unordered_map<std::uint64_t, std::int32_t> seen_;  ///< by the hash of their identity
  std::vector<std::uint64_t> words_, others_;
};

}  // namespace

void merge_equal(Trace& trace) { Merger(trace).run(); }

}  // namespace noyau::jit
