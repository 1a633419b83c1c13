// The forward pass that labels values uniform, affine or varying, repeated until loops settle.
// SPDX-License-Identifier: Apache-2.0
#include "backends/llvm/lanes.hpp"

#include <algorithm>

#include "noyau/error.hpp"

namespace noyau::llvm_backend {
namespace {

using jit::Domain;
using jit::Instruction;
using jit::MemoryObject;
using jit::no_value;
using jit::Opcode;
using jit::Program;
using jit::Value;

/// What is executed without a branch under a divergent `if`, at most.
constexpr int most_flat_instructions = 12;

LaneInfo uniform_at(Level level) { return {.spread = Spread::uniform, .level = level}; }
LaneInfo varying() { return {.spread = Spread::varying, .level = Level::gang}; }
LaneInfo affine(Level level, bool known, std::int64_t stride) {
  if (known && stride == 0) return uniform_at(level);
  return {.spread = Spread::affine, .level = level, .stride_known = known, .stride = stride};
}

class Analyser {
 public:
  explicit Analyser(const Program& program) : p_(program) {
    const auto n = static_cast<std::size_t>(p_.size());
    made_.values.resize(n);
    made_.regions.resize(n);
    made_.depth.resize(n);
    used_after_.resize(n);
    seen_.resize(n);
  }

  LaneAnalysis run() {
    block_shape();
    structure();
    while (pass()) {
    }
    for (Value v = 0; v < p_.size(); ++v) {
      mark_vector_users(v);
      mark_flat(v);
      find_row_step(v);
      mark_transposed(v);
    }
    measure_live();
    return std::move(made_);
  }

 private:
  LaneInfo& info(Value v) { return made_.values[static_cast<std::size_t>(v)]; }
  RegionInfo& region(Value v) { return made_.regions[static_cast<std::size_t>(v)]; }
  Value operand(const Instruction& i, int k) const {
    return p_.operands_of(i)[static_cast<std::size_t>(k)];
  }
  const MemoryObject& memory(const Instruction& i) const {
    return p_.memory[static_cast<std::size_t>(i.immediate)];
  }

  void block_shape() {
    if (p_.domain != Domain::blocks) return;
    const std::int32_t* b = p_.block_size;
    made_.one_gang = b[0] <= gang_lanes && b[1] == 1 && b[2] == 1;
    made_.rows_of_gangs = made_.one_gang || b[0] % gang_lanes == 0;
  }

  /// Depths, whiles, which loop parameters are read after their loop, which ifs need no branch.
  void structure() {
    std::vector<Value> open;
    std::int64_t weight = 1;
    for (Value v = 0; v < p_.size(); ++v) {
      const Instruction& i = p_[v];
      made_.depth[static_cast<std::size_t>(v)] = static_cast<std::int32_t>(open.size());
      for (Value used : p_.operands_of(i)) {
        if (p_[used].op == Opcode::loop_param) {
          const Value of = used - 1 - static_cast<Value>(p_[used].immediate);
          if (p_[of].end <= v) used_after_[static_cast<std::size_t>(used)] = true;
        }
      }
      made_.cost += weight;
      switch (i.op) {
        case Opcode::item:
          made_.uses_item[i.immediate] = true;
          break;
        case Opcode::block:
          made_.uses_block[i.immediate] = true;
          break;
        case Opcode::loop:
          made_.has_loops = true;
          weight *= 16;
          [[fallthrough]];
        case Opcode::if_:
        case Opcode::else_:
          made_.has_regions = true;
          if (i.op == Opcode::if_ && i.end < p_.size() && p_[i.end].op == Opcode::else_) {
            region(v).partner = i.end;
            region(i.end).partner = v;
          }
          open.push_back(v);
          break;
        case Opcode::while_:
          region(open.back()).while_ = v;
          break;
        case Opcode::yield:
          if (p_[open.back()].op == Opcode::loop) weight /= 16;
          open.pop_back();
          break;
        case Opcode::func:
        case Opcode::call:
          throw InternalError("analyse_lanes: calls must be inlined first");
        default:
          break;
      }
    }
  }

