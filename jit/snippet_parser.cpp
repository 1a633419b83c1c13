// Parses functions and statements of the kernel language.
// SPDX-License-Identifier: Apache-2.0
#include "jit/snippet_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace noyau::jit::snippet {
namespace {

struct TypeWord {
  std::string_view word;
  DType type;
};
constexpr std::array<TypeWord, 20> type_words = {
    {{"bool", bool_},      {"char", int8},       {"uchar", uint8},     {"short", int16},
     {"ushort", uint16},   {"int", int32},       {"uint", uint32},     {"long", int64},
     {"ulong", uint64},    {"float", float32},   {"double", float64},  {"int8_t", int8},
     {"int16_t", int16},   {"int32_t", int32},   {"int64_t", int64},   {"uint8_t", uint8},
     {"uint16_t", uint16}, {"uint32_t", uint32}, {"uint64_t", uint64}, {"size_t", uint64}}};

constexpr std::array<std::string_view, 8> qualifiers = {
    "static",     "inline",          "constexpr", "__device__",
    "__inline__", "__forceinline__", "volatile",  "register"};

constexpr std::array<std::string_view, 12> unsupported = {"switch",  "case",  "default", "goto",
                                                          "struct",  "class", "union",   "enum",
                                                          "typedef", "using", "sizeof",  "asm"};

const DType* find_type(std::string_view word) {
  for (const TypeWord& t : type_words) {
    if (t.word.front() == word.front() && t.word == word) return &t.type;
  }
  return nullptr;
}
bool is_qualifier(std::string_view word) {
  return std::find(qualifiers.begin(), qualifiers.end(), word) != qualifiers.end();
}

std::string shown(const Token& token) {
  return token.kind == Token::Kind::end ? std::string("the end of the source")
                                        : fmt::format("'{}'", token.text);
}

}  // namespace

Node* Tree::make(NodeKind kind, std::int32_t place, std::vector<Node*> kids) {
  Node& node = nodes.emplace_back();
  node.kind = kind;
  node.place = place;
  if (kind == NodeKind::return_) node.exits = exit_return;
  if (kind == NodeKind::break_) node.exits = exit_break;
  if (kind == NodeKind::continue_) node.exits = exit_continue;
  for (const Node* kid : kids) node.exits |= kid == nullptr ? std::uint8_t{0} : kid->exits;
  if (kind == NodeKind::loop || kind == NodeKind::do_loop) node.exits &= exit_return;
  node.kids = std::move(kids);
  return &node;
}

Parser::Parser(const Source& source, Tree& tree)
    : source_(source), tree_(tree), tokens_(lex(source)) {}

Parser::Nesting::Nesting(Parser& parser) : parser_(parser) {
  if (++parser_.depth_ <= nesting_limit) return;
  --parser_.depth_;
  parser_.fail(parser_.peek(), fmt::format("nested deeper than {} levels; split the expression or "
                                           "move a part of it into a function",
                                           nesting_limit));
}

const Token& Parser::peek(std::size_t ahead) const {
  return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
}

bool Parser::accept(std::string_view word) {
  if (!peek().is(word)) return false;
  take();
  return true;
}

const Token& Parser::expect(std::string_view word, std::string_view where) {
  if (!peek().is(word)) {
    fail(peek(), fmt::format("expected '{}' {}, found {}", word, where, shown(peek())));
  }
  return take();
}

void Parser::fail(const Token& at, const std::string& message) const {
  source_.fail(at.place, at.text.size(), message);
}

Node* Parser::make(NodeKind kind, const Token& at, std::vector<Node*> kids) {
  Node* node = tree_.make(kind, at.place, std::move(kids));
  node->length = static_cast<std::int32_t>(std::max<std::size_t>(at.text.size(), 1));
  return node;
}

