// Dead code removal: marks what effects need, copies what is marked.
// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <utility>
#include <vector>

#include "jit/simplify.hpp"

namespace noyau::jit {

namespace {

class DeadCode {
 public:
  explicit DeadCode(const Program& program) : p_(program) {}
  Program run();

 private:
  void find_regions();
  void find_effects();
  void mark(Value v) {
    if (v == no_value || live_[static_cast<std::size_t>(v)]) return;
    live_[static_cast<std::size_t>(v)] = true;
    work_.push_back(v);
  }
  void mark_operand(Value of, std::int64_t k) {
    mark(p_.operands_of(p_[of])[static_cast<std::size_t>(k)]);
  }
  void spread(Value v);
  bool is_live(Value v) const { return live_[static_cast<std::size_t>(v)]; }
  Value closing(Value opening) const { return p_[opening].end - 1; }
  Value loop_of(Value parameter) const {
    return parameter - 1 - static_cast<Value>(p_[parameter].immediate);
  }
  bool has_else(Value v) const {
    return p_[v].end < p_.size() && p_[p_[v].end].op == Opcode::else_;
  }
  bool keeps_else(Value v) const;
  std::vector<bool> kept_operands(Value v) const;
  Value renumbered(Value of, std::int64_t number);
  void copy(Value v);

