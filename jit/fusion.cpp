// Fusion: levels, groups and what may be inlined.
// SPDX-License-Identifier: Apache-2.0
#include "jit/fusion.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "jit/affine.hpp"
#include "jit/kernel.hpp"
#include "ops/op_table.hpp"

namespace noyau::jit {

std::int64_t Group::parallel_size() const {
  if (rows.empty()) return size();
  std::int64_t product = 1;
  for (std::size_t k = 0; k < rows.size(); ++k)
    if (!rows[k]) product *= cuts[k + 1] == 0 ? 0 : cuts[k] / cuts[k + 1];
  return product;
}

bool is_step(NodeKind kind) {
  switch (kind) {
    case NodeKind::set:
    case NodeKind::concatenate:
    case NodeKind::matmul:
    case NodeKind::convolution:
    case NodeKind::convolution_input_gradient:
    case NodeKind::convolution_weight_gradient:
    case NodeKind::max_pool:
    case NodeKind::max_pool_gradient:
    case NodeKind::max_pool_gather:
    case NodeKind::avg_pool:
    case NodeKind::avg_pool_gradient:
      return true;
    default:
      return false;
  }
}

bool is_reduction(NodeKind kind) {
  return kind == NodeKind::reduce || kind == NodeKind::arg_reduce;
}

bool is_whole_alias(const Trace& trace, const TraceNode& t) {
  return t.kind == NodeKind::view && trace.edges_of(t)[0].dense;
}

namespace {

constexpr std::int32_t never = std::numeric_limits<std::int32_t>::max() / 2;
constexpr std::int32_t cheap_cost = 4, cheap_inputs = 2;
constexpr std::int32_t inline_limit = 48;  // statements that may move into a consumer's kernel
constexpr std::size_t most_in_rows = 192;  // members of a group with rows
constexpr std::size_t merge_limit = 96;    // members of groups merged only to save launches

constexpr std::size_t most_shapes = 4;  // that an inlined value is placed in
constexpr std::int32_t too_many = -2;

/// Cheap operations cost one; those that take many instructions cost enough never to be repeated.
std::int32_t cost_of(const TraceNode& t) {
  switch (t.kind) {
    case NodeKind::constant:
    case NodeKind::iota:
    case NodeKind::view:
    case NodeKind::cast:
      return 0;
    case NodeKind::elementwise: {
      using ops::ElementwiseOp;
      switch (static_cast<ElementwiseOp>(t.code)) {
        case ElementwiseOp::copy:
          return 0;
        case ElementwiseOp::divide:
        case ElementwiseOp::reciprocal:
        case ElementwiseOp::sqrt:
        case ElementwiseOp::rsqrt:
        case ElementwiseOp::floor_divide:
        case ElementwiseOp::remainder:
          return 4;
        default:
          return ops::row(t.code).meaning.find('(') == std::string_view::npos ||
                         ops::row(t.code).rule == ops::TypeRule::rounding ||
                         ops::row(t.code).meaning.starts_with("max(") ||
                         ops::row(t.code).meaning.starts_with("min(") ||
                         ops::row(t.code).meaning.starts_with("abs(") ||
                         ops::row(t.code).meaning.starts_with("fma(")
                     ? 1
                     : 16;
      }
    }
    default:
      return 16;
  }
}

class Fuser {
 public:
  Fuser(const Trace& trace, const FusionOptions& options) : trace_(trace), options_(options) {
    nodes_.resize(trace.nodes.size());
  }

  Fusion run() {
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(nodes_.size()); ++i) place(i);
    if (options_.fuse) merge_equal_spaces();
    return finish();
  }

 private:
  const TraceNode& node(std::int32_t i) const { return trace_.nodes[static_cast<std::size_t>(i)]; }
  Placement& at(std::int32_t i) { return nodes_[static_cast<std::size_t>(i)]; }

  std::int32_t find(std::int32_t g) {
    while (parent_[static_cast<std::size_t>(g)] != g) {
      auto& p = parent_[static_cast<std::size_t>(g)];
      p = parent_[static_cast<std::size_t>(p)];
      g = p;
    }
    return g;
  }
  Group& group(std::int32_t g) { return groups_[static_cast<std::size_t>(find(g))]; }

