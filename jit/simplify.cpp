// Constant folding, value numbering and exact identities, in one walk.
// SPDX-License-Identifier: Apache-2.0
#include "jit/simplify.hpp"

#include <array>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "jit/scalar_ops.hpp"

namespace noyau::jit {

namespace {

/// What makes two pure instructions equal; operands are those of the new program.
struct Key {
  Opcode op;
  DType type;
  std::int64_t immediate;
  std::array<Value, 3> operands;
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key& k) const {
    std::uint64_t h = static_cast<std::uint64_t>(k.immediate) * 0x9e3779b97f4a7c15u;
    auto mix = [&](std::uint64_t x) { h = (h ^ (h >> 29) ^ x) * 0xbf58476d1ce4e5b9u; };
    mix(static_cast<std::uint64_t>(k.op) << 8 | static_cast<std::uint64_t>(k.type));
    for (Value v : k.operands) mix(static_cast<std::uint32_t>(v));
    return h ^ (h >> 32);
  }
};

bool commutes(Opcode op) {
  switch (op) {
    case Opcode::add:
    case Opcode::multiply:
    case Opcode::minimum:
    case Opcode::maximum:
    case Opcode::fma:  // its first two
    case Opcode::bit_and:
    case Opcode::bit_or:
    case Opcode::bit_xor:
    case Opcode::equal:
    case Opcode::not_equal:
      return true;
    default:
      return false;
  }
}

class Folder {
 public:
  explicit Folder(const Program& program) : p_(program) {}
  Program run();

 private:
  struct Region {
    Value opening;       ///< in the old program
    bool spliced;        ///< an if whose condition is constant: its part joins the region around
    std::size_t scoped;  ///< how many numbered values there were before
  };

  void visit(Value& at);
  void pure(Value at);
  void open(Value at);
  void close(Value& at);
  void splice(Value& at);
  void result(Value at);
  Value copy(Value at);
  Value emit(Instruction i, std::span<const Value> operands);
  Value number(Instruction i, std::span<const Value> operands);
  Value constant(DType type, std::uint64_t bits, std::int32_t place);
  Value identity(const Instruction& i, std::span<const Value> v);
  Value integer_identity(const Instruction& i, std::span<const Value> v);
  Value float_identity(const Instruction& i, std::span<const Value> v) const;
  Value same_operands(const Instruction& i, Value x);

  bool is_constant(Value v) const { return out_[v].op == Opcode::constant; }
  bool is_constant(Value v, Scalar s) const {
    return is_constant(v) && static_cast<std::uint64_t>(out_[v].immediate) == s.bits;
  }
  Value& now(Value old) { return now_[static_cast<std::size_t>(old)]; }
  std::vector<Value> operands_now(const Instruction& i) {
    std::vector<Value> v;
    for (Value old : p_.operands_of(i)) v.push_back(now(old));
    return v;
  }

