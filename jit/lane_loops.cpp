// Items in gangs, for C compilers of CPUs: what differs between lanes is computed in short loops
// over the lanes, which such compilers turn into vectors; loops and branches that all lanes take
// together stay outside of them.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "jit/legalise.hpp"
#include "jit/rewriter.hpp"

namespace noyau::jit {
namespace {

/// Which values differ between the items of a gang, and which code runs lane by lane.
class Spread {
 public:
  explicit Spread(const Program& program) : p_(program) {
    varying_.assign(static_cast<std::size_t>(p_.size()), 0);
    lane_.assign(varying_.size(), 0);
    divergent_.assign(varying_.size(), 0);
    do {
      changed_ = false;
      pass();
    } while (changed_);
  }
  /// In the code of lanes: it varies, has an effect, or is in a region that does not run together.
  bool in_lanes(Value v) const { return lane_[static_cast<std::size_t>(v)] != 0; }
  /// A region whose lanes do not all go the same way.
  bool is_divergent(Value opening) const { return divergent_[static_cast<std::size_t>(opening)]; }
  bool has_uniform_loop() const { return uniform_loop_; }

 private:
  struct Region {
    Value opening, end;
    Value branch;  ///< the if_ of an else_, else the opening
    bool divergent;
  };
  void set(std::vector<char>& flags, Value v) {
    char& flag = flags[static_cast<std::size_t>(v)];
    changed_ |= flag == 0;
    flag = 1;
  }
  bool varies(Value v) const { return varying_[static_cast<std::size_t>(v)] != 0; }

  void pass() {
    std::vector<Region> open;
    uniform_loop_ = false;
    for (Value v = 0; v < p_.size(); ++v) {
      while (!open.empty() && open.back().end <= v) open.pop_back();
      const Instruction& i = p_[v];
      const bool inside = !open.empty() && open.back().divergent;
      if (inside || differs(v, open.empty() ? nullptr : &open.back())) set(varying_, v);
      const bool effect = i.op >= Opcode::store && i.op <= Opcode::print && i.op != Opcode::load;
      if (varies(v) || effect) set(lane_, v);
      if (i.op == Opcode::if_ || i.op == Opcode::loop) {
        const bool diverges =
            inside || is_divergent(v) || (i.op == Opcode::if_ && varies(p_.operands_of(i)[0]));
        if (diverges) {
          set(divergent_, v);
          set(lane_, v);
          set(varying_, v);
        }
        uniform_loop_ |= i.op == Opcode::loop && !diverges;
        open.push_back({v, i.end, v, diverges});
        if (i.op == Opcode::if_ && i.end < p_.size() && p_[i.end].op == Opcode::else_) {
          branches_[i.end] = v;
        }
      } else if (i.op == Opcode::else_) {
        const Value branch = branches_[v];
        if (is_divergent(branch)) {
          set(lane_, v);
          set(divergent_, v);
        }
        open.push_back({v, i.end, branch, is_divergent(branch)});
      } else if (i.op == Opcode::while_ && varies(p_.operands_of(i)[0])) {
        set(divergent_, open.back().opening);
      }
    }
  }

  bool differs(Value v, const Region* region) const {
    const Instruction& i = p_[v];
    const auto operands = p_.operands_of(i);
    const auto any = [&] {
      return std::ranges::any_of(operands, [&](Value o) { return varies(o); });
    };
    switch (i.op) {
      case Opcode::item:
        return i.immediate == 0;
      case Opcode::load: {
        const MemoryObject& m = p_.memory[static_cast<std::size_t>(i.immediate)];
        return m.kind != MemoryObject::Kind::buffer || m.written || any();
      }
      case Opcode::loop_param: {
        const Value loop = v - 1 - static_cast<Value>(i.immediate);
        const Value yield = p_[loop].end - 1;
        const auto k = static_cast<std::size_t>(i.immediate);
        return is_divergent(loop) || varies(p_.operands_of(p_[loop])[k]) ||
               varies(p_.operands_of(p_[yield])[k]);
      }
      case Opcode::result: {
        const Value branch = operands[0];
        const auto k = static_cast<std::size_t>(i.immediate);
        const Value otherwise = p_[branch].end;
        return is_divergent(branch) || varies(p_.operands_of(p_[p_[branch].end - 1])[k]) ||
               varies(p_.operands_of(p_[p_[otherwise].end - 1])[k]);
      }
      case Opcode::if_:
      case Opcode::else_:
      case Opcode::loop:
      case Opcode::yield:
      case Opcode::while_:
        return region != nullptr && region->divergent;
      default:
        return any();
    }
  }

