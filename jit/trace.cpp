// Linearising: one walk over the unevaluated part of the graph, without recursion.
// SPDX-License-Identifier: Apache-2.0
#include "jit/trace.hpp"

#include <algorithm>
#include <unordered_map>

#include "core/node_group.hpp"
#include "jit/affine.hpp"
#include "jit/layout.hpp"

namespace noyau::jit {
namespace {

bool is_alias(NodeKind kind) {
  return kind == NodeKind::view || kind == NodeKind::watch || kind == NodeKind::stop_gradient ||
         kind == NodeKind::custom_gradient;
}

/// Results of these are kept when somebody holds them: they are dear to compute again.
bool is_dear(NodeKind kind) {
  switch (kind) {
    case NodeKind::data:
    case NodeKind::constant:
    case NodeKind::iota:
    case NodeKind::elementwise:
    case NodeKind::cast:
    case NodeKind::view:
    case NodeKind::roll:
    case NodeKind::pad:
    case NodeKind::concatenate:
    case NodeKind::watch:
    case NodeKind::stop_gradient:
    case NodeKind::custom_gradient:
      return false;
    default:
      return true;
  }
}

/// Whether the values of an evaluated node are all there is in buffers of the pool's that no other
/// node uses.
bool owns_its_memory(const Node& node) {
  for (std::size_t k = 0; k < node.storage.size(); ++k) {
    const Buffer& buffer = *node.storage[k].buffer;
    const std::size_t bytes = static_cast<std::size_t>(node.shape.elements()) *
                              size_of(node.dtype_of(static_cast<int>(k)));
    if (buffer.external || buffer.uses.load(std::memory_order_acquire) != 1 ||
        buffer.bytes != bytes || node.storage[k].offset != 0)
      return false;
  }
  return true;
}

bool is_unaligned(const Node& node) {
  return std::any_of(node.storage.begin(), node.storage.end(), [](const Storage& s) {
    return reinterpret_cast<std::uintptr_t>(s.buffer->data + s.offset) % 16 != 0;
  });
}

}  // namespace

Resolved resolve(Node* node, int output) {
  Resolved at{node, output, 0, node->shape.dense_strides(), true};
  const Shape& shape = node->shape;
  while (!at.node->is_evaluated() && is_alias(at.node->kind)) {
    Node* next;
    int next_output;
    std::int64_t offset = 0;
    Shape strides;
    const Node& alias = *at.node;
    if (alias.kind == NodeKind::view) {
      const auto& view = std::get<ViewAttributes>(alias.attributes);
      next = alias.base.node();
      next_output = alias.base.output();
      offset = view.offset;
      strides = view.strides;
    } else {
      next = alias.inputs[0].node();
      next_output = alias.inputs[0].output();
      strides = alias.shape.dense_strides();
    }
    if (at.dense) {
      // The consumer sees the alias whole, if perhaps in another shape: then the strides are those
      // of the alias.
      if (at.node->shape == shape) {
        at.offset = offset;
        at.strides = strides;
      } else if (!is_dense(offset, strides, alias.shape)) {
        return at;
      }
    } else if (!is_dense(offset, strides, alias.shape)) {
      AffineMap map{at.offset, {at.strides.begin(), at.strides.end()}};
      const std::vector<std::int64_t> extents(shape.begin(), shape.end());
      auto coordinates = decompose(map, extents, alias.shape);
      if (!coordinates) return at;  // the alias has to be copied first
      const AffineMap through = compose(offset, strides, *coordinates, extents.size());
      at.offset = through.offset;
      for (int k = 0; k < shape.rank(); ++k)
        at.strides[k] = through.strides[static_cast<std::size_t>(k)];
    }
    at.node = next;
    at.output = next_output;
    at.dense = is_dense(at.offset, at.strides, shape) && shape.elements() == next->shape.elements();
  }
  return at;
}

namespace {

/// What identifies a node, as words.
class Words {
 public:
  explicit Words(std::vector<std::uint64_t>& words) : words_(words) {}

  template <class T>
  void put(T value) {
    words_.push_back(static_cast<std::uint64_t>(value));
  }
  void put(const Shape& shape) {
    put(shape.rank());
    for (std::int64_t d : shape) put(d);
  }
  template <class T>
  void put_all(const T& list) {
    put(list.size());
    for (auto v : list) put(v);
  }