std::int32_t Parser::declare(const Token& name, Local local) {
  if (name.kind != Token::Kind::name || starts_type(name)) {
    fail(name, fmt::format("expected a name, found {}", shown(name)));
  }
  for (std::size_t k = scope_begin_; k < scope_.size(); ++k) {
    if (scope_[k].name == name.text) {
      fail(name, fmt::format("'{}' is declared twice in this block", name.text));
    }
  }
  local.name = std::string(name.text);
  scope_.push_back({name.text, static_cast<std::int32_t>(function_->locals.size())});
  function_->locals.push_back(std::move(local));
  return scope_.back().slot;
}

std::int32_t Parser::find(std::string_view name) const {
  for (std::size_t k = scope_.size(); k-- > 0;) {
    if (scope_[k].name == name) return scope_[k].slot;
  }
  return -1;
}

// ---- types

bool Parser::starts_type(const Token& t) const {
  if (t.kind != Token::Kind::name) return false;
  return find_type(t.text) != nullptr || t.text == "unsigned" || t.text == "signed" ||
         t.text == "void" || t.text == "auto" || t.text == "const" || is_qualifier(t.text) ||
         (function_ != nullptr && !function_->type_variable.empty() &&
          t.text == function_->type_variable);
}
bool Parser::at_type() const { return starts_type(peek()); }

/// Skips const, static, inline ...; true when const was among them.
bool Parser::skip_qualifiers() {
  bool constant = false;
  for (;; take()) {
    if (peek().is("const") || peek().is("constexpr")) constant = true;
    else if (peek().kind != Token::Kind::name || !is_qualifier(peek().text)) return constant;
  }
}

TypeName Parser::type_name() {
  const Token& first = peek();
  if (!at_type()) {
    for (std::string_view word : unsupported) {
      if (first.is(word)) fail(first, fmt::format("'{}' is not supported", word));
    }
    fail(first, fmt::format("expected a type, found {}", shown(first)));
  }
  take();
  if (first.is("void")) return {TypeName::Kind::none, int32};
  if (first.is("auto")) return {TypeName::Kind::automatic, int32};
  if (first.text == function_->type_variable) return {TypeName::Kind::variable, int32};
  const bool no_sign = first.is("unsigned");
  DType type = int32;
  if (const DType* known = find_type(first.text)) type = *known;
  // unsigned char, long int, long long int, ...
  bool may_follow = no_sign || first.is("signed") || first.is("long") || first.is("short");
  while (may_follow &&
         (peek().is("char") || peek().is("short") || peek().is("int") || peek().is("long"))) {
    const Token& word = take();
    if (!word.is("int")) type = *find_type(word.text);
    may_follow = !word.is("char");
  }
  if (no_sign) {
    type = type == int8 ? uint8 : type == int16 ? uint16 : type == int64 ? uint64 : uint32;
  }
  return {TypeName::Kind::plain, type};
}

// ---- functions

std::vector<FunctionTree> Parser::functions() {
  std::vector<FunctionTree> all;
  while (peek().kind != Token::Kind::end) {
    if (accept(";")) continue;
    all.push_back(function());
  }
  return all;
}

FunctionTree Parser::function() {
  FunctionTree tree;
  function_ = &tree;
  scope_.clear();
  scope_begin_ = 0;
  if (accept("template")) {
    expect("<", "after 'template'");
    if (!accept("typename")) expect("class", "or 'typename' in the template's head");
    tree.is_template = true;
    tree.type_variable = std::string(take().text);
    if (peek().is(",")) fail(peek(), "a template has one type variable");
    expect(">", "after the type variable");
  }
  skip_qualifiers();
  tree.result = type_name();
  skip_qualifiers();
  const Token& name = take();
  if (name.kind != Token::Kind::name || starts_type(name)) {
    fail(name, fmt::format("expected the function's name, found {}", shown(name)));
  }
  if (tree.result.kind == TypeName::Kind::automatic) {
    fail(name, "a function says the type of its result; auto is for locals");
  }
  tree.name = std::string(name.text);
  tree.place = name.place;
  parameter_list();
  tree.parameters = tree.locals.size();
  if (peek().is(";")) fail(peek(), "declarations of functions are not needed: the order is free");
  if (!peek().is("{"))
    fail(peek(), fmt::format("expected the body of '{}', found {}", tree.name, shown(peek())));
  // The parameters share the body's outermost scope, as in C.
  tree.body = block();
  function_ = nullptr;
  return tree;
}

