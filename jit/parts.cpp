// Which parts of concatenations may lie in the whole: all who read them must find them there.
// SPDX-License-Identifier: Apache-2.0
#include "jit/parts.hpp"

#include <unordered_map>

#include "core/graph.hpp"
#include "jit/affine.hpp"

namespace noyau::jit {
namespace {

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

/// The edges that lead to the parts of concatenations, by part.
using Readers = std::unordered_map<std::int32_t, std::vector<const Edge*>>;

Readers readers_of_parts(const Trace& trace) {
  Readers readers;
  for (const TraceNode& t : trace.nodes)
    if (t.kind == NodeKind::concatenate)
      for (const Edge& e : trace.edges_of(t)) readers[e.producer];
  if (readers.empty()) return readers;
  for (const TraceNode& t : trace.nodes)
    for (const Edge& e : trace.edges_of(t))
      if (auto part = readers.find(e.producer); part != readers.end()) part->second.push_back(&e);
  return readers;
}

/// Whether all who read a part find it in memory with these strides.
bool can_lie(const Shape& part, const Shape& strides, const std::vector<const Edge*>& readers) {
  for (const Edge* e : readers)
    if (!in_storage({e->offset, {e->strides.begin(), e->strides.end()}},
                    {e->shape->begin(), e->shape->size()}, part, strides))
      return false;
  return true;
}

}  // namespace

int concatenated_axis(const TraceNode& concatenation) {
  return std::get<AxesAttributes>(concatenation.node->attributes).axes[0];
}

Parts place_parts(const Trace& trace, Layouts& layouts, const std::vector<char>& in_memory) {
  Parts parts;
  const std::vector<char> shown = shown_whole(trace);
  const Readers readers = readers_of_parts(trace);
  // From the last concatenation to the first, so that a part may be a whole itself.
  for (auto i = static_cast<std::int32_t>(trace.nodes.size()); i-- > 0;) {
    const TraceNode& whole = trace.nodes[at(i)];
    if (whole.kind != NodeKind::concatenate || in_memory[at(i)] == 0) continue;
    const Shape strides = layouts[at(i)];
    const int axis = concatenated_axis(whole);
    std::int64_t start = 0;
    for (const Edge& e : trace.edges_of(whole)) {
      const TraceNode& part = trace.nodes[at(e.producer)];
      if (e.dense && *e.shape == part.shape() && !part.stored && shown[at(e.producer)] == 0 &&
          part.kind != NodeKind::data && part.kind != NodeKind::constant &&
          part.kind != NodeKind::set && part.node->output_count == 1 && !parts.count(e.producer) &&
          part.shape().elements() > 0 && can_lie(part.shape(), strides, readers.at(e.producer))) {
        parts[e.producer] = {i, start * strides[axis]};
        layouts[at(e.producer)] = strides;
      }
      start += (*e.shape)[axis];
    }
  }
  return parts;
}

}  // namespace noyau::jit