  void put_attributes(const Node& node) {
    switch (node.kind) {
      case NodeKind::iota: {
        const auto& a = std::get<IotaAttributes>(node.attributes);
        put(a.axis);
        put(a.last.has_value());
        break;
      }
      case NodeKind::reduce:
      case NodeKind::arg_reduce:
      case NodeKind::concatenate:
        put_all(std::get<AxesAttributes>(node.attributes).axes);
        break;
      case NodeKind::pad: {
        const auto& a = std::get<PadAttributes>(node.attributes);
        put(static_cast<int>(a.mode));
        put_all(a.low);
        put_all(a.high);
        break;
      }
      case NodeKind::set: {
        const auto& a = std::get<ViewAttributes>(node.attributes);
        put(a.offset);
        put(a.strides);
        break;
      }
      case NodeKind::random:
        put(static_cast<int>(std::get<RandomAttributes>(node.attributes).distribution));
        break;
      case NodeKind::convolution:
      case NodeKind::convolution_input_gradient:
      case NodeKind::convolution_weight_gradient:
      case NodeKind::max_pool:
      case NodeKind::max_pool_gradient:
      case NodeKind::avg_pool:
      case NodeKind::avg_pool_gradient: {
        const auto& a = std::get<WindowAttributes>(node.attributes);
        for (int k = 0; k < 2; ++k)
          for (std::int64_t v : {a.window[k], a.stride[k], a.low[k], a.high[k], a.dilation[k]})
            put(v);
        put(a.groups);
        break;
      }
      default:
        break;
    }
  }

 private:
  std::vector<std::uint64_t>& words_;
};

}  // namespace

void append_identity(const Trace& trace, const TraceNode& t, std::vector<std::uint64_t>& words) {
  Words w(words);
  const AllowedPrecision allowed = is_product(t.kind) ? t.source->allowed : AllowedPrecision{};
  w.put(static_cast<std::uint64_t>(t.kind) | std::uint64_t{t.code} << 8 |
        static_cast<std::uint64_t>(t.dtype) << 16 | std::uint64_t{allowed.tf32} << 24 |
        std::uint64_t{allowed.bf16} << 25);
  // With or without the reduced axes: the same elements.
  const bool reduction = t.kind == NodeKind::reduce || t.kind == NodeKind::arg_reduce;
  if (!reduction) w.put(t.shape());
  w.put(t.slot);
  if (t.kind != NodeKind::data) w.put_attributes(*t.source);
  w.put(t.edge_count);
  for (const Edge& e : trace.edges_of(t)) {
    w.put(static_cast<std::uint64_t>(e.producer) | static_cast<std::uint64_t>(e.output) << 32);
    w.put(e.offset);
    w.put(*e.shape);
    w.put(e.strides);
  }
}

namespace {

struct Visited {
  Node* node;
  std::uint32_t references = 0;  ///< from nodes of this walk
  std::int32_t trace_index = -1;
  bool root = false, alive = false, held = false, stored = false, computed = false,
       wanted_by_new = false;
  bool grouped = false;   ///< met as a member of a group
  bool survives = false;  ///< reachable after the eval
};

class Lineariser {
 public:
  Lineariser(std::span<const Array> roots, bool groups) : groups_(groups) {
    walk_ = next_walk();
    for (const Array& root : roots)
      if (!root.node()->is_evaluated()) visit(root.node())->root = true;
    walk_graph();
    std::sort(visited_.begin(), visited_.end(),
              [](const Visited& a, const Visited& b) { return a.node->number < b.node->number; });
    for (std::size_t k = 0; k < visited_.size(); ++k)
      visited_[k].node->visit_index = static_cast<std::int32_t>(k);
    decide();
    emit();
    hash_key();
  }
  Trace take() { return std::move(trace_); }

 private:
  Visited* visit(Node* node) {
    if (node->visit == walk_) return &visited_[static_cast<std::size_t>(node->visit_index)];
    node->visit = walk_;
    node->visit_index = static_cast<std::int32_t>(visited_.size());
    visited_.push_back({node});
    if (!node->is_evaluated()) pending_.push_back(node);
    return &visited_.back();
  }
  Visited& at(const Node* node) { return visited_[static_cast<std::size_t>(node->visit_index)]; }

  void walk_graph() {
    while (!pending_.empty()) {
      Node* node = pending_.back();
      pending_.pop_back();
      if (node->status.load(std::memory_order_acquire) == NodeStatus::failed)
        std::rethrow_exception(node->failure);
      if (node->kind == NodeKind::transfer) {
        trace_.transfers.emplace_back(node, 0);
        continue;
      }
      if (groups_ && !at(node).grouped) visit_group(*node);
      for (const NodeRef& input : value_inputs(*node)) visit(input.node())->references++;
      if (node->base.node()) visit(node->base.node())->references++;
    }
    // Inputs that only a gradient will read are not computed for that, but they are held from
    // inside of this walk too.
    for (const Visited& v : visited_)
      for (const NodeRef& input : gradient_inputs(*v.node))
        if (input.node()->visit == walk_) at(input.node()).references++;
  }