void Parser::parameter_list() {
  expect("(", "before the parameters");
  if (accept(")")) return;
  if (peek().is("void") && peek(1).is(")")) {
    take();
    take();
    return;
  }
  do {
    Local local;
    local.constant = skip_qualifiers();
    const Token& type = peek();
    local.type = type_name();
    if (local.type.kind == TypeName::Kind::none || local.type.kind == TypeName::Kind::automatic) {
      fail(type, fmt::format("a parameter cannot be {}", type.text));
    }
    local.constant |= skip_qualifiers();
    if (peek().is("*")) fail(peek(), "pointers are not supported in these functions");
    if (accept("&")) local.reference = !local.constant;
    declare(take(), local);
    if (peek().is("[")) fail(peek(), "arrays are not supported in these functions");
  } while (accept(","));
  expect(")", "after the parameters");
}

FunctionTree Parser::expression_function(std::span<const SnippetParameter> parameters) {
  FunctionTree tree;
  function_ = &tree;
  tree.type_variable = "T";
  tree.result.kind = TypeName::Kind::plain;
  for (const SnippetParameter& p : parameters) {
    tree.locals.push_back({p.name, {TypeName::Kind::plain, p.type}, true, false, false});
    scope_.push_back({p.name, static_cast<std::int32_t>(tree.locals.size()) - 1});
  }
  tree.parameters = tree.locals.size();
  if (peek().is("{")) {
    tree.body = block();
  } else {
    const Token& first = peek();
    Node* value = expression();
    tree.body = make(NodeKind::block, first, {make(NodeKind::return_, first, {value})});
  }
  if (peek().kind != Token::Kind::end) {
    fail(peek(), fmt::format("expected the end of the expression, found {}", shown(peek())));
  }
  function_ = nullptr;
  return tree;
}

// ---- statements

Node* Parser::block() {
  Nesting nesting(*this);
  const Token& open = expect("{", "to open a block");
  const std::size_t outer = std::exchange(
      scope_begin_, function_->body == nullptr && depth_ == 1 ? std::size_t{0} : scope_.size());
  const std::size_t names = scope_.size();
  std::vector<Node*> statements;
  while (!peek().is("}")) {
    if (peek().kind == Token::Kind::end) fail(open, "this block is not closed: '}' is missing");
    statements.push_back(statement());
  }
  take();
  scope_.resize(names);
  scope_begin_ = outer;
  return make(NodeKind::block, open, std::move(statements));
}

Node* Parser::statement() {
  Nesting nesting(*this);
  const Token& first = peek();
  if (first.is("{")) return block();
  if (accept(";")) return make(NodeKind::block, first);
  if (first.is("if")) return if_statement();
  if (first.is("for")) return for_statement();
  if (first.is("while")) return while_statement();
  if (first.is("do")) return do_statement();
  if (first.is("break") || first.is("continue") || first.is("return")) return jump_statement();
  for (std::string_view word : unsupported) {
    if (first.is(word)) fail(first, fmt::format("'{}' is not supported", word));
  }
  if (at_type() && !peek(1).is("(")) return declaration();
  Node* value = expression();
  expect(";", "after the expression");
  return make(NodeKind::evaluate, first, {value});
}

/// The statement governed by `word`; a declaration there would be in view nowhere.
Node* Parser::statement_inside(std::string_view word) {
  if (at_type() && !peek(1).is("(")) {
    fail(peek(), fmt::format("a declaration directly under '{}'; put it in braces", word));
  }
  return statement();
}

