// Making kernels: each node becomes an operation at the place in the index space where it is
// needed.
// SPDX-License-Identifier: Apache-2.0
#include "jit/make_kernel.hpp"

#include <unordered_map>

#include "jit/affine.hpp"
#include "ops/op_table.hpp"

namespace noyau::jit {
namespace {

using Kind = KernelOp::Kind;

class Maker {
 public:
  Maker(const KernelContext& context, const Group& group, std::span<const std::int32_t> members)
      : context_(context), trace_(context.trace), members_(members) {
    for (std::size_t k = 0; k + 1 < group.cuts.size(); ++k) {
      const bool row = !group.rows.empty() && group.rows[k];
      kernel_.axes.push_back({group.cuts[k] / group.cuts[k + 1], row});
    }
    if (kernel_.axes.empty() && !group.rows.empty())
      throw InternalError("a group of one element has rows");
    for (const KernelAxis& axis : kernel_.axes) extents_.push_back(axis.extent);
    row_map_.strides.assign(extents_.size(), 0);
    outer_map_ = row_map_;
    std::int64_t all = 1, parallel = 1;
    for (std::size_t a = extents_.size(); a-- > 0;) {
      row_map_.strides[a] = all;
      all *= extents_[a];
      if (kernel_.axes[a].row) continue;
      outer_map_.strides[a] = parallel;
      parallel *= extents_[a];
    }
    for (std::size_t k = 0; k < members.size(); ++k) member_.emplace(members[k], k);
  }

  Kernel run(std::span<const std::int32_t> targets) {
    for (std::int32_t m : members_) node_at(m, place_of(m));
    for (std::int32_t t : targets) store(t);
    finish();
    return std::move(kernel_);
  }

 private:
  const TraceNode& node(std::int32_t i) const { return trace_.nodes[static_cast<std::size_t>(i)]; }
  bool is_outer(std::int32_t i) const {
    return context_.fusion.nodes[static_cast<std::size_t>(i)].outer || is_reduction(node(i).kind);
  }
  /// Where a member of the group is computed: its elements are the space's, or one for each row.
  const AffineMap& place_of(std::int32_t i) const { return is_outer(i) ? outer_map_ : row_map_; }

  std::int32_t push(KernelOp op) {
    kernel_.ops.push_back(std::move(op));
    return static_cast<std::int32_t>(kernel_.ops.size()) - 1;
  }

  struct Key {
    std::int32_t node;
    std::int32_t output;
    AffineMap map;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      auto h = static_cast<std::size_t>(key.node) * 2 + static_cast<std::size_t>(key.output);
      h = h * 0x9E3779B97F4A7C15u + static_cast<std::size_t>(key.map.offset);
      for (std::int64_t s : key.map.strides)
        h = (h ^ static_cast<std::size_t>(s)) * 0x9E3779B97F4A7C15u;
      return h;
    }
  };

  /// The operation that gives node i at `map` (over the kernel's axes, into i's row-major
  /// elements).
  std::int32_t node_at(std::int32_t i, const AffineMap& map, std::int32_t output = 0) {
    Key key{i, output, map};
    if (auto found = made_.find(key); found != made_.end()) return found->second;
    const TraceNode& t = node(i);
    const bool member = member_.count(i) != 0;
    std::int32_t op;
    if (t.kind == NodeKind::constant) op = scalar(t);
    else if (member && map != place_of(i) &&
             !context_.fusion.nodes[static_cast<std::size_t>(i)].inlinable)
      throw InternalError("a member is read at another place of its own kernel");
    else if (member || (inlined(i) && decompose(map, extents_, t.shape()))) op = compute(i, map);
    else op = load(i, map, output);
    made_.emplace(std::move(key), op);
    return op;
  }
  bool inlined(std::int32_t i) const {
    return node(i).kind != NodeKind::data &&
           context_.fusion.nodes[static_cast<std::size_t>(i)].inlinable;
  }

  std::int32_t scalar(const TraceNode& t) {
    KernelOp op;
    op.kind = Kind::scalar;
    op.dtype = t.dtype;
    op.slot = t.slot;
    return push(op);
  }