  /// A part of an if that is short and safe without an active lane needs no branch.
  void mark_flat(Value v) {
    const Opcode op = p_[v].op;
    if (op == Opcode::if_ || op == Opcode::else_) region(v).flat = is_flat(v, p_[v].end);
  }
  bool is_flat(Value opening, Value end) {
    if (end - opening > most_flat_instructions) return false;
    for (Value v = opening + 1; v < end; ++v) {
      const Opcode op = p_[v].op;
      if (op == Opcode::yield || jit::is_pure(op)) continue;
      if (op != Opcode::load && op != Opcode::store) return false;
      // One scalar access would be wrong when no lane is active; masked ones are safe.
      const bool scalar = info(operand(p_[v], 0)).spread == Spread::uniform;
      if (scalar && memory(p_[v]).kind != MemoryObject::Kind::private_) return false;
    }
    return true;
  }

  /// How a value changes along axis 1 of the items, where that is a constant.
  void find_row_step(Value v) {
    const Instruction& i = p_[v];
    LaneInfo& mine = info(v);
    bool same = true, known = true;
    for (Value used : p_.operands_of(i)) {
      known = known && info(used).row_step_known;
      same = same && info(used).row_step_known && info(used).row_step == 0;
    }
    const auto step = [&](int k) { return info(operand(i, k)).row_step; };
    const bool leaf = i.op <= Opcode::thread;
    if (leaf) {
      mine.row_step_known = true;
      mine.row_step = i.op == Opcode::item && i.immediate == 1 ? 1 : 0;
    } else if ((jit::is_pure(i.op) || i.op == Opcode::load) && same) {
      mine.row_step_known = true;
    } else if (known && i.type == int64 && i.op == Opcode::add) {
      mine.row_step_known = true;
      mine.row_step = wrap_add(step(0), step(1));
    } else if (known && i.type == int64 && i.op == Opcode::subtract) {
      mine.row_step_known = true;
      mine.row_step = wrap_sub(step(0), step(1));
    }
  }

  void mark_transposed(Value v) {
    constexpr std::size_t most = 4;  // each takes a tile of the stack
    if (p_.domain != Domain::items || p_[v].op != Opcode::load || memory(p_[v]).written ||
        memory(p_[v]).kind != MemoryObject::Kind::buffer ||
        made_.depth[static_cast<std::size_t>(v)] != 0) {
      return;
    }
    const LaneInfo& offset = info(operand(p_[v], 0));
    const bool near = offset.stride_known && offset.stride >= -2 && offset.stride <= 2;
    if (offset.spread == Spread::affine && !near && offset.level != Level::gang &&
        offset.row_step_known && offset.row_step == 1 && made_.transposed_loads.size() < most) {
      made_.transposed_loads.push_back(v);
    }
  }

  /// How much is alive at once, in the program's order.
  void measure_live() {
    std::vector<Value> last(static_cast<std::size_t>(p_.size()), no_value);
    for (Value v = 0; v < p_.size(); ++v) {
      for (Value used : p_.operands_of(p_[v])) last[static_cast<std::size_t>(used)] = v;
    }
    const auto bytes = [&](Value v) {
      return info(v).spread == Spread::varying ? std::max<std::int64_t>(4, size_of(p_[v].type)) : 0;
    };
    std::int64_t live = 0;
    for (Value v = 0; v < p_.size(); ++v) {
      for (Value used : p_.operands_of(p_[v])) {
        if (last[static_cast<std::size_t>(used)] != v) continue;
        live -= bytes(used);
        last[static_cast<std::size_t>(used)] = no_value;  // it may be used twice here
      }
      if (last[static_cast<std::size_t>(v)] != no_value) live += bytes(v);
      made_.live_bytes = std::max(made_.live_bytes, live);
    }
  }

  bool pass() {
    changed_ = false;
    for (Value v = 0; v < p_.size(); ++v) {
      const Instruction& i = p_[v];
      if (i.op == Opcode::if_) {
        set_divergent(v, info(operand(i, 0)).spread != Spread::uniform);
      } else if (i.op == Opcode::else_) {
        set_divergent(v, region(region(v).partner).divergent);
      } else if (i.op == Opcode::loop) {
        const Value w = region(v).while_;
        set_divergent(v, info(operand(p_[w], 0)).spread != Spread::uniform);
      } else {
        widen(v, label(v, i));
      }
    }
    return changed_;
  }