  /// The members of a node's group that can be computed with it.
  void visit_group(Node& node) {
    for (NodeRef& member : members_of_group(node)) {
      Node* m = member.node();
      if (m->status.load(std::memory_order_acquire) != NodeStatus::pending ||
          m->device != node.device || resolve(m, 0).node->is_evaluated())
        continue;
      Visited* v = visit(m);
      v->grouped = true;
      v->references++;
      trace_.held.push_back(std::move(member));
    }
  }

  /// Its values come from outside of this trace.
  static bool is_leaf(const Node& node) {
    return node.is_evaluated() || node.kind == NodeKind::transfer;
  }

  static std::span<const NodeRef> gradient_inputs(const Node& node) {
    if (is_leaf(node)) return {};
    return std::span<const NodeRef>(node.inputs).subspan(value_inputs(node).size());
  }

  /// From the last node to the first, so that everything is known of its readers: whether it is
  /// alive afterwards, computed (rather than only passed through, as aliases are), and stored.
  void decide() {
    for (auto v = visited_.rbegin(); v != visited_.rend(); ++v) {
      const bool held_outside = v->node->references.load(std::memory_order_relaxed) > v->references;
      v->survives |= held_outside;
      if (is_leaf(*v->node)) continue;
      v->alive = v->held || v->root || held_outside;
      if (v->grouped && v->alive) v->root = true;
      if (v->root) v->computed = true;
      if (v->computed) mark_operands(*v->node);
      decide_stored(*v);
    }
  }

  void mark_operands(Node& node) {
    if (is_alias(node.kind)) {
      at(resolve(&node, 0).node).computed = true;
      return;
    }
    for (const NodeRef& input : node.inputs)
      at(resolve(input.node(), input.output()).node).computed = true;
  }

  void decide_stored(Visited& v) {
    Node& node = *v.node;
    const bool again = node.evals_unstored >= 1;
    v.stored = v.root ||
               (v.computed && v.alive &&
                (is_dear(node.kind) || (again && v.wanted_by_new) ||
                 (node.evals_unstored >= 2 && node.handles.load(std::memory_order_relaxed) > 0)));
    const bool is_new = v.computed && !again && !is_alias(node.kind);
    const bool keeps_inputs = v.alive && !v.stored;
    v.survives |= v.alive;
    // What is stored lets go of its inputs, unless a frame needs them. Other threads may read
    // through an alias that somebody holds until the very end.
    const bool inputs_survive =
        v.survives && (!v.stored || is_alias(node.kind) || (node.frame != 0 && is_watched(node)));
    auto touch = [&](Node* input) {
      Visited& i = at(input);
      i.held |= keeps_inputs;
      i.survives |= inputs_survive;
      i.wanted_by_new |= is_new || (is_alias(node.kind) && v.wanted_by_new);
    };
    for (const NodeRef& input : value_inputs(node)) touch(input.node());
    for (const NodeRef& input : gradient_inputs(node))
      if (input.node()->visit == walk_) {
        at(input.node()).held |= keeps_inputs;
        at(input.node()).survives |= inputs_survive;
      }
    if (node.base.node()) touch(node.base.node());
  }

  void emit() {
    for (Visited& v : visited_) {
      if (!v.computed)
        continue;  // aliases are, when somebody asked for them or resolve() stopped there
      Node& node = *v.node;
      const bool leaf = is_leaf(node);
      v.trace_index = static_cast<std::int32_t>(trace_.nodes.size());
      TraceNode t;
      t.node = t.source = &node;
      t.kind = leaf ? NodeKind::data : node.kind;
      t.code = node.code;
      t.dtype = node.dtype;
      t.root = v.root;
      t.stored = v.stored;
      t.alive = v.alive;
      t.unaligned = node.is_evaluated() && node.device.backend().limits().block_threads > 0 &&
                    is_unaligned(node);
      t.donatable = node.is_evaluated() && !v.survives && owns_its_memory(node);
      t.first_edge = static_cast<std::int32_t>(trace_.edges.size());
      if (!trace_.device) trace_.device = node.device;
      if (!leaf) {
        if (is_alias(node.kind)) {
          t.kind = NodeKind::view;
          add_edge(resolve(&node, 0), node.shape);
        } else {
          for (const NodeRef& input : node.inputs)
            add_edge(resolve(input.node(), input.output()), input.node()->shape);
        }
        t.edge_count = static_cast<std::int32_t>(trace_.edges.size()) - t.first_edge;
        add_slots(t);
      }
      trace_.nodes.push_back(t);
    }
  }