  std::int32_t buffer_of(std::int32_t i, std::int32_t output, std::int64_t offset, bool written) {
    for (std::size_t k = 0; k < kernel_.buffers.size(); ++k) {
      const KernelBuffer& b = kernel_.buffers[k];
      if (b.value == i && b.output == output && b.offset == offset && b.written == written)
        return static_cast<std::int32_t>(k);
    }
    KernelBuffer b;
    b.value = i;
    b.output = output;
    b.offset = offset;
    b.dtype = node(i).node->dtype_of(output);
    b.written = written;
    b.permuted = context_.storage(i) != node(i).shape().dense_strides();
    kernel_.buffers.push_back(b);
    return static_cast<std::int32_t>(kernel_.buffers.size()) - 1;
  }

  AffineMap in_memory(std::int32_t i, const AffineMap& map) const {
    auto result = in_storage(map, extents_, node(i).shape(), context_.storage(i));
    if (!result)
      throw InternalError(fmt::format("node {} of shape {} is not affine in memory", i,
                                      to_string(node(i).shape())));
    return *result;
  }

  std::int32_t load(std::int32_t i, const AffineMap& map, std::int32_t output) {
    context_.load(i);
    KernelOp op;
    op.kind = Kind::load;
    op.dtype = node(i).node->dtype_of(output);
    AffineMap where = in_memory(i, map);
    op.buffer = buffer_of(i, output, where.offset, false);
    where.offset = 0;
    op.maps.push_back(std::move(where));
    return push(std::move(op));
  }

  void store(std::int32_t i) {
    KernelOp op;
    op.kind = Kind::store;
    op.dtype = node(i).dtype;
    op.args[0] = node_at(i, place_of(i));
    AffineMap where = in_memory(i, place_of(i));
    op.buffer = buffer_of(i, 0, where.offset, true);
    where.offset = 0;
    op.maps.push_back(std::move(where));
    push(std::move(op));
  }

  /// The coordinates of `shape` as maps over the kernel's axes.
  std::vector<AffineMap> coordinates(const AffineMap& map, const Shape& shape) const {
    auto result = decompose(map, extents_, shape);
    if (!result)
      throw InternalError("a place of shape " + to_string(shape) + " does not decompose");
    return std::move(*result);
  }

  std::int32_t operand(const Edge& e, const AffineMap& map, const Shape& shape) {
    const AffineMap there =
        e.dense ? map : compose(e.offset, e.strides, coordinates(map, shape), extents_.size());
    const std::int32_t i = e.producer;
    if (member_.count(i) != 0 || !inlined(i) || can_inline(trace_, context_.fusion, e, shape))
      return node_at(i, there, e.output);
    const auto [found, fresh] = loaded_.try_emplace(Key{i, e.output, there}, -1);
    if (fresh) found->second = load(i, there, e.output);
    return found->second;
  }

  std::int32_t compute(std::int32_t i, const AffineMap& map) {
    const TraceNode& t = node(i);
    switch (t.kind) {
      case NodeKind::elementwise:
      case NodeKind::cast:
      case NodeKind::view:
        return pointwise(i, map);
      case NodeKind::iota:
        return iota(i, map);
      case NodeKind::random:
        return random(i, map);
      case NodeKind::reduce:
      case NodeKind::arg_reduce:
        return reduction(i);
      case NodeKind::roll:
        return rolled(i, map);
      case NodeKind::pad:
        return padded(i, map);
      default:
        throw InternalError(fmt::format("{} is not computed in a kernel", name(t.kind)));
    }
  }

  std::int32_t pointwise(std::int32_t i, const AffineMap& map) {
    const TraceNode& t = node(i);
    KernelOp op;
    op.dtype = t.dtype;
    int k = 0;
    for (const Edge& e : trace_.edges_of(t)) op.args[k++] = operand(e, map, t.shape());
    if (t.kind == NodeKind::view) return op.args[0];
    op.kind = t.kind == NodeKind::cast ? Kind::cast : Kind::elementwise;
    op.code = t.code;
    op.compute = kernel_.ops[static_cast<std::size_t>(op.args[k - 1])].dtype;
    return push(op);
  }