  void set_divergent(Value v, bool divergent) {
    info(v).level = Level::gang;
    if (divergent && !region(v).divergent) {
      region(v).divergent = true;
      changed_ = true;
    }
  }

  /// Labels only widen, so the passes end.
  void widen(Value v, LaneInfo wide) {
    LaneInfo& old = info(v);
    if (!visited(v)) {
      old = wide;
      seen_[static_cast<std::size_t>(v)] = true;
      changed_ = true;
      return;
    }
    const LaneInfo joined = join(old, wide);
    if (joined.spread != old.spread || joined.level != old.level ||
        joined.stride_known != old.stride_known || joined.stride != old.stride) {
      old = joined;
      changed_ = true;
    }
  }
  bool visited(Value v) const { return seen_[static_cast<std::size_t>(v)]; }

  static LaneInfo join(const LaneInfo& a, const LaneInfo& b) {
    const Level level = std::max(a.level, b.level);
    if (a.spread == Spread::varying || b.spread == Spread::varying) return varying();
    if (a.spread == Spread::uniform && b.spread == Spread::uniform) return uniform_at(level);
    // An affine value with a stride that is not a constant may be uniform; anything else differs.
    if (a.spread == b.spread && a.stride_known && b.stride_known && a.stride == b.stride) {
      return affine(level, true, a.stride);
    }
    if (a.spread == b.spread && !a.stride_known && !b.stride_known) return affine(level, false, 0);
    return varying();
  }

  LaneInfo label(Value v, const Instruction& i) {
    switch (i.op) {
      case Opcode::constant:
      case Opcode::parameter:
        return uniform_at(Level::launch);
      case Opcode::item:
        return i.immediate == 0 ? affine(Level::launch, true, 1) : uniform_at(Level::row);
      case Opcode::block:
        return uniform_at(Level::row);
      case Opcode::thread:
        return label_thread(i);
      case Opcode::load:
        return label_load(v, i);
      case Opcode::atomic:
        return varying();
      case Opcode::shuffle:
        return label_shuffle(i);
      case Opcode::vote:
        return uniform_at(Level::gang);
      case Opcode::result:
        return label_result(i);
      case Opcode::loop_param:
        return label_loop_param(v, i);
      case Opcode::store:
      case Opcode::barrier:
      case Opcode::fence:
      case Opcode::fault:
      case Opcode::print:
      case Opcode::while_:
      case Opcode::yield:
        return uniform_at(Level::gang);
      default:
        return label_pure(i);
    }
  }

  LaneInfo label_thread(const Instruction& i) const {
    const int axis = static_cast<int>(i.immediate);
    if (p_.block_size[axis] == 1) return uniform_at(Level::launch);
    if (made_.one_gang) return affine(Level::launch, true, 1);
    if (!made_.rows_of_gangs) return varying();
    return axis == 0 ? affine(Level::launch, true, 1) : uniform_at(Level::gang);
  }

  LaneInfo label_load(Value v, const Instruction& i) {
    const LaneInfo& offset = info(operand(i, 0));
    const MemoryObject& object = memory(i);
    if (offset.spread != Spread::uniform || object.kind == MemoryObject::Kind::private_) {
      return varying();
    }
    const bool constant = object.kind == MemoryObject::Kind::buffer && !object.written &&
                          made_.depth[static_cast<std::size_t>(v)] == 0;
    return uniform_at(constant ? offset.level : Level::gang);
  }

  /// Uniform when all lanes read one that is always there.
  LaneInfo label_shuffle(const Instruction& i) {
    if (info(operand(i, 0)).spread == Spread::uniform) return uniform_at(Level::gang);
    const Instruction& lane = p_[operand(i, 1)];
    const std::int32_t* b = p_.block_size;
    const std::int64_t threads = std::int64_t{b[0]} * b[1] * b[2];
    const std::int64_t in_last = (threads - 1) % gang_lanes + 1;
    const bool broadcast = static_cast<jit::ShuffleMode>(i.mode) == jit::ShuffleMode::index &&
                           lane.op == Opcode::constant && lane.immediate >= 0 &&
                           lane.immediate < in_last;
    return broadcast ? uniform_at(Level::gang) : varying();
  }

