// The syntax tree of the kernel language.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "jit/snippet_lexer.hpp"

namespace noyau::jit::snippet {

/// A type as written.
struct TypeName {
  enum class Kind : std::uint8_t {
    plain,
    variable,   ///< the type variable, T
    automatic,  ///< auto: the initialiser's
    none        ///< void
  };
  Kind kind = Kind::plain;
  DType dtype = int32;
};

enum class NodeKind : std::uint8_t {
  // expressions: kids
  number,       ///< a literal or a constant by name; `token`
  variable,     ///< `slot`
  unary,        ///< `op` + - ! ~; operand
  binary,       ///< `op`; left, right
  assign,       ///< `op` is "" or the operator of a compound assignment; target is `slot`; value
  increment,    ///< `op` ++ or --; `slot`; `postfix`
  conditional,  ///< condition, then, else
  cast,         ///< `type`; operand
  call,         ///< `name`; arguments
  comma,        ///< two or more
  // statements
  block,     ///< statements
  declare,   ///< `slot`; [initialiser]
  evaluate,  ///< an expression for its effects
  if_,       ///< condition, then[, else]
  loop,      ///< condition or null, body, step or null; tested at the top
  do_loop,   ///< the same, tested at the bottom, step null; normalise makes it a loop
  break_,
  continue_,
  return_,  ///< [value]
};

/// Ways to leave a statement before its end, as bits.
inline constexpr std::uint8_t exit_return = 1, exit_break = 2, exit_continue = 4;

struct Node {
  NodeKind kind = NodeKind::block;
  bool postfix = false;
  std::uint8_t exits = 0;  ///< of statements: the exits inside
  std::int32_t place = 0, length = 1;
  std::int32_t slot = -1;
  TypeName type;
  std::string_view op, name;
  Token token;
  std::vector<Node*> kids;
};

/// A parameter or local variable. Its slot is its number; each declaration has its own.
struct Local {
  std::string name;
  TypeName type;
  bool constant = false;
  bool reference = false;  ///< a parameter whose last value goes back to the caller
  bool unread = false;     ///< a flag of normalise that nothing reads
};

struct FunctionTree {
  std::string name;
  std::int32_t place = 0;
  bool is_template = false;
  std::string type_variable;  ///< its name, or empty
  TypeName result;
  std::size_t parameters = 0;  ///< the first so many locals
  std::vector<Local> locals;
  Node* body = nullptr;
  std::vector<std::string_view> calls;  ///< names of the functions it calls
};

/// Owns the nodes of one source; nothing about it is recursive.
struct Tree {
  std::deque<Node> nodes;
  Node* make(NodeKind kind, std::int32_t place, std::vector<Node*> kids = {});
};

/// Rewrites `function` so that no break, continue or return is left but one `return` at the end:
/// exits become assignments to flags and to a result variable, and what follows a possible exit is
/// moved into an else part or guarded. Loops with a condition that assigns, and do loops, become
/// plain loops. CompileError when the end can be reached without a value.
void normalise(const Source& source, Tree& tree, FunctionTree& function);

/// True when `expression` assigns a variable.
bool assigns(const Node* expression);

}  // namespace noyau::jit::snippet