  std::int32_t iota(std::int32_t i, const AffineMap& map) {
    const TraceNode& t = node(i);
    const auto& a = std::get<IotaAttributes>(t.node->attributes);
    KernelOp op;
    op.kind = Kind::iota;
    op.dtype = t.dtype;
    op.slot = t.slot;
    op.exact_last = a.last.has_value();
    op.maps.push_back(coordinates(map, t.shape())[static_cast<std::size_t>(a.axis)]);
    op.extents.push_back(t.shape()[a.axis] - 1);
    return push(std::move(op));
  }

  std::int32_t random(std::int32_t i, const AffineMap& map) {
    const TraceNode& t = node(i);
    KernelOp op;
    op.kind = Kind::random;
    op.dtype = t.dtype;
    op.slot = t.slot;
    op.distribution = std::get<RandomAttributes>(t.node->attributes).distribution;
    op.maps.push_back(map);
    return push(std::move(op));
  }

  std::int32_t reduction(std::int32_t i) {
    const TraceNode& t = node(i);
    const Edge& e = trace_.edges_of(t)[0];
    KernelOp op;
    op.kind = t.kind == NodeKind::reduce ? Kind::reduce : Kind::arg_reduce;
    op.code = t.code;
    op.dtype = t.dtype;
    op.args[0] = operand(e, row_map_, t.node->inputs[0].node()->shape);
    op.compute = kernel_.ops[static_cast<std::size_t>(op.args[0])].dtype;
    return push(std::move(op));
  }

  /// A load whose coordinates are changed on the way: by roll and pad.
  KernelOp indexed_load(const Edge& e, const Shape& shape) {
    const TraceNode& input = node(e.producer);
    context_.load(e.producer);
    const auto where =
        in_storage({e.offset, {e.strides.begin(), e.strides.end()}}, {shape.begin(), shape.size()},
                   input.shape(), context_.storage(e.producer));
    if (!where) throw InternalError("an indexed load is not affine in memory");
    KernelOp op;
    op.dtype = input.node->dtype_of(e.output);
    op.buffer = buffer_of(e.producer, e.output, where->offset, false);
    op.strides = where->strides;
    op.extents.assign(shape.begin(), shape.end());
    return op;
  }

  std::int32_t rolled(std::int32_t i, const AffineMap& map) {
    const TraceNode& t = node(i);
    KernelOp op = indexed_load(trace_.edges_of(t)[0], t.shape());
    op.kind = Kind::roll_load;
    op.slot = t.slot;
    op.maps = coordinates(map, t.shape());
    return push(std::move(op));
  }

  std::int32_t padded(std::int32_t i, const AffineMap& map) {
    const TraceNode& t = node(i);
    const auto& a = std::get<PadAttributes>(t.node->attributes);
    const Shape& inner = t.node->inputs[0].node()->shape;
    if (inner.elements() == 0) {
      KernelOp op;
      op.kind = Kind::scalar;
      op.slot = t.slot;
      op.dtype = t.dtype;
      return push(op);
    }
    KernelOp op = indexed_load(trace_.edges_of(t)[0], inner);
    op.kind = Kind::pad_load;
    op.pad_mode = a.mode;
    op.slot = a.mode == PadMode::constant ? t.slot : -1;
    op.maps = coordinates(map, t.shape());
    op.low = a.low;
    for (std::size_t k = 0; k < a.low.size(); ++k)
      op.padded.push_back(a.low[k] != 0 || a.high[k] != 0);
    return push(std::move(op));
  }

  // -- at the end ---------------------------------------------------------------------------------

