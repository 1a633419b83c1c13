// Parses expressions of the kernel language, with C's precedence.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "jit/snippet_parser.hpp"

namespace noyau::jit::snippet {
namespace {

struct Precedence {
  std::string_view op;
  int level;
};
constexpr std::array<Precedence, 18> precedences = {{{"||", 1},
                                                     {"&&", 2},
                                                     {"|", 3},
                                                     {"^", 4},
                                                     {"&", 5},
                                                     {"==", 6},
                                                     {"!=", 6},
                                                     {"<", 7},
                                                     {">", 7},
                                                     {"<=", 7},
                                                     {">=", 7},
                                                     {"<<", 8},
                                                     {">>", 8},
                                                     {"+", 9},
                                                     {"-", 9},
                                                     {"*", 10},
                                                     {"/", 10},
                                                     {"%", 10}}};

constexpr std::array<std::string_view, 11> assignments = {
    "=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="};

int level_of(const Token& t) {
  if (t.kind != Token::Kind::punctuation) return 0;
  for (const Precedence& p : precedences) {
    if (t.is(p.op)) return p.level;
  }
  return 0;
}

struct Constant {
  std::string_view name;
  DType type;
  double value;
};
/// float32 constants say so as a suffixed literal would; those of float64 are like unsuffixed ones,
/// and so are INFINITY and NAN, though C makes them float.
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr std::array<Constant, 32> constants = {{
    {"INFINITY", float32, inf},
    {"NAN", float32, std::numeric_limits<double>::quiet_NaN()},
    {"HUGE_VALF", float32, inf},
    {"HUGE_VAL", float64, inf},
    {"FLT_MAX", float32, 0x1.fffffep127},
    {"MAXFLOAT", float32, 0x1.fffffep127},
    {"FLT_MIN", float32, 0x1p-126},
    {"FLT_EPSILON", float32, 0x1p-23},
    {"DBL_MAX", float64, std::numeric_limits<double>::max()},
    {"DBL_MIN", float64, 0x1p-1022},
    {"DBL_EPSILON", float64, 0x1p-52},
    {"M_PI", float64, 3.14159265358979323846},
    {"M_PI_2", float64, 1.57079632679489661923},
    {"M_PI_4", float64, 0.785398163397448309616},
    {"M_1_PI", float64, 0.318309886183790671538},
    {"M_2_PI", float64, 0.636619772367581343076},
    {"M_2_SQRTPI", float64, 1.12837916709551257390},
    {"M_SQRT2", float64, 1.41421356237309504880},
    {"M_SQRT1_2", float64, 0.707106781186547524401},
    {"M_E", float64, 2.71828182845904523536},
    {"M_LN2", float64, 0.693147180559945309417},
    {"M_LN10", float64, 2.30258509299404568402},
    {"M_LOG2E", float64, 1.44269504088896340736},
    {"M_LOG10E", float64, 0.434294481903251827651},
    {"M_PI_F", float32, 0x1.921fb6p1},
    {"M_PI_2_F", float32, 0x1.921fb6p0},
    {"M_PI_4_F", float32, 0x1.921fb6p-1},
    {"M_E_F", float32, 0x1.5bf0a8p1},
    {"M_LN2_F", float32, 0x1.62e430p-1},
    {"M_LOG2E_F", float32, 0x1.715476p0},
    {"M_SQRT2_F", float32, 0x1.6a09e6p0},
    {"M_SQRT1_2_F", float32, 0x1.6a09e6p-1},
}};

struct IntegerConstant {
  std::string_view name;
  DType type;
  std::uint64_t value;
};
constexpr std::array<IntegerConstant, 18> integer_constants = {{
    {"true", bool_, 1},
    {"false", bool_, 0},
    {"CHAR_BIT", int32, 8},
    {"CHAR_MAX", int32, 127},
    {"CHAR_MIN", int32, static_cast<std::uint64_t>(-128)},
    {"SCHAR_MAX", int32, 127},
    {"SCHAR_MIN", int32, static_cast<std::uint64_t>(-128)},
    {"UCHAR_MAX", int32, 255},
    {"SHRT_MAX", int32, 32767},
    {"SHRT_MIN", int32, static_cast<std::uint64_t>(-32768)},
    {"USHRT_MAX", int32, 65535},
    {"INT_MAX", int32, 0x7fffffff},
    {"INT_MIN", int32, static_cast<std::uint64_t>(-2147483648LL)},
    {"UINT_MAX", uint32, 0xffffffff},
    {"LONG_MAX", int64, 0x7fffffffffffffff},
    {"LONG_MIN", int64, 0x8000000000000000},
    {"ULONG_MAX", uint64, 0xffffffffffffffff},
    {"NULL", int32, 0},
}};

}  // namespace

bool find_constant(std::string_view name, Token& token) {
  for (const Constant& c : constants) {
    if (c.name != name) continue;
    token.kind = Token::Kind::floating;
    token.type = c.type;
    token.suffixed = c.type == float32 && name != "INFINITY" && name != "NAN";
    token.floating = c.value;
    return true;
  }
  for (const IntegerConstant& c : integer_constants) {
    if (c.name != name) continue;
    token.kind = Token::Kind::integer;
    token.type = c.type;
    token.integer = c.value;
    return true;
  }
  return false;
}

Node* Parser::expression() {
  Node* first = assignment();
  if (!peek().is(",")) return first;
  Node* all = make(NodeKind::comma, peek(), {first});
  while (accept(",")) all->kids.push_back(assignment());
  return all;
}

Node* Parser::assignment() {
  Node* left = conditional();
  const Token& op = peek();
  if (op.kind != Token::Kind::punctuation ||
      std::find(assignments.begin(), assignments.end(), op.text) == assignments.end()) {
    return left;
  }
  Nesting nesting(*this);
  if (left->kind != NodeKind::variable) fail(op, "only a variable can be assigned");
  take();
  Node* node = make(NodeKind::assign, op, {assignment()});
  node->slot = left->slot;
  node->op = op.text.substr(0, op.text.size() - 1);
  if (function_->locals[static_cast<std::size_t>(left->slot)].constant) {
    fail(op, fmt::format("'{}' is const and cannot be assigned",
                         function_->locals[static_cast<std::size_t>(left->slot)].name));
  }
  return node;
}

Node* Parser::conditional() {
  Node* condition = binary(1);
  if (!peek().is("?")) return condition;
  Nesting nesting(*this);
  const Token& mark = take();
  Node* yes = expression();
  expect(":", "between the two values of '?'");
  Node* no = conditional();
  return make(NodeKind::conditional, mark, {condition, yes, no});
}

/// Precedence climbing: `a + b + c` loops, only a tighter operator on the right recurses.
Node* Parser::binary(int least) {
  Node* left = unary();
  for (;;) {
    const Token& op = peek();
    const int level = level_of(op);
    if (level == 0 || level < least) return left;
    take();
    Node* right = binary(level + 1);
    Node* node = make(NodeKind::binary, op, {left, right});
    node->op = op.text;
    left = node;
  }
}

Node* Parser::unary() {
  const Token& op = peek();
  Nesting nesting(*this);
  if (op.is("-") || op.is("+") || op.is("!") || op.is("~")) {
    take();
    Node* node = make(NodeKind::unary, op, {unary()});
    node->op = op.text;
    return node;
  }
  if (op.is("++") || op.is("--")) {
    take();
    Node* target = unary();
    if (target->kind != NodeKind::variable) fail(op, fmt::format("'{}' needs a variable", op.text));
    if (function_->locals[static_cast<std::size_t>(target->slot)].constant) {
      fail(op, "a const variable cannot be changed");
    }
    Node* node = make(NodeKind::increment, op);
    node->slot = target->slot;
    node->op = op.text;
    return node;
  }
  if (op.is("*") || op.is("&")) fail(op, "pointers are not supported in these functions");
  if (op.is("(") && starts_type(peek(1))) {
    take();
    const TypeName type = type_name();
    expect(")", "after the type of a cast");
    Node* operand = unary();
    return cast_rest(op, type, operand);
  }
  return postfix();
}

Node* Parser::cast_rest(const Token& at, TypeName type, Node* operand) {
  if (type.kind == TypeName::Kind::none || type.kind == TypeName::Kind::automatic) {
    fail(at, "a cast names a type of numbers");
  }
  Node* node = make(NodeKind::cast, at, {operand});
  node->type = type;
  return node;
}

Node* Parser::postfix() {
  Node* value = primary();
  for (;;) {
    const Token& op = peek();
    if (op.is("[")) fail(op, "arrays and pointers are not supported in these functions");
    if (op.is(".") || op.is("->")) fail(op, "structs and vectors are not supported");
    if (!op.is("++") && !op.is("--")) return value;
    take();
    if (value->kind != NodeKind::variable) fail(op, fmt::format("'{}' needs a variable", op.text));
    if (function_->locals[static_cast<std::size_t>(value->slot)].constant) {
      fail(op, "a const variable cannot be changed");
    }
    Node* node = make(NodeKind::increment, op);
    node->slot = value->slot;
    node->op = op.text;
    node->postfix = true;
    value = node;
  }
}

Node* Parser::primary() {
  const Token& first = peek();
  if (first.is("(")) {
    take();
    Node* value = expression();
    if (!peek().is(")")) {
      if (peek().kind == Token::Kind::end) fail(first, "this '(' is not closed");
      fail(peek(), fmt::format("expected ')', found '{}'", peek().text));
    }
    take();
    return value;
  }
  if (first.kind == Token::Kind::integer || first.kind == Token::Kind::floating) {
    take();
    Node* node = make(NodeKind::number, first);
    node->token = first;
    return node;
  }
  if (first.kind != Token::Kind::name) {
    fail(first, first.kind == Token::Kind::end
                    ? std::string("expected an expression, found the end of the source")
                    : fmt::format("expected an expression, found '{}'", first.text));
  }
  if (at_type()) {  // float(x)
    const TypeName type = type_name();
    expect("(", "after a type in an expression");
    Node* operand = expression();
    expect(")", "after the operand of a cast");
    return cast_rest(first, type, operand);
  }
  take();
  return peek().is("(") ? call(first) : name(first);
}

Node* Parser::call(const Token& name) {
  take();
  Node* node = make(NodeKind::call, name);
  node->name = name.text;
  if (!accept(")")) {
    do node->kids.push_back(assignment());
    while (accept(","));
    expect(")", fmt::format("after the arguments of '{}'", name.text));
  }
  function_->calls.push_back(name.text);
  return node;
}

Node* Parser::name(const Token& token) {
  if (std::int32_t slot = find(token.text); slot >= 0) {
    Node* node = make(NodeKind::variable, token);
    node->slot = slot;
    return node;
  }
  Token number = token;
  if (!find_constant(token.text, number)) {
    fail(token, fmt::format("unknown name '{}'", token.text));
  }
  Node* node = make(NodeKind::number, token);
  node->token = number;
  return node;
}

}  // namespace noyau::jit::snippet