  LaneInfo label_result(const Instruction& i) {
    const Value opening = operand(i, 0);
    const Value otherwise = p_[opening].end;
    const Value last = p_[otherwise].end - 1;
    const auto k = static_cast<int>(i.immediate);
    const LaneInfo& a = info(operand(p_[otherwise - 1], k));
    const LaneInfo& b = info(operand(p_[last], k));
    if (region(opening).divergent || a.spread != Spread::uniform || b.spread != Spread::uniform) {
      return varying();
    }
    return uniform_at(Level::gang);
  }

  LaneInfo label_loop_param(Value v, const Instruction& i) {
    const auto k = static_cast<int>(i.immediate);
    const Value loop = v - 1 - static_cast<Value>(i.immediate);
    const Value last = p_[loop].end - 1;
    // Lanes leave a divergent loop at different times and keep what they had.
    if (region(loop).divergent && used_after_[static_cast<std::size_t>(v)]) return varying();
    LaneInfo first = info(operand(p_[loop], k));
    const Value next = operand(p_[last], k);
    if (visited(next) || next < v) first = join(first, info(next));
    if (first.spread == Spread::affine && !first.stride_known) return varying();
    if (first.spread != Spread::varying) first.level = Level::gang;
    return first;
  }

  LaneInfo label_pure(const Instruction& i) {
    Level level = Level::launch;
    bool any_affine = false;
    for (Value v : p_.operands_of(i)) {
      if (info(v).spread == Spread::varying) return varying();
      any_affine = any_affine || info(v).spread == Spread::affine;
      level = std::max(level, info(v).level);
    }
    return any_affine ? label_affine(i, level) : uniform_at(level);
  }

  LaneInfo label_affine(const Instruction& i, Level level) {
    if (i.type != int64) return varying();
    const LaneInfo& a = info(operand(i, 0));
    if (i.op == Opcode::negate) return affine(level, a.stride_known, wrap_sub(0, a.stride));
    if (i.operand_count != 2) return varying();
    const LaneInfo& b = info(operand(i, 1));
    const bool known = (a.spread == Spread::uniform || a.stride_known) &&
                       (b.spread == Spread::uniform || b.stride_known);
    switch (i.op) {
      case Opcode::add:
        return affine(level, known, wrap_add(a.stride, b.stride));
      case Opcode::subtract:
        return affine(level, known, wrap_sub(a.stride, b.stride));
      case Opcode::multiply:
        return label_product(i, level, a, b);
      default:
        return varying();
    }
  }

  LaneInfo label_product(const Instruction& i, Level level, const LaneInfo& a, const LaneInfo& b) {
    if (a.spread == Spread::affine && b.spread == Spread::affine) return varying();
    const bool left = a.spread == Spread::affine;
    const LaneInfo& lanes = left ? a : b;
    const Instruction& factor = p_[operand(i, left ? 1 : 0)];
    // The stride must be known where the origin is: a factor of the gang level makes both late.
    if (factor.op != Opcode::constant || !lanes.stride_known) return affine(level, false, 0);
    return affine(level, true,
                  static_cast<std::int64_t>(static_cast<std::uint64_t>(lanes.stride) *
                                            static_cast<std::uint64_t>(factor.immediate)));
  }

  static std::int64_t wrap_add(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }
  static std::int64_t wrap_sub(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
  }

  /// Operands of vector instructions get their vector where they are made, once.
  void mark_vector_users(Value v) {
    const Instruction& i = p_[v];
    const auto want = [&](Value used) { info(used).wants_vector = true; };
    if (i.op == Opcode::store) {
      if (info(operand(i, 0)).spread != Spread::uniform) want(operand(i, 1));
    } else if (jit::is_pure(i.op) && info(v).spread == Spread::varying) {
      for (Value used : p_.operands_of(i)) want(used);
    }
  }

  const Program& p_;
  LaneAnalysis made_;
  std::vector<bool> used_after_;
  std::vector<bool> seen_;
  bool changed_ = false;
};

}  // namespace

LaneAnalysis analyse_lanes(const jit::Program& program) { return Analyser(program).run(); }

}  // namespace noyau::llvm_backend