  const Program& p_;
  Program out_;
  std::vector<Value> now_;  ///< of each old value, the new one
  std::vector<Region> regions_;
  std::unordered_map<Key, Value, KeyHash> numbered_;  ///< those in scope
  std::vector<Key> scoped_;                           ///< in the order in which they were added
  std::map<Value, std::vector<Value>> spliced_;       ///< what an old if yields, in new values
};

Value Folder::emit(Instruction i, std::span<const Value> operands) {
  i.operands = static_cast<std::int32_t>(out_.operands.size());
  i.operand_count = static_cast<std::int32_t>(operands.size());
  out_.operands.insert(out_.operands.end(), operands.begin(), operands.end());
  out_.instructions.push_back(i);
  return out_.size() - 1;
}

Value Folder::copy(Value at) {
  now(at) = emit(p_[at], operands_now(p_[at]));
  return now(at);
}

/// The value in scope that equals this pure instruction, or a new one.
Value Folder::number(Instruction i, std::span<const Value> operands) {
  Key key{i.op, i.type, i.immediate, {no_value, no_value, no_value}};
  for (std::size_t k = 0; k < operands.size(); ++k) key.operands[k] = operands[k];
  if (commutes(i.op) && key.operands[0] > key.operands[1]) {
    std::swap(key.operands[0], key.operands[1]);
  }
  auto [found, added] = numbered_.try_emplace(key, no_value);
  if (added) {
    found->second = emit(i, operands);
    scoped_.push_back(key);
  }
  return found->second;
}

Value Folder::constant(DType type, std::uint64_t bits, std::int32_t place) {
  Instruction i;
  i.type = type;
  i.immediate = static_cast<std::int64_t>(bits);
  i.place = place;
  return number(i, {});
}

// ---- identities: each is exact for every value, NaNs and signed zeros included

Value Folder::same_operands(const Instruction& i, Value x) {
  const bool exact = !is_floating(out_[x].type);
  switch (i.op) {
    case Opcode::minimum:
    case Opcode::maximum:
    case Opcode::bit_and:
    case Opcode::bit_or:
      return x;
    case Opcode::subtract:
      return exact ? constant(i.type, 0, i.place) : no_value;
    case Opcode::bit_xor:
      return constant(i.type, 0, i.place);
    case Opcode::equal:
    case Opcode::less_equal:
    case Opcode::greater_equal:
      return exact ? constant(bool_, 1, i.place) : no_value;
    case Opcode::not_equal:
      return exact ? constant(bool_, 0, i.place) : no_value;
    case Opcode::less:
    case Opcode::greater:
      return constant(bool_, 0, i.place);  // of NaN, too
    default:
      return no_value;
  }
}

Value Folder::integer_identity(const Instruction& i, std::span<const Value> v) {
  const Scalar zero{i.type, 0}, one = Scalar::of(1).as(i.type);
  const Scalar ones = i.type == bool_ ? one : Scalar::of(std::int64_t{-1}).as(i.type);
  const bool swaps = commutes(i.op);
  auto either = [&](Scalar s) {  // the operand beside that constant, on the right or either side
    if (is_constant(v[1], s)) return v[0];
    return swaps && is_constant(v[0], s) ? v[1] : no_value;
  };
  switch (i.op) {
    case Opcode::add:
    case Opcode::subtract:
    case Opcode::bit_xor:
    case Opcode::shift_left:
    case Opcode::shift_right:
      return either(zero);
    case Opcode::bit_or:
      return either(ones) != no_value ? constant(i.type, ones.bits, i.place) : either(zero);
    case Opcode::bit_and:
      return either(zero) != no_value ? constant(i.type, 0, i.place) : either(ones);
    case Opcode::multiply:
      return either(zero) != no_value ? constant(i.type, 0, i.place) : either(one);
    case Opcode::divide:
      return either(one);
    default:
      return no_value;
  }
}

Value Folder::float_identity(const Instruction& i, std::span<const Value> v) const {
  const Scalar one = Scalar::of(1.0).as(i.type), minus_zero = Scalar::of(-0.0).as(i.type);
  switch (i.op) {
    case Opcode::multiply:
      return is_constant(v[1], one) ? v[0] : is_constant(v[0], one) ? v[1] : no_value;
    case Opcode::divide:
      return is_constant(v[1], one) ? v[0] : no_value;
    case Opcode::add:  // x + -0.0; +0.0 would turn -0.0 into +0.0
      return is_constant(v[1], minus_zero) ? v[0] : is_constant(v[0], minus_zero) ? v[1] : no_value;
    case Opcode::subtract:
      return is_constant(v[1], {i.type, 0}) ? v[0] : no_value;
    default:
      return no_value;
  }
}

/// A value that equals `i` with the operands v, or no_value.
Value Folder::identity(const Instruction& i, std::span<const Value> v) {
  const Instruction& first = out_[v[0]];
  switch (i.op) {
    case Opcode::select:
      if (v[1] == v[2]) return v[1];
      return is_constant(v[0]) ? (first.immediate != 0 ? v[1] : v[2]) : no_value;
    case Opcode::convert:
      if (is_half(i.type) && first.op == Opcode::convert && is_floating(first.type) &&
          !is_half(first.type)) {  // back from what holds all halves
        const Value narrow = out_.operands_of(first)[0];
        if (out_[narrow].type == i.type) return narrow;
      }
      return first.type == i.type ? v[0] : no_value;
    case Opcode::bitcast:
      return first.type == i.type ? v[0] : no_value;
    case Opcode::negate:
    case Opcode::bit_not:
      return first.op == i.op ? out_.operands_of(first)[0] : no_value;
    case Opcode::absolute:
    case Opcode::floor:
    case Opcode::ceil:
    case Opcode::trunc:
    case Opcode::rint:
      return first.op == i.op ? v[0] : no_value;
    default:
      break;
  }
  if (v.size() != 2) return no_value;
  if (v[0] == v[1]) {
    Value same = same_operands(i, v[0]);
    if (same != no_value) return same;
  }
  if (is_comparison(i.op)) return no_value;
  return is_floating(i.type) ? float_identity(i, v) : integer_identity(i, v);
}

void Folder::pure(Value at) {
  const Instruction& i = p_[at];
  const std::vector<Value> operands = operands_now(i);
  if (can_evaluate(i.op)) {
    std::uint64_t bits[3] = {};
    bool known = true;
    for (std::size_t k = 0; k < operands.size(); ++k) {
      known &= is_constant(operands[k]);
      bits[k] = static_cast<std::uint64_t>(out_[operands[k]].immediate);
    }
    if (known) {
      const std::uint64_t value =
          evaluate(i.op, i.type, out_[operands.back()].type, {bits, operands.size()});
      now(at) = constant(i.type, value, i.place);
      return;
    }
    now(at) = identity(i, operands);
    if (now(at) != no_value) return;
  }
  now(at) = number(i, operands);
}

// ---- regions

void Folder::open(Value at) {
  copy(at);
  regions_.push_back({at, false, scoped_.size()});
}

/// An if whose condition is constant: goes on with the part that runs, or after it.
void Folder::splice(Value& at) {
  const bool otherwise = p_[at].end < p_.size() && p_[p_[at].end].op == Opcode::else_;
  const bool taken = out_[now(p_.operands_of(p_[at])[0])].immediate != 0;
  if (taken || otherwise) regions_.push_back({at, true, scoped_.size()});
  if (!taken) at = otherwise ? p_[at].end : p_[at].end - 1;
}

void Folder::close(Value& at) {
  const Region region = regions_.back();
  regions_.pop_back();
  const Value end = p_[region.opening].end;
  if (region.spliced) {
    spliced_[region.opening] = operands_now(p_[at]);
    // After a then part that ran, past its else part.
    if (end == at + 1 && end < p_.size() && p_[end].op == Opcode::else_) at = p_[end].end - 1;
    return;
  }
  copy(at);
  out_.instructions[static_cast<std::size_t>(now(region.opening))].end = out_.size();
  for (; scoped_.size() > region.scoped; scoped_.pop_back()) numbered_.erase(scoped_.back());
}

void Folder::result(Value at) {
  const Instruction& i = p_[at];
  const Value of = p_.operands_of(i)[0];
  const auto k = static_cast<std::size_t>(i.immediate);
  if (auto values = spliced_.find(of); values != spliced_.end()) {
    now(at) = values->second[k];
    return;
  }
  if (p_[of].op == Opcode::if_) {
    auto yielded = [&](Value part) { return now(p_.operands_of(p_[p_[part].end - 1])[k]); };
    const Value a = yielded(of), b = yielded(p_[of].end);
    // What both parts yield was made before the if.
    if (a == b) {
      now(at) = a;
      return;
    }
    if (is_constant(a) && is_constant(b) && out_[a].immediate == out_[b].immediate) {
      now(at) = constant(i.type, static_cast<std::uint64_t>(out_[a].immediate), i.place);
      return;
    }
  }
  copy(at);
}

void Folder::visit(Value& at) {
  const Instruction& i = p_[at];
  switch (i.op) {
    case Opcode::if_:
      if (is_constant(now(p_.operands_of(i)[0]))) splice(at);
      else open(at);
      break;
    case Opcode::else_:
    case Opcode::loop:
    case Opcode::func:
      open(at);
      break;
    case Opcode::yield:
    case Opcode::return_:
      close(at);
      break;
    case Opcode::loop_param: {
      copy(at);
      const auto k = static_cast<std::size_t>(i.immediate);
      const Instruction& loop = p_[at - 1 - static_cast<Value>(i.immediate)];
      const Value next = p_.operands_of(p_[loop.end - 1])[k];
      if (next == at) now(at) = now(p_.operands_of(loop)[k]);
      break;
    }
    case Opcode::call: {
      const Value call = copy(at);
      out_.instructions[static_cast<std::size_t>(call)].immediate =
          now(static_cast<Value>(i.immediate));
      break;
    }
    case Opcode::result:
      result(at);
      break;
    default:
      if (is_pure(i.op)) pure(at);
      else copy(at);
  }
}

Program Folder::run() {
  out_ = p_;
  out_.instructions.clear();
  out_.operands.clear();
  now_.assign(p_.instructions.size(), no_value);
  for (Value at = 0; at < p_.size(); ++at) visit(at);
  return std::move(out_);
}

}  // namespace

Program fold_values(const Program& program) {
  Program folded = Folder(program).run();
#ifndef NDEBUG
  verify(folded);
#endif
  return folded;
}

Program simplify(const Program& program) { return remove_dead_code(fold_values(program)); }

}  // namespace noyau::jit
