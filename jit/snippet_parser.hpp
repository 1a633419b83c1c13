// Tokens to syntax trees.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "jit/snippet.hpp"
#include "jit/snippet_tree.hpp"

namespace noyau::jit::snippet {

/// A recursive-descent parser whose depth is bounded by `nesting_limit`. Names of variables are
/// resolved here, names of functions later.
class Parser {
 public:
  Parser(const Source& source, Tree& tree);
  std::vector<FunctionTree> functions();
  /// One expression, or a body in braces, over named parameters.
  FunctionTree expression_function(std::span<const SnippetParameter> parameters);

 private:
  // snippet_parser.cpp: functions and statements
  FunctionTree function();
  void parameter_list();
  Node* block();
  Node* statement();
  Node* statement_inside(std::string_view word);
  Node* declaration();
  Node* if_statement();
  Node* for_statement();
  Node* while_statement();
  Node* do_statement();
  Node* jump_statement();
  Node* condition_in_parentheses();
  bool at_type() const;
  bool starts_type(const Token& token) const;
  TypeName type_name();
  bool skip_qualifiers();

  // snippet_expressions.cpp
  Node* expression();
  Node* assignment();
  Node* conditional();
  Node* binary(int least);
  Node* unary();
  Node* postfix();
  Node* primary();
  Node* call(const Token& name);
  Node* cast_rest(const Token& at, TypeName type, Node* operand);
  Node* name(const Token& token);

  const Token& peek(std::size_t ahead = 0) const;
  const Token& take() { return tokens_[std::min(next_++, tokens_.size() - 1)]; }
  bool accept(std::string_view word);
  const Token& expect(std::string_view word, std::string_view where);
  [[noreturn]] void fail(const Token& at, const std::string& message) const;
  Node* make(NodeKind kind, const Token& at, std::vector<Node*> kids = {});
  std::int32_t declare(const Token& name, Local local);
  std::int32_t find(std::string_view name) const;

  /// Counts one level of nesting while it lives.
  class Nesting {
   public:
    explicit Nesting(Parser& parser);
    ~Nesting() { --parser_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& parser_;
  };

  struct Scope {
    std::string_view name;
    std::int32_t slot;
  };
  const Source& source_;
  Tree& tree_;
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  int depth_ = 0;
  int loops_ = 0;
  FunctionTree* function_ = nullptr;
  std::vector<Scope> scope_;     ///< names in view, innermost last
  std::size_t scope_begin_ = 0;  ///< the first of the innermost block
};

/// The value of INFINITY, M_PI, INT_MAX and the like, as a number token; false when not known.
bool find_constant(std::string_view name, Token& token);

}  // namespace noyau::jit::snippet