  const Program& p_;
  std::vector<char> varying_, lane_, divergent_;
  std::map<Value, Value> branches_;
  bool changed_ = false, uniform_loop_ = false;
};

class LaneLoops : Rewriter {
 public:
  LaneLoops(const Program& source, const Spread& spread) : Rewriter(source), spread_(spread) {
    made_.parameters.push_back({int64, "items"});
    for (MemoryObject& m : made_.memory) {
      if (m.kind == MemoryObject::Kind::private_) m.elements *= lane_count;
    }
    find_segments();
  }

  /// Full gangs in loops of a known number of rounds, the last one in loops of a parameter's.
  Program run() {
    zero_ = number(0);
    const Value items =
        emit(Opcode::parameter, int64, {}, static_cast<std::int64_t>(made_.parameters.size()) - 1);
    const Value all = number(lane_count);
    base_ = binary(Opcode::multiply, emit(Opcode::item, int64, {}, 0), all);
    const Value rest = binary(Opcode::subtract, items, base_);
    const Value full = emit(Opcode::if_, bool_, {binary(Opcode::greater_equal, rest, all)});
    lanes_ = all;
    copy();
    emit(Opcode::yield, bool_, {});
    close(full);
    const Value partial = emit(Opcode::else_, bool_, {});
    lanes_ = rest;
    full_ = false;
    copy();
    emit(Opcode::yield, bool_, {});
    close(partial);
    return std::move(made_);
  }

 private:
  static std::size_t index(Value v) { return static_cast<std::size_t>(v); }
  bool in_lanes(Value v) const { return spread_.in_lanes(v); }

  /// Integers made from others: computed again in each segment, so that addresses stay plain.
  bool is_again(Value v) const {
    const Instruction& i = source_[v];
    return is_pure(i.op) && i.op != Opcode::loop_param && i.op != Opcode::result &&
           !is_floating(i.type);
  }

  // ---- segments: what runs in one loop over the lanes

  /// Numbers the segments as copy() flushes them, and finds the values that go from one to another.
  void find_segments() {
    segment_.assign(index(source_.size()), -1);
    arrays_.assign(index(source_.size()), none);
    std::int32_t number = 0;
    Value skip = 0;  // inside of a divergent region up to here
    for (Value v = 0; v < source_.size(); ++v) {
      const Instruction& i = source_[v];
      const bool boundary = i.op == Opcode::if_ || i.op == Opcode::else_ || i.op == Opcode::loop ||
                            i.op == Opcode::while_ || i.op == Opcode::yield;
      if (v >= skip && boundary && spread_.is_divergent(v)) skip = std::max(skip, i.end);
      segment_[index(v)] = number;  // a boundary ends the segment before it
      if (v >= skip && boundary) ++number;
    }
    for (Value v = 0; v < source_.size(); ++v) {
      const Instruction& i = source_[v];
      if (i.op == Opcode::result) results_[{source_.operands_of(i)[0], i.immediate}] = v;
      for (const Value o : source_.operands_of(i)) {
        if (i.op == Opcode::result) continue;
        if (in_lanes(o) && segment_[index(o)] != segment_[index(v)]) need_array(o);
      }
      const bool of_uniform =
          (i.op == Opcode::loop_param && !spread_.is_divergent(loop_of(v))) ||
          (i.op == Opcode::result && !spread_.is_divergent(source_.operands_of(i)[0]));
      if (of_uniform && in_lanes(v)) need_array(v);
    }
  }
  Value loop_of(Value parameter) const {
    return parameter - 1 - static_cast<Value>(source_[parameter].immediate);
  }
  void need_array(Value wanted) {
    std::vector<Value> work = {wanted};
    while (!work.empty()) {
      const Value v = work.back();
      work.pop_back();
      if (arrays_[index(v)] != none) continue;
      if (is_again(v)) {
        arrays_[index(v)] = again;
        for (const Value o : source_.operands_of(source_[v])) {
          if (in_lanes(o)) work.push_back(o);
        }
        continue;
      }
      arrays_[index(v)] = static_cast<int>(made_.memory.size());
      MemoryObject m;
      m.kind = MemoryObject::Kind::private_;
      m.dtype = source_[v].type;
      m.written = true;
      m.elements = lane_count;
      m.name = "lanes";
      made_.memory.push_back(std::move(m));
    }
  }

  // ---- copying