  /// The level from which the values of i can be loaded.
  std::int32_t memory_level(std::int32_t i) {
    return node(i).kind == NodeKind::data ? 0 : at(i).level + 1;
  }

  bool can_inline(const Edge& e, const Shape& shape) {
    return jit::can_inline(trace_, fusion_, e, shape);
  }
  /// The lowest level at which a consumer outside the producer's group can have the value.
  std::int32_t outside_level(const Edge& e, const Shape& shape) {
    if (options_.fuse && can_inline(e, shape)) return at(e.producer).inline_level;
    return memory_level(e.producer);
  }

  // -- joining groups -----------------------------------------------------------------------------

  /// Strides over the axes between `cuts` that walk the parallel part of a space whose row
  /// intervals are `rows`.
  static std::vector<std::int64_t> parallel_strides(const std::vector<std::int64_t>& cuts,
                                                    const std::vector<bool>& rows) {
    std::vector<std::int64_t> strides(rows.size(), 0);
    std::int64_t next = 1;
    for (std::size_t k = rows.size(); k-- > 0;)
      if (!rows[k]) {
        strides[k] = next;
        next *= cuts[k] / cuts[k + 1];
      }
    return strides;
  }
  static std::vector<bool> refine_rows(const std::vector<std::int64_t>& from,
                                       const std::vector<bool>& rows,
                                       const std::vector<std::int64_t>& to) {
    std::vector<bool> result;
    std::size_t k = 0;
    for (std::size_t x = 0; x + 1 < to.size(); ++x) {
      while (k + 1 < from.size() && from[k + 1] >= to[x]) ++k;
      result.push_back(rows.empty() ? false : rows[std::min(k, rows.size() - 1)]);
    }
    return result;
  }

  /// Whether an edge over `shape` reads the rows' results of g, each for all of its row.
  bool reads_rows(const Edge& e, const Shape& shape, const Group& g) {
    if (e.offset != 0 || shape.elements() != g.size()) return false;
    const auto cuts = refine(cut_points(shape), g.cuts);
    if (!cuts) return false;
    const auto rows = refine_rows(g.cuts, g.rows, *cuts);
    const auto expected = parallel_strides(*cuts, rows);
    // Each interval of the refined cuts lies in one axis of the shape.
    std::int64_t outer_cut = shape.elements();
    std::size_t x = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (shape[axis] == 1) continue;
      const std::int64_t inner_cut = outer_cut / shape[axis];
      for (; x + 1 < cuts->size() && (*cuts)[x + 1] >= inner_cut && (*cuts)[x] <= outer_cut; ++x) {
        const std::int64_t within = (*cuts)[x + 1] / inner_cut;
        if (expected[x] != e.strides[axis] * within) return false;
      }
      outer_cut = inner_cut;
    }
    return true;
  }

  enum class Join { none, row, outer };
  /// How a consumer of that shape could share the kernel of the edge's producer.
  Join join_of(const Edge& e, const Shape& shape, bool reduction) {
    const std::int32_t p = e.producer;
    if (at(p).group < 0 || !options_.fuse) return Join::none;
    const Group& g = group(at(p).group);
    const bool outer = at(p).outer || is_reduction(node(p).kind);
    if (!outer) return e.dense && shape.elements() == g.size() ? Join::row : Join::none;
    if (e.dense && shape.elements() == g.parallel_size() && !reduction) return Join::outer;
    // Long rows are read once: nothing at row level may wait for their results.
    if (options_.rows && g.row_size() <= chunk_rows && reads_rows(e, shape, g)) return Join::row;
    return Join::none;
  }