  /// Drops what no store needs, then decides for each operation whether it varies along the rows,
  /// and its stage.
  void finish() {
    auto& ops = kernel_.ops;
    std::vector<char> wanted(ops.size(), 0);
    for (std::size_t k = ops.size(); k-- > 0;) {
      if (ops[k].kind == Kind::store) wanted[k] = 1;
      if (!wanted[k]) continue;
      for (std::int32_t a : ops[k].args)
        if (a >= 0) wanted[static_cast<std::size_t>(a)] = 1;
    }
    std::vector<std::int32_t> renamed(ops.size(), -1);
    std::vector<KernelOp> kept;
    std::vector<std::int32_t> buffers(kernel_.buffers.size(), -1);
    std::vector<KernelBuffer> used;
    for (std::size_t k = 0; k < ops.size(); ++k) {
      if (!wanted[k]) continue;
      KernelOp op = std::move(ops[k]);
      if (op.buffer >= 0) {
        auto& b = buffers[static_cast<std::size_t>(op.buffer)];
        if (b < 0) {
          b = static_cast<std::int32_t>(used.size());
          used.push_back(kernel_.buffers[static_cast<std::size_t>(op.buffer)]);
        }
        op.buffer = b;
      }
      classify(op, kept, renamed);
      renamed[k] = static_cast<std::int32_t>(kept.size());
      kept.push_back(std::move(op));
    }
    kernel_.ops = std::move(kept);
    kernel_.buffers = std::move(used);
    name_it();
  }

  void classify(KernelOp& op, const std::vector<KernelOp>& kept,
                const std::vector<std::int32_t>& renamed) const {
    for (const AffineMap& map : op.maps)
      for (std::size_t a = 0; a < extents_.size(); ++a)
        op.row |= kernel_.axes[a].row && map.strides[a] != 0 && op.kind != Kind::store;
    for (std::int32_t& a : op.args) {
      if (a < 0) continue;
      a = renamed[static_cast<std::size_t>(a)];
      const KernelOp& argument = kept[static_cast<std::size_t>(a)];
      op.row |= argument.row;
      op.stage = std::max(op.stage, argument.stage);
    }
    if (op.kind == Kind::store)
      for (std::size_t a = 0; a < extents_.size(); ++a)
        op.row |= kernel_.axes[a].row && op.maps[0].strides[a] != 0;
    if (op.kind == Kind::reduce || op.kind == Kind::arg_reduce) {
      op.row = false;
      ++op.stage;
    }
  }

  /// The operations in it, each once, in order: what profiles and logs show.
  void name_it() {
    std::string text;
    std::size_t words = 0;
    for (const KernelOp& op : kernel_.ops) {
      std::string_view word;
      switch (op.kind) {
        case Kind::elementwise:
          word = ops::row(op.code).name;
          break;
        case Kind::cast:
          word = "cast";
          break;
        case Kind::iota:
          word = "iota";
          break;
        case Kind::random:
          word = "random";
          break;
        case Kind::roll_load:
          word = "roll";
          break;
        case Kind::pad_load:
          word = "pad";
          break;
        case Kind::reduce:
          word = operation_name(NodeKind::reduce, op.code);
          break;
        case Kind::arg_reduce:
          word = operation_name(NodeKind::arg_reduce, op.code);
          break;
        default:
          break;
      }
      if (word.empty() || text.find(word) != std::string::npos) continue;
      if (++words > 6) break;
      if (!text.empty()) text += '_';
      text += word;
    }
    kernel_.name = text.empty() ? "copy" : text;
  }

  const KernelContext& context_;
  const Trace& trace_;
  std::span<const std::int32_t> members_;
  Kernel kernel_;
  std::vector<std::int64_t> extents_;
  AffineMap row_map_, outer_map_;
  std::unordered_map<std::int32_t, std::size_t> member_;
  std::unordered_map<Key, std::int32_t, KeyHash> made_;
  std::unordered_map<Key, std::int32_t, KeyHash> loaded_;  ///< of what is not inlined here
};

}  // namespace

Kernel make_kernel(const KernelContext& context, const Group& group,
                   std::span<const std::int32_t> members, std::span<const std::int32_t> targets) {
  return Maker(context, group, members).run(targets);
}

}  // namespace noyau::jit