  void copy() {
    copies_.assign(index(source_.size()), no_value);
    pending_.clear();
    Value skip = 0;
    for (Value v = 0; v < source_.size(); ++v) {
      if (v < skip) {
        pending_.push_back(v);
        continue;
      }
      const Instruction& i = source_[v];
      switch (i.op) {
        case Opcode::if_:
        case Opcode::else_:
        case Opcode::loop:
          if (spread_.is_divergent(v)) {
            skip = i.end;
            pending_.push_back(v);
          } else {
            open_uniform(v);
          }
          break;
        case Opcode::while_:
          flush();
          emit(i, std::vector{copies_[index(source_.operands_of(i)[0])]});
          break;
        case Opcode::yield:
          yield(v);
          break;
        case Opcode::result:
          if (in_lanes(v) && spread_.is_divergent(source_.operands_of(i)[0])) pending_.push_back(v);
          else if (!in_lanes(v)) uniform_result(v);
          break;
        case Opcode::loop_param:
          break;  // made with its loop
        default:
          if (in_lanes(v)) pending_.push_back(v);
          else copies_[index(v)] = emit(i, uniform_operands(i));
      }
    }
    flush();
  }

  std::vector<Value> uniform_operands(const Instruction& i) const {
    std::vector<Value> values;
    for (const Value o : source_.operands_of(i)) values.push_back(copies_[index(o)]);
    return values;
  }

  void open_uniform(Value v) {
    const Instruction& i = source_[v];
    if (i.op == Opcode::loop) {
      for (int k = 0; k < i.operand_count; ++k) {
        const Value value = source_.operands_of(i)[static_cast<std::size_t>(k)];
        if (in_lanes(v + 1 + k)) to_store_.emplace_back(value, v + 1 + k);
      }
    }
    flush();
    if (i.op != Opcode::loop) {
      copies_[index(v)] = emit(i, uniform_operands(i));
      regions_.push_back({v, i.op == Opcode::else_ ? last_if_ : v});
      return;
    }
    std::vector<Value> initial;
    for (int k = 0; k < i.operand_count; ++k) {
      if (!in_lanes(v + 1 + k)) initial.push_back(copies_[index(source_.operands_of(i)[k])]);
    }
    copies_[index(v)] = emit(i, initial);
    std::int64_t n = 0;
    for (int k = 0; k < i.operand_count; ++k) {
      if (in_lanes(v + 1 + k)) continue;
      copies_[index(v + 1 + k)] = emit(Opcode::loop_param, source_[v + 1 + k].type, {}, n++);
    }
    regions_.push_back({v, no_value});
  }

  void yield(Value v) {
    const Instruction& i = source_[v];
    const auto [opening, branch] = regions_.back();
    regions_.pop_back();
    const bool loop = branch == no_value;
    std::vector<Value> uniform;
    for (int k = 0; k < i.operand_count; ++k) {
      const Value target = loop ? opening + 1 + k : result_of(branch, k);
      if (target == no_value) continue;  // a result that nobody reads
      const Value value = source_.operands_of(i)[static_cast<std::size_t>(k)];
      if (in_lanes(target)) to_store_.emplace_back(value, target);
      else uniform.push_back(copies_[index(value)]);
    }
    flush();
    emit(i, uniform);
    close(copies_[index(opening)]);
    if (!loop) last_if_ = branch;
  }

  /// The result instruction of the if's k-th value, or no_value.
  Value result_of(Value branch, std::int64_t k) const {
    const auto found = results_.find({branch, k});
    return found == results_.end() ? no_value : found->second;
  }
  void uniform_result(Value v) {
    const Instruction& i = source_[v];
    const Value branch = source_.operands_of(i)[0];
    std::int64_t n = 0;
    for (int k = 0; k < i.immediate; ++k) {
      const Value other = result_of(branch, k);
      n += other != no_value && !in_lanes(other) ? 1 : 0;
    }
    copies_[index(v)] = emit(Opcode::result, i.type, {copies_[index(branch)]}, n);
  }

  // ---- one loop over the lanes

  void flush() {
    std::vector<Value> code;
    code.swap(pending_);
    if (code.empty() && to_store_.empty()) return;
    if (!has_effect(code) && to_store_.empty()) return;
    const Value loop = emit(Opcode::loop, bool_, {zero_});
    made_.instructions.back().flags = full_ ? independent_loop : brief_loop;
    lane_ = emit(Opcode::loop_param, int64, {}, 0);
    emit(Opcode::while_, bool_, {binary(Opcode::less, lane_, lanes_)});
    here_.clear();
    fetch(code);
    for (const Value v : code) {
      close_regions(v);
      lane_code(v);
    }
    if (!code.empty()) close_regions(code.back() + 1);
    store_what_goes_on(code);
    const Value next = binary(Opcode::add, lane_, number(1));
    emit(Opcode::yield, bool_, {next});
    close(loop);
    to_store_.clear();
  }
  /// Whether anything remains of this code: an effect, or a value that others need in an array.
  bool has_effect(const std::vector<Value>& code) const {
    return std::ranges::any_of(
        code, [&](Value v) { return source_[v].op == Opcode::store || arrays_[index(v)] >= 0; });
  }