  /// Puts the space of `shape` (rows: reduced axes) and group g together; false, and nothing
  /// changed, when they do not nest.
  bool unify_row(Group& g, const Shape& shape, const std::vector<std::int64_t>& cuts,
                 const std::vector<bool>& rows) {
    if (shape.elements() != g.size()) return false;
    const auto common = refine(cuts, g.cuts);
    if (!common) return false;
    const auto mine = refine_rows(cuts, rows, *common),
               theirs = refine_rows(g.cuts, g.rows, *common);
    if (!rows.empty() && !g.rows.empty() && mine != theirs) return false;
    if (rows.empty() && g.rows.empty()) {
      g.cuts = *common;
      return true;
    }
    g.rows = rows.empty() ? theirs : mine;
    g.cuts = *common;
    return true;
  }
  /// Puts a plain space of the rows' results inside g: its cuts refine the parallel axes.
  bool unify_outer(Group& g, const std::vector<std::int64_t>& cuts) {
    // Only when nothing needs refining: the parallel cuts of g seen alone contain the new ones.
    std::vector<std::int64_t> parallel{1};
    for (std::size_t k = g.rows.size(); k-- > 0;)
      if (!g.rows[k]) parallel.push_back(parallel.back() * (g.cuts[k] / g.cuts[k + 1]));
    if (g.rows.empty()) return false;
    std::reverse(parallel.begin(), parallel.end());
    for (std::int64_t cut : cuts)
      if (std::find(parallel.begin(), parallel.end(), cut) == parallel.end()) return false;
    return true;
  }

  bool merge(std::int32_t a, std::int32_t b) {
    a = find(a);
    b = find(b);
    if (a == b) return true;
    Group &ga = groups_[static_cast<std::size_t>(a)], &gb = groups_[static_cast<std::size_t>(b)];
    bool as_outer = false;
    Group* keep = &ga;
    Group* gone = &gb;
    if (ga.size() == gb.size()) {
      const auto common = refine(ga.cuts, gb.cuts);
      if (!common) return false;
      const auto ra = refine_rows(ga.cuts, ga.rows, *common),
                 rb = refine_rows(gb.cuts, gb.rows, *common);
      if (!ga.rows.empty() && !gb.rows.empty() && ra != rb) return false;
      if (ga.members.size() < gb.members.size()) std::swap(keep, gone);
      const bool any_rows = !ga.rows.empty() || !gb.rows.empty();
      if (any_rows) keep->rows = ga.rows.empty() ? rb : ra;
      keep->cuts = *common;
    } else {
      if (ga.rows.empty()) std::swap(keep, gone);
      if (keep->rows.empty() || !gone->rows.empty() || keep->parallel_size() != gone->size() ||
          !unify_outer(*keep, gone->cuts))
        return false;
      as_outer = true;
    }
    for (std::int32_t m : gone->members) {
      if (as_outer) at(m).outer = true;
      keep->members.push_back(m);
    }
    gone->members.clear();
    gone->members.shrink_to_fit();
    parent_[static_cast<std::size_t>(gone - groups_.data())] =
        static_cast<std::int32_t>(keep - groups_.data());
    return true;
  }

  std::int32_t new_group(std::int32_t level, std::vector<std::int64_t> cuts,
                         std::vector<bool> rows) {
    groups_.push_back({level, std::move(cuts), std::move(rows), {}});
    parent_.push_back(static_cast<std::int32_t>(groups_.size()) - 1);
    return parent_.back();
  }

  // -- placing one node ---------------------------------------------------------------------------

  /// The space a node is computed in: its own shape, or its input's for a reduction.
  const Shape& space_of(std::int32_t i) {
    return is_reduction(node(i).kind) ? node(i).node->inputs[0].node()->shape : node(i).shape();
  }

  void place(std::int32_t i) {
    const TraceNode& t = node(i);
    Placement& p = at(i);
    if (t.kind == NodeKind::data || is_whole_alias(trace_, t)) return;
    if (is_step(t.kind)) {
      for (const Edge& e : trace_.edges_of(t))
        p.level = std::max(p.level, memory_level(e.producer));
      return;
    }
    const bool indexed = t.kind == NodeKind::roll || t.kind == NodeKind::pad;
    if (indexed) {
      for (const Edge& e : trace_.edges_of(t))
        p.level = std::max(p.level, memory_level(e.producer));
      p.group = alone(i);
    } else {
      place_pointwise(i);
    }
    group(p.group).members.push_back(i);
    decide_inlining(i, indexed);
  }

  std::int32_t alone(std::int32_t i) {
    const Shape& space = space_of(i);
    return new_group(at(i).level, cut_points(space), rows_of(i));
  }