Node* Parser::declaration() {
  const Token& first = peek();
  const bool constant = skip_qualifiers();
  const Token& type_token = peek();
  const TypeName type = type_name();
  if (type.kind == TypeName::Kind::none) fail(type_token, "a variable cannot be void");
  const bool is_const = skip_qualifiers() || constant;
  std::vector<Node*> all;
  do {
    if (peek().is("*")) fail(peek(), "pointers are not supported in these functions");
    if (peek().is("&")) fail(peek(), "only parameters can be references");
    const Token& name = take();
    Node* node = make(NodeKind::declare, name);
    if (peek().is("[")) fail(peek(), "arrays are not supported in these functions");
    if (accept("=")) node->kids.push_back(assignment());
    // After its initialiser: in `float x = x;` the right one is the outer x.
    node->slot = declare(name, {{}, type, is_const, false, false});
    if (node->kids.empty() && (is_const || type.kind == TypeName::Kind::automatic)) {
      fail(name, fmt::format("'{}' needs a value here", name.text));
    }
    all.push_back(node);
  } while (accept(","));
  expect(";", "after the declaration");
  return all.size() == 1 ? all[0] : make(NodeKind::block, first, std::move(all));
}

Node* Parser::condition_in_parentheses() {
  expect("(", "before the condition");
  Node* condition = expression();
  expect(")", "after the condition");
  return condition;
}

Node* Parser::if_statement() {
  const Token& first = take();
  std::vector<Node*> kids = {condition_in_parentheses()};
  kids.push_back(statement_inside("if"));
  if (accept("else")) kids.push_back(statement_inside("else"));
  return make(NodeKind::if_, first, std::move(kids));
}

Node* Parser::for_statement() {
  const Token& first = take();
  expect("(", "after 'for'");
  const std::size_t outer = std::exchange(scope_begin_, scope_.size());
  const std::size_t names = scope_.size();
  std::vector<Node*> all;
  const Token& start = peek();
  if (at_type()) all.push_back(declaration());
  else if (!accept(";")) {
    all.push_back(make(NodeKind::evaluate, start, {expression()}));
    expect(";", "after the start of the loop");
  }
  Node* condition = peek().is(";") ? nullptr : expression();
  expect(";", "after the condition of the loop");
  const Token& at = peek();
  Node* step = at.is(")") ? nullptr : make(NodeKind::evaluate, at, {expression()});
  expect(")", "after the step of the loop");
  ++loops_;
  Node* body = statement_inside("for");
  --loops_;
  scope_.resize(names);
  scope_begin_ = outer;
  all.push_back(make(NodeKind::loop, first, {condition, body, step}));
  return make(NodeKind::block, first, std::move(all));
}

Node* Parser::while_statement() {
  const Token& first = take();
  Node* condition = condition_in_parentheses();
  ++loops_;
  Node* body = statement_inside("while");
  --loops_;
  return make(NodeKind::loop, first, {condition, body, nullptr});
}

Node* Parser::do_statement() {
  const Token& first = take();
  ++loops_;
  Node* body = statement_inside("do");
  --loops_;
  expect("while", "after the body of 'do'");
  Node* condition = condition_in_parentheses();
  expect(";", "after 'do ... while (...)'");
  return make(NodeKind::do_loop, first, {condition, body, nullptr});
}

Node* Parser::jump_statement() {
  const Token& first = take();
  if (first.is("return")) {
    std::vector<Node*> value;
    if (!peek().is(";")) value.push_back(expression());
    const bool is_void = function_->result.kind == TypeName::Kind::none;
    if (is_void && !value.empty()) fail(first, "a void function returns no value");
    if (!is_void && value.empty()) fail(first, "this return needs a value");
    expect(";", "after 'return'");
    return make(NodeKind::return_, first, std::move(value));
  }
  if (loops_ == 0) fail(first, fmt::format("'{}' outside of a loop", first.text));
  expect(";", fmt::format("after '{}'", first.text));
  return make(first.is("break") ? NodeKind::break_ : NodeKind::continue_, first);
}

}  // namespace noyau::jit::snippet