  const Program& p_;
  Program out_;
  std::vector<bool> live_;
  std::vector<Value> parent_;                ///< the opening around each instruction, or no_value
  std::vector<bool> effects_;                ///< of funcs
  std::vector<std::vector<Value>> results_;  ///< of ifs, by instruction; empty elsewhere
  std::vector<Value> while_;                 ///< of loops
  std::vector<bool> needed_;                 ///< else_s with a live instruction inside
  std::map<Value, std::vector<Value>> renumbered_;  ///< of ifs: the new number of each result
  std::vector<Value> work_, now_;
  std::vector<Value> open_;  ///< openings being copied
};

void DeadCode::find_regions() {
  parent_.assign(p_.instructions.size(), no_value);
  results_.resize(p_.instructions.size());
  while_.assign(p_.instructions.size(), no_value);
  needed_.assign(p_.instructions.size(), false);
  std::vector<Value> open;
  for (Value v = 0; v < p_.size(); ++v) {
    const Instruction& i = p_[v];
    if (!open.empty()) parent_[static_cast<std::size_t>(v)] = open.back();
    if (i.op == Opcode::else_) {  // its then part has just been closed
      parent_[static_cast<std::size_t>(v)] = parent_[static_cast<std::size_t>(v - 1)];
    }
    if (i.op == Opcode::while_) while_[static_cast<std::size_t>(open.back())] = v;
    if (i.op == Opcode::yield || i.op == Opcode::return_) open.pop_back();
    if (i.op == Opcode::if_ || i.op == Opcode::else_ || i.op == Opcode::loop ||
        i.op == Opcode::func) {
      open.push_back(v);
    }
    if (i.op == Opcode::result) {
      results_[static_cast<std::size_t>(p_.operands_of(i)[0])].push_back(v);
    }
  }
}

/// Marks what has an effect of its own. An instruction of a func counts once that func is called.
void DeadCode::find_effects() {
  effects_.assign(p_.instructions.size(), false);
  const Value entry = p_.entry();
  Value function = no_value;
  for (Value v = 0; v < p_.size(); ++v) {
    const Instruction& i = p_[v];
    if (i.op == Opcode::func) function = v;
    bool effect = i.op == Opcode::store || i.op == Opcode::atomic || i.op == Opcode::barrier ||
                  i.op == Opcode::fence || i.op == Opcode::fault || i.op == Opcode::print ||
                  (i.op == Opcode::call && effects_[static_cast<std::size_t>(i.immediate)]);
    if (!effect) continue;
    if (v >= entry) mark(v);
    else effects_[static_cast<std::size_t>(function)] = true;
  }
  if (entry == p_.size()) {
    for (Value v = 0; v < p_.size(); v = p_[v].end) mark(v);
  }
}

/// Marks what the live instruction v needs.
void DeadCode::spread(Value v) {
  const Instruction& i = p_[v];
  const Value parent = parent_[static_cast<std::size_t>(v)];
  mark(parent);
  if (parent != no_value && closing(parent) != v) needed_[static_cast<std::size_t>(parent)] = true;
  switch (i.op) {
    case Opcode::result: {
      const Value of = p_.operands_of(i)[0];
      mark(of);
      if (p_[of].op == Opcode::call) break;
      mark_operand(closing(of), i.immediate);
      mark_operand(closing(p_[of].end), i.immediate);
      break;
    }
    case Opcode::loop_param: {
      const Value loop = loop_of(v);
      mark(loop);
      mark_operand(loop, i.immediate);
      mark_operand(closing(loop), i.immediate);
      break;
    }
    case Opcode::loop:
      mark(while_[static_cast<std::size_t>(v)]);
      mark(closing(v));
      break;
    case Opcode::if_:
      mark_operand(v, 0);
      mark(closing(v));
      if (has_else(v)) mark(p_[v].end);
      break;
    case Opcode::else_:
      mark(closing(v));
      break;
    case Opcode::func:
      // Its effects, now that it is called, and what it returns.
      for (Value w = v + 1; w < i.end; ++w) {
        Opcode op = p_[w].op;
        if (op == Opcode::func_param || op == Opcode::return_ || op == Opcode::store ||
            op == Opcode::atomic || op == Opcode::barrier || op == Opcode::fence ||
            op == Opcode::fault || op == Opcode::print ||
            (op == Opcode::call && effects_[static_cast<std::size_t>(p_[w].immediate)])) {
          mark(w);
        }
      }
      break;
    case Opcode::yield:
      break;  // each value for itself
    case Opcode::call:
      mark(static_cast<Value>(i.immediate));
      [[fallthrough]];
    default:
      for (Value w : p_.operands_of(i)) mark(w);
  }
}

/// An else part is dropped when nothing in it is live and the if has no live result.
bool DeadCode::keeps_else(Value v) const {
  for (Value r : results_[static_cast<std::size_t>(v)]) {
    if (is_live(r)) return true;
  }
  return needed_[static_cast<std::size_t>(p_[v].end)];
}

/// Which operands of v stay: of loops and of the yields of loops and ifs, those that are needed.
std::vector<bool> DeadCode::kept_operands(Value v) const {
  const Instruction& i = p_[v];
  std::vector<bool> kept(static_cast<std::size_t>(i.operand_count), true);
  Value region = i.op == Opcode::loop    ? v
                 : i.op == Opcode::yield ? parent_[static_cast<std::size_t>(v)]
                                         : no_value;
  if (region == no_value) return kept;
  if (p_[region].op == Opcode::loop) {
    for (Value k = 0; k < i.operand_count; ++k) {
      kept[static_cast<std::size_t>(k)] = is_live(region + 1 + k);
    }
    return kept;
  }
  if (p_[region].op == Opcode::else_) region = parent_[static_cast<std::size_t>(region)];
  kept.assign(kept.size(), false);
  for (Value r : results_[static_cast<std::size_t>(region)]) {
    if (is_live(r)) kept[static_cast<std::size_t>(p_[r].immediate)] = true;
  }
  return kept;
}

/// The number of an if's result among those that stay.
Value DeadCode::renumbered(Value of, std::int64_t number) {
  auto [found, added] = renumbered_.try_emplace(of);
  if (added) {
    Value n = 0;
    for (bool kept : kept_operands(closing(of))) found->second.push_back(kept ? n++ : no_value);
  }
  return found->second[static_cast<std::size_t>(number)];
}

void DeadCode::copy(Value v) {
  Instruction i = p_[v];
  const auto operands = p_.operands_of(i);
  i.operands = static_cast<std::int32_t>(out_.operands.size());
  const std::vector<bool> kept = kept_operands(v);
  for (std::size_t k = 0; k < operands.size(); ++k) {
    if (kept[k]) out_.operands.push_back(now_[static_cast<std::size_t>(operands[k])]);
  }
  i.operand_count = static_cast<std::int32_t>(out_.operands.size()) - i.operands;
  if (i.op == Opcode::loop_param) {
    i.immediate = out_.size() - 1 - now_[static_cast<std::size_t>(loop_of(v))];
  } else if (i.op == Opcode::result && p_[operands[0]].op == Opcode::if_) {
    i.immediate = renumbered(operands[0], i.immediate);
  } else if (i.op == Opcode::call) {
    i.immediate = now_[static_cast<std::size_t>(i.immediate)];
  } else if (i.op == Opcode::func) {
    out_.function_names.push_back(p_.function_names[static_cast<std::size_t>(i.immediate)]);
    i.immediate = static_cast<std::int64_t>(out_.function_names.size()) - 1;
  }
  out_.instructions.push_back(i);
  now_[static_cast<std::size_t>(v)] = out_.size() - 1;
  if (i.op == Opcode::if_ || i.op == Opcode::else_ || i.op == Opcode::loop ||
      i.op == Opcode::func) {
    open_.push_back(out_.size() - 1);
  } else if (i.op == Opcode::yield || i.op == Opcode::return_) {
    out_.instructions[static_cast<std::size_t>(open_.back())].end = out_.size();
    open_.pop_back();
  }
}

Program DeadCode::run() {
  live_.assign(p_.instructions.size(), false);
  now_.assign(p_.instructions.size(), no_value);
  find_regions();
  find_effects();
  while (!work_.empty()) {
    const Value v = work_.back();
    work_.pop_back();
    spread(v);
  }
  out_ = p_;
  out_.instructions.clear();
  out_.operands.clear();
  out_.function_names.clear();
  for (Value v = 0; v < p_.size(); ++v) {
    if (p_[v].op == Opcode::else_ && is_live(v) &&
        !keeps_else(parent_[static_cast<std::size_t>(v)])) {
      v = closing(v);
    } else if (is_live(v)) {
      copy(v);
    }
  }
  return std::move(out_);
}

}  // namespace

Program remove_dead_code(const Program& program) {
  Program out = DeadCode(program).run();
#ifndef NDEBUG
  verify(out);
#endif
  return out;
}

}  // namespace noyau::jit