  /// Which intervals of the reduction's own cut points are reduced.
  std::vector<bool> rows_of(std::int32_t i) {
    if (!is_reduction(node(i).kind)) return {};
    const Shape& space = space_of(i);
    const auto& axes = std::get<AxesAttributes>(node(i).node->attributes).axes;
    std::vector<bool> rows;
    for (int axis = 0; axis < space.rank(); ++axis)
      if (space[axis] != 1) rows.push_back(std::find(axes.begin(), axes.end(), axis) != axes.end());
    return rows;
  }

  void place_pointwise(std::int32_t i) {
    const bool reduction = is_reduction(node(i).kind);
    const Shape& space = space_of(i);
    std::int32_t joined_level = 0, free_level = 0;
    for (const Edge& e : trace_.edges_of(i)) {
      const std::int32_t outside = outside_level(e, space);
      free_level = std::max(free_level, outside);
      const bool joinable = join_of(e, space, reduction) != Join::none;
      joined_level =
          std::max(joined_level, joinable ? std::min(outside, at(e.producer).level) : outside);
    }
    if (space.elements() > 0 && joined_level < free_level &&
        try_join(i, joined_level, space, reduction))
      return;
    at(i).level = free_level;
    at(i).group = alone(i);
  }

  /// Puts i into the groups of the inputs that it cannot have from outside at this level.
  bool try_join(std::int32_t i, std::int32_t level, const Shape& space, bool reduction) {
    std::int32_t target = -1;
    Join how = Join::none;
    for (const Edge& e : trace_.edges_of(i)) {
      if (outside_level(e, space) <= level) continue;
      const Join join = join_of(e, space, reduction);
      if (join == Join::none || at(e.producer).level != level) return false;
      if (how != Join::none && how != join) return false;
      how = join;
      if (target >= 0 && !merge(target, at(e.producer).group)) return false;
      target = find(at(e.producer).group);
    }
    if (target < 0) return false;
    Group& g = group(target);
    // A kernel with rows is not cut later: a long chain must not become part of it.
    if ((reduction || !g.rows.empty()) && g.members.size() >= options_.reduced(most_in_rows))
      return false;
    if (how == Join::row && !unify_row(g, space, cut_points(space), rows_of(i))) return false;
    if (how == Join::outer && g.rows.empty()) return false;
    if (how == Join::outer && !unify_outer(g, cut_points(space))) return false;
    at(i).level = level;
    at(i).group = target;
    at(i).outer = how == Join::outer;
    return true;
  }

  void decide_inlining(std::int32_t i, bool indexed) {
    const TraceNode& t = node(i);
    Placement& p = at(i);
    p.cost = cost_of(t);
    p.statements = 1;
    p.inline_level = 0;
    const bool reduction = is_reduction(t.kind);
    for (const Edge& e : trace_.edges_of(t)) {
      const Placement& in = at(e.producer);
      if (!indexed && in.inlinable && can_inline(e, space_of(i))) {
        p.cost += in.cost;
        p.statements += in.statements;
        p.stored_inputs += in.stored_inputs;
        // Where this node is read at a place that its reshaped input cannot follow, that is loaded.
        const bool follows =
            !e.dense || cut_points(space_of(i)) == cut_points(node(e.producer).shape());
        p.inline_level =
            std::max(p.inline_level, follows || node(e.producer).kind == NodeKind::constant
                                         ? in.inline_level
                                         : memory_level(e.producer));
      } else {
        p.stored_inputs += 1;
        p.inline_level = std::max(p.inline_level, memory_level(e.producer));
      }
    }
    const bool cheap = p.cost <= cheap_cost && p.stored_inputs <= cheap_inputs;
    const bool exclusive = t.uses == 1 && !t.stored && p.inline_level <= p.level &&
                           p.statements <= options_.reduced(inline_limit);
    p.inlinable = !reduction && (cheap || exclusive) && options_.fuse;
    if (t.kind == NodeKind::constant) p.inlinable = true;
    if (p.inlinable) p.shapes = shapes_of(i, indexed);
    if (p.shapes == too_many) p.inlinable = false;
    if (!p.inlinable) p.inline_level = never;
  }