  void add_edge(const Resolved& r, const Shape& shape) {
    Edge e{at(r.node).trace_index, r.output, r.offset, r.strides, r.dense, &shape};
    trace_.nodes[static_cast<std::size_t>(e.producer)].uses++;
    trace_.edges.push_back(e);
  }

  void add_slots(TraceNode& t) {
    const Node& node = *t.node;
    t.slot = static_cast<std::int32_t>(trace_.slots.size());
    switch (node.kind) {
      case NodeKind::constant:
        add_slot(std::get<Scalar>(node.attributes));
        share_slots(t);
        break;
      case NodeKind::iota: {
        const auto& a = std::get<IotaAttributes>(node.attributes);
        add_slot(a.start);
        add_slot(a.step);
        if (a.last) add_slot(*a.last);
        share_slots(t);
        break;
      }
      case NodeKind::pad:
        add_slot(std::get<PadAttributes>(node.attributes).value);
        share_slots(t);
        break;
      case NodeKind::roll:
        for (std::int64_t shift : std::get<RollAttributes>(node.attributes).shifts)
          add_slot(static_cast<std::uint64_t>(shift), DType::int64);
        break;
      case NodeKind::random: {
        const auto& a = std::get<RandomAttributes>(node.attributes);
        add_slot(a.seed, DType::uint64);
        add_slot(a.call, DType::uint64);
        add_slot(a.low);
        add_slot(a.high);
        break;
      }
      default:
        t.slot = -1;
    }
  }
  void add_slot(std::uint64_t bits, DType type) {
    trace_.slots.push_back(bits);
    trace_.slot_types.push_back(type);
  }
  void add_slot(const Scalar& value) { add_slot(value.bits, value.dtype); }

  /// Equal constants share their slots, so that what is computed from them can be merged: which
  /// slots a node has is part of the key. Shifts and generator calls are new each time; nodes that
  /// happen to have equal ones stay apart, and the key the same.
  void share_slots(TraceNode& t) {
    const auto first = static_cast<std::size_t>(t.slot), count = trace_.slots.size() - first;
    std::uint64_t hash = count;
    for (std::size_t k = first; k < first + count; ++k)
      hash = ((hash ^ static_cast<std::uint64_t>(trace_.slot_types[k])) * 0x9E3779B97F4A7C15u ^
              trace_.slots[k]) *
             0x9E3779B97F4A7C15u;
    const auto [found, fresh] = shared_.try_emplace(hash ^ hash >> 32, SlotRun{first, count});
    if (fresh || !equal_slots(found->second, {first, count})) return;
    t.slot = static_cast<std::int32_t>(found->second.first);
    trace_.slots.resize(first);
    trace_.slot_types.resize(first);
  }
  struct SlotRun {
    std::size_t first, count;
  };
  bool equal_slots(const SlotRun& a, const SlotRun& b) const {
    if (a.count != b.count) return false;
    for (std::size_t k = 0; k < a.count; ++k)
      if (trace_.slots[a.first + k] != trace_.slots[b.first + k] ||
          trace_.slot_types[a.first + k] != trace_.slot_types[b.first + k])
        return false;
    return true;
  }

  void hash_key() {
    std::vector<std::uint64_t> words;
    words.reserve(trace_.nodes.size() * 12 + trace_.edges.size() * 12);
    for (const TraceNode& t : trace_.nodes) {
      words.push_back(std::uint64_t{t.root} | std::uint64_t{t.stored} << 1 |
                      std::uint64_t{t.alive} << 2 | std::uint64_t{t.donatable} << 3 |
                      std::uint64_t{t.unaligned} << 4 |
                      static_cast<std::uint64_t>(t.shape().rank()) << 8);
      append_identity(trace_, t, words);
    }
    trace_.key = hash_bytes(words.data(), words.size() * sizeof(words[0]));
  }

  Trace trace_;
  std::vector<Visited> visited_;
  std::vector<Node*> pending_;
  std::unordered_map<std::uint64_t, SlotRun> shared_;  ///< by hash of types and bits
  std::uint64_t walk_;
  const bool groups_;
};

}  // namespace

std::uint64_t next_walk() {
  static std::uint64_t walk = 0;
  return ++walk;
}

Trace linearise(std::span<const Array> roots, bool groups) {
  return Lineariser(roots, groups).take();
}

}  // namespace noyau::jit