  Value operand(Value v) const {
    const auto found = here_.find(v);
    return found != here_.end() ? found->second : copies_[index(v)];
  }

  /// Brings in what was made in other segments: from its array, or by computing it again.
  void fetch(const std::vector<Value>& code) {
    std::vector<Value> wanted, work;
    const auto want = [&](Value o) {
      if (in_lanes(o) && !std::ranges::binary_search(code, o)) work.push_back(o);
    };
    for (const Value v : code) {
      if (source_[v].op == Opcode::result) continue;
      for (const Value o : source_.operands_of(source_[v])) want(o);
    }
    for (const auto& [value, target] : to_store_) want(value);
    std::map<Value, bool> seen;
    while (!work.empty()) {
      const Value v = work.back();
      work.pop_back();
      if (!seen.emplace(v, true).second) continue;
      wanted.push_back(v);
      if (!is_again(v)) continue;
      for (const Value o : source_.operands_of(source_[v])) {
        if (in_lanes(o)) work.push_back(o);
      }
    }
    std::ranges::sort(wanted);
    for (const Value v : wanted) {
      if (is_again(v)) lane_code(v);
      else here_[v] = emit(Opcode::load, source_[v].type, {lane_}, arrays_[index(v)]);
    }
  }

  void lane_code(Value v) {
    const Instruction& i = source_[v];
    if (i.op == Opcode::item) {
      here_[v] = binary(Opcode::add, base_, lane_);
      return;
    }
    std::vector<Value> operands;
    for (const Value o : source_.operands_of(i)) operands.push_back(operand(o));
    const bool memory = i.op == Opcode::load || i.op == Opcode::store;
    if (memory && source_.memory[index(static_cast<Value>(i.immediate))].kind ==
                      MemoryObject::Kind::private_) {
      operands[0] =
          binary(Opcode::add, binary(Opcode::multiply, operands[0], number(lane_count)), lane_);
    }
    const Value made = emit(i, operands);
    here_[v] = made;
    if (i.end != 0) open_until(made, i.end);
  }

  void store_what_goes_on(const std::vector<Value>& code) {
    // All values are read before any is written: a parameter may become another.
    std::vector<Value> values;
    for (const auto& [value, target] : to_store_) values.push_back(operand(value));
    for (const Value v : code) {
      if (arrays_[index(v)] >= 0 && here_.count(v) != 0) {
        emit(Opcode::store, source_[v].type, {lane_, here_[v]}, arrays_[index(v)]);
      }
    }
    for (std::size_t k = 0; k < values.size(); ++k) {
      const Value target = to_store_[k].second;
      emit(Opcode::store, source_[target].type, {lane_, values[k]}, arrays_[index(target)]);
    }
  }

  static constexpr int none = -1, again = -2;  ///< instead of an array
  struct Open {
    Value opening, branch;  ///< branch: the if of a part; no_value for a loop
  };
  const Spread& spread_;
  bool full_ = true;
  std::vector<std::int32_t> segment_;
  std::vector<int> arrays_;  ///< by value: the array that holds it between segments
  std::vector<Value> copies_;
  std::vector<Value> pending_;
  std::vector<std::pair<Value, Value>> to_store_;            ///< value, whose array gets it
  std::map<Value, Value> here_;                              ///< of the segment being made
  std::map<std::pair<Value, std::int64_t>, Value> results_;  ///< by if and number
  std::vector<Open> regions_;
  Value last_if_ = no_value, zero_ = no_value, base_ = no_value, lanes_ = no_value,
        lane_ = no_value;
};

}  // namespace

std::optional<Program> loop_over_lanes(const Program& program) {
  if (program.domain != Domain::items) return std::nullopt;
  for (const Instruction& i : program.instructions) {
    if (i.op == Opcode::atomic || i.op == Opcode::fault || i.op == Opcode::print ||
        i.op == Opcode::fence || i.op == Opcode::func || i.flags == independent_loop) {
      return std::nullopt;
    }
  }
  for (const MemoryObject& m : program.memory) {
    if (m.size_parameter >= 0) return std::nullopt;
  }
  const Spread spread(program);
  if (!spread.has_uniform_loop()) return std::nullopt;
  return LaneLoops(program, spread).run();
}

}  // namespace noyau::jit