  /// The node's own shape and, over edges that keep the order of elements, those of what is inlined
  /// into it: the same set as its first producer's when nothing is new.
  std::int32_t shapes_of(std::int32_t i, bool indexed) {
    std::int32_t first = -1;
    std::vector<Shape> wanted{node(i).shape()};
    const auto add = [&wanted](const Shape& s) {
      if (std::find(wanted.begin(), wanted.end(), s) == wanted.end()) wanted.push_back(s);
    };
    for (const Edge& e : trace_.edges_of(i)) {
      const Placement& in = at(e.producer);
      if (indexed || !e.dense || in.shapes < 0 || !can_inline(e, space_of(i))) continue;
      if (first < 0) first = in.shapes;
      for (const Shape& s : shapes_in(in.shapes)) add(s);
    }
    if (wanted.size() > most_shapes) return too_many;
    if (first >= 0 && shapes_in(first).size() == wanted.size()) return first;
    fusion_.shapes.push_back(std::move(wanted));
    return static_cast<std::int32_t>(fusion_.shapes.size()) - 1;
  }
  const std::vector<Shape>& shapes_in(std::int32_t set) {
    return fusion_.shapes[static_cast<std::size_t>(set)];
  }

  // -- merging what shares a space ----------------------------------------------------------------

  /// Groups of one level and size become one kernel: fewer launches, and shared inputs are loaded
  /// once.
  void merge_equal_spaces() {
    std::map<std::pair<std::int32_t, std::int64_t>, std::vector<std::int32_t>> open;
    for (std::int32_t g = 0; g < static_cast<std::int32_t>(groups_.size()); ++g) {
      if (find(g) != g || groups_[static_cast<std::size_t>(g)].size() == 0) continue;
      auto& same = open[{groups_[static_cast<std::size_t>(g)].level,
                         groups_[static_cast<std::size_t>(g)].size()}];
      bool done = false;
      for (std::size_t k = same.size() > 4 ? same.size() - 4 : 0; k < same.size() && !done; ++k) {
        const Group &a = group(same[k]), &b = group(g);
        if (a.members.size() + b.members.size() <= options_.reduced(merge_limit))
          done = merge(same[k], g);
      }
      if (!done) same.push_back(g);
    }
  }

  Fusion finish() {
    Fusion& result = fusion_;
    std::vector<std::int32_t> number(groups_.size(), -1);
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(nodes_.size()); ++i) {
      Placement& p = at(i);
      if (p.group < 0) continue;
      const auto root = static_cast<std::size_t>(find(p.group));
      if (number[root] < 0) {
        number[root] = static_cast<std::int32_t>(result.groups.size());
        result.groups.push_back(groups_[root]);
        result.groups.back().members.clear();
      }
      p.group = number[root];
      result.groups[static_cast<std::size_t>(p.group)].members.push_back(i);
    }
    return std::move(fusion_);
  }

  const Trace& trace_;
  FusionOptions options_;
  Fusion fusion_;  // its groups are numbered last
  std::vector<Placement>& nodes_ = fusion_.nodes;
  std::vector<Group> groups_;
  std::vector<std::int32_t> parent_;
};

}  // namespace

bool can_inline(const Trace& trace, const Fusion& fusion, const Edge& e, const Shape& shape) {
  const TraceNode& p = trace.nodes[static_cast<std::size_t>(e.producer)];
  const Placement& placement = fusion.nodes[static_cast<std::size_t>(e.producer)];
  if (!placement.inlinable) return false;
  if (p.kind == NodeKind::constant) return true;
  const AffineMap map{e.offset, {e.strides.begin(), e.strides.end()}};
  for (const Shape& within : fusion.shapes[static_cast<std::size_t>(placement.shapes)])
    if (!decompose(map, {shape.begin(), shape.size()}, within)) return false;
  // A dear value is not computed again for each place it is broadcast to.
  return placement.cost <= cheap_cost || shape.elements() <= 4 * p.shape().elements();
}

Fusion fuse(const Trace& trace, const FusionOptions& options) {
  return Fuser(trace, options).run();
}

}  // namespace noyau::jit
