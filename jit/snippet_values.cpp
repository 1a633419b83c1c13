// Lowers expressions of the kernel language: C's conversions, and weak literals.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <utility>

#include "jit/snippet_lower.hpp"
#include "noyau/error.hpp"

namespace noyau::jit::snippet {
namespace {

struct Operator {
  std::string_view text;
  Opcode op;
};
constexpr std::array<Operator, 16> operators = {{{"+", Opcode::add},
                                                 {"-", Opcode::subtract},
                                                 {"*", Opcode::multiply},
                                                 {"/", Opcode::divide},
                                                 {"%", Opcode::remainder},
                                                 {"&", Opcode::bit_and},
                                                 {"|", Opcode::bit_or},
                                                 {"^", Opcode::bit_xor},
                                                 {"<<", Opcode::shift_left},
                                                 {">>", Opcode::shift_right},
                                                 {"==", Opcode::equal},
                                                 {"!=", Opcode::not_equal},
                                                 {"<", Opcode::less},
                                                 {"<=", Opcode::less_equal},
                                                 {">", Opcode::greater},
                                                 {">=", Opcode::greater_equal}}};

Opcode opcode_of(std::string_view text) {
  for (const Operator& o : operators) {
    if (o.text == text) return o.op;
  }
  throw InternalError(fmt::format("snippet: no operator '{}'", text));
}

double folded(Opcode op, double a, double b) {
  switch (op) {
    case Opcode::add:
      return a + b;
    case Opcode::subtract:
      return a - b;
    case Opcode::multiply:
      return a * b;
    default:
      return a / b;
  }
}

}  // namespace

DType promoted(DType type) { return size_of(type) < 4 ? int32 : type; }

DType common_type(DType a, DType b) {
  if (a == float64 || b == float64) return float64;
  if (a == float32 || b == float32) return float32;
  a = promoted(a);
  b = promoted(b);
  if (a == b) return a;
  if (is_signed(a) == is_signed(b)) return size_of(a) > size_of(b) ? a : b;
  if (is_signed(a)) std::swap(a, b);  // a is the unsigned one
  return size_of(a) >= size_of(b) ? a : b;
}

/// What a weak literal is when nothing else says: T if that is floating, else double.
DType Lowering::weak_type() const {
  return type_variable_ && is_floating(*type_variable_) ? *type_variable_ : float64;
}

DType Lowering::floating_type(const Operand& a) const {
  return !a.weak && is_floating(a.type) ? a.type : weak_type();
}

DType Lowering::common(const Operand& a, const Operand& b) const {
  if (!a.weak && !b.weak) return common_type(a.type, b.type);
  if (a.weak && b.weak) return weak_type();
  return floating_type(a.weak ? b : a);
}

/// The value of `a` as `type`; constants convert here, weak numbers become constants.
Value Lowering::as(const Operand& a, DType type) {
  if (a.weak) return builder_.constant(Scalar::of(a.number).as(type));
  if (a.type == type) return a.value;
  const Instruction& i = builder_.program()[a.value];
  if (i.op == Opcode::constant) {
    return builder_.constant(Scalar{i.type, static_cast<std::uint64_t>(i.immediate)}.as(type));
  }
  return builder_.convert(a.value, type);
}

Operand Lowering::lower(const Node* e) {
  builder_.set_place(e->place);
  switch (e->kind) {
    case NodeKind::number:
      return number(e);
    case NodeKind::variable:
      return variable(e, e->slot);
    case NodeKind::unary:
      return unary(e);
    case NodeKind::binary:
      return binary_chain(e);
    case NodeKind::assign:
      return assignment(e);
    case NodeKind::increment:
      return increment(e);
    case NodeKind::conditional:
      return conditional(e);
    case NodeKind::cast:
      return typed(as(lower(e->kids[0]), resolve(e->type)));
    case NodeKind::call: {
      const Operand value = call(e);
      if (!value.weak && value.value == no_value) {
        fail(e, fmt::format("'{}' gives no value: it is void", e->name));
      }
      return value;
    }
    case NodeKind::comma:
      for (std::size_t k = 0; k + 1 < e->kids.size(); ++k) effects(e->kids[k]);
      return lower(e->kids.back());
    default:
      throw InternalError("snippet: a statement where an expression should be");
  }
}

Operand Lowering::number(const Node* e) {
  const Token& t = e->token;
  if (t.kind == Token::Kind::floating) {
    if (!t.suffixed && type_variable_) return {no_value, weak_type(), true, t.floating};
    return typed(builder_.constant(Scalar::of(t.floating).as(t.type)));
  }
  const std::uint64_t mask = t.type == bool_ ? 1 : size_of(t.type) == 8 ? ~0ull : 0xffffffffull;
  return typed(builder_.constant({t.type, t.integer & mask}));
}

Operand Lowering::variable(const Node* e, std::int32_t slot) {
  const Variable& v = variables_[static_cast<std::size_t>(slot)];
  if (v.value == no_value) {
    fail(e, fmt::format("'{}' is read before it has a value",
                        function_.locals[static_cast<std::size_t>(slot)].name));
  }
  return typed(v.value);
}

Operand Lowering::unary(const Node* e) {
  Operand a = lower(e->kids[0]);
  builder_.set_place(e->place);
  if (e->op == "!") return typed(builder_.unary(Opcode::bit_not, truth(a)));
  if (a.weak && e->op != "~") {
    if (e->op == "-") a.number = -a.number;
    return a;
  }
  if (e->op == "~" && (a.weak || is_floating(a.type))) {
    fail(e, fmt::format("'~' needs an integer; it was given {}",
                        noyau::name(a.weak ? weak_type() : a.type)));
  }
  const Value v = as(a, promoted(a.type));
  if (e->op == "+") return typed(v);
  if (e->op == "~") return typed(builder_.unary(Opcode::bit_not, v));
  const Instruction& i = builder_.program()[v];
  if (i.op == Opcode::constant && i.type == int32 && i.immediate != 0) {  // -1 is one constant
    const auto n = static_cast<std::uint32_t>(i.immediate);
    return typed(builder_.constant({int32, 0u - n}));
  }
  return typed(builder_.unary(Opcode::negate, v));
}

/// `a + b + c ...` is a tree that leans left, as deep as the text is long: lowered in a loop.
Operand Lowering::binary_chain(const Node* e) {
  std::vector<const Node*> chain;
  for (; e->kind == NodeKind::binary; e = e->kids[0]) chain.push_back(e);
  Operand left = lower(e);
  for (std::size_t k = chain.size(); k-- > 0;) {
    const Node* n = chain[k];
    if (n->op == "&&" || n->op == "||") {
      left = logical(n, left);
      continue;
    }
    const Operand right = lower(n->kids[1]);
    builder_.set_place(n->place);
    left = arithmetic(n, n->op, left, right);
  }
  return left;
}

/// A weak number, or an integer constant that can become one next to it.
bool Lowering::fold_with(Operand& a) const {
  if (a.weak) return true;
  const Instruction& i = builder_.program()[a.value];
  if (i.op != Opcode::constant || !is_integer(i.type)) return false;
  a.number = Scalar{i.type, static_cast<std::uint64_t>(i.immediate)}.to_double();
  return true;
}

Operand Lowering::arithmetic(const Node* at, std::string_view text, Operand a, Operand b) {
  const Opcode op = opcode_of(text);
  if (is_comparison(op)) return compare(text, a, b);
  const bool folds = op >= Opcode::add && op <= Opcode::divide;
  if (folds && (a.weak || b.weak) && fold_with(a) && fold_with(b)) {
    return {no_value, weak_type(), true, folded(op, a.number, b.number)};
  }
  const DType type = common(a, b);
  if (!folds && is_floating(type)) {
    fail(at, fmt::format("'{}' needs integers; it was given {} and {}{}", text,
                         noyau::name(a.weak ? type : a.type), noyau::name(b.weak ? type : b.type),
                         op == Opcode::remainder ? "; use fmod" : ""));
  }
  if (op == Opcode::shift_left || op == Opcode::shift_right) return shift(text, a, b);
  const bool bits = op >= Opcode::bit_and && op <= Opcode::bit_xor;
  if (bits && a.type == bool_ && b.type == bool_) {
    return typed(builder_.binary(op, a.value, b.value));
  }
  const Value left = as(a, type);
  return typed(builder_.binary(op, left, as(b, type)));
}

/// The result has the promoted type of the left operand. A wider amount is not cut: shifting is
/// done in the wider type then, where an amount >= the width shifts everything out as well.
Operand Lowering::shift(std::string_view text, const Operand& a, const Operand& b) {
  const DType type = promoted(a.type);
  const DType amount = promoted(b.type);
  DType wide = type;
  if (size_of(amount) > size_of(type)) wide = is_signed(type) ? int64 : uint64;
  const Value left = as(a, wide);
  const Value by = as(b, wide);
  return typed(as(typed(builder_.binary(opcode_of(text), left, by)), type));
}

Operand Lowering::compare(std::string_view text, Operand a, Operand b) {
  const Opcode op = opcode_of(text);
  if (!a.weak && !b.weak && a.type == bool_ && b.type == bool_ &&
      (op == Opcode::equal || op == Opcode::not_equal)) {
    const Value differ = builder_.binary(Opcode::bit_xor, a.value, b.value);
    return typed(op == Opcode::equal ? builder_.unary(Opcode::bit_not, differ) : differ);
  }
  const DType type = common(a, b);
  const Value left = as(a, type);
  return typed(builder_.compare(op, left, as(b, type)));
}

/// && and ||: both sides are evaluated where that cannot be noticed.
Operand Lowering::logical(const Node* e, const Operand& left) {
  const bool is_and = e->op == "&&";
  const Value l = truth(left);
  if (is_pure(e->kids[1])) {
    const Value r = truth(lower(e->kids[1]));
    builder_.set_place(e->place);
    return typed(builder_.binary(is_and ? Opcode::bit_and : Opcode::bit_or, l, r));
  }
  const auto right = std::span<Node* const>(e->kids).subspan(1);
  const std::vector<std::int32_t> slots = assigned_in(right);
  const std::vector<Value> before = values_of(slots);
  builder_.begin_if(is_and ? l : builder_.unary(Opcode::bit_not, l));
  std::vector<Value> yes = {truth(lower(right[0]))};
  const std::vector<Value> after = values_of(slots);
  yes.insert(yes.end(), after.begin(), after.end());
  builder_.begin_else(yes);
  std::vector<Value> no = {builder_.constant({bool_, is_and ? 0u : 1u})};
  no.insert(no.end(), before.begin(), before.end());
  const std::vector<Value> results = builder_.end_if(no);
  set_values(slots, std::span(results).subspan(1));
  return typed(results[0]);
}

Operand Lowering::assignment(const Node* e) {
  const Local& local = function_.locals[static_cast<std::size_t>(e->slot)];
  Operand value = lower(e->kids[0]);
  if (local.unread) return value;
  if (!e->op.empty()) value = arithmetic(e, e->op, variable(e, e->slot), value);
  builder_.set_place(e->place);
  assign(e, e->slot, value);
  return typed(variables_[static_cast<std::size_t>(e->slot)].value);
}

Operand Lowering::increment(const Node* e) {
  const Operand before = variable(e, e->slot);
  const Operand one = typed(builder_.constant({int32, 1}));
  assign(e, e->slot, arithmetic(e, e->op.substr(0, 1), before, one));
  return e->postfix ? before : typed(variables_[static_cast<std::size_t>(e->slot)].value);
}

Operand Lowering::conditional(const Node* e) {
  const Value condition = truth(lower(e->kids[0]));
  if (!is_pure(e->kids[1]) || !is_pure(e->kids[2])) return chosen_region(e, condition);
  const Operand a = lower(e->kids[1]);
  const Operand b = lower(e->kids[2]);
  builder_.set_place(e->place);
  const bool same = !a.weak && !b.weak && a.type == b.type;
  const DType type = same ? a.type : common(a, b);
  const Value yes = as(a, type);
  return typed(builder_.select(condition, yes, as(b, type)));
}

/// A `?:` whose parts assign or loop: only one of them is evaluated.
Operand Lowering::chosen_region(const Node* e, Value condition) {
  const std::vector<std::int32_t> slots = assigned_in(std::span<Node* const>(e->kids).subspan(1));
  const std::vector<Value> before = values_of(slots);
  builder_.begin_if(condition);
  const Operand a = lower(e->kids[1]);
  const DType type = a.weak ? weak_type() : a.type;
  std::vector<Value> yes = {as(a, type)};
  const std::vector<Value> after = values_of(slots);
  yes.insert(yes.end(), after.begin(), after.end());
  builder_.begin_else(yes);
  set_values(slots, before);
  const Operand b = lower(e->kids[2]);
  if (!b.weak && b.type != type && common(a, b) != type) {
    fail(e, fmt::format("the two values have types {} and {}; where one of them assigns or loops, "
                        "convert them to one type",
                        noyau::name(type), noyau::name(b.type)));
  }
  std::vector<Value> no = {as(b, type)};
  const std::vector<Value> after_no = values_of(slots);
  no.insert(no.end(), after_no.begin(), after_no.end());
  const std::vector<Value> results = builder_.end_if(no);
  set_values(slots, std::span(results).subspan(1));
  return typed(results[0]);
}

/// True when evaluating `e` though it is not asked for can neither be noticed nor take forever.
bool Lowering::is_pure(const Node* e) const {
  std::vector<const Node*> open = {e};
  while (!open.empty()) {
    const Node* n = open.back();
    open.pop_back();
    if (n->kind == NodeKind::assign || n->kind == NodeKind::increment) return false;
    if (n->kind == NodeKind::call) {
      for (const auto& entry : library_.entries) {
        if (entry.name == n->name && (entry.loops || entry.has_references())) return false;
      }
    }
    open.insert(open.end(), n->kids.begin(), n->kids.end());
  }
  return true;
}

}  // namespace noyau::jit::snippet
