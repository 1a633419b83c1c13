// Syntax trees to kernel IR: types, conversions and control flow of one function.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>

#include "jit/snippet.hpp"
#include "jit/snippet_tree.hpp"

namespace noyau::jit::snippet {

/// C's integer promotion, and the common type of the usual arithmetic conversions.
DType promoted(DType type);
DType common_type(DType a, DType b);

/// The value of an expression. A weak one is a number that has not got its type yet.
struct Operand {
  Value value = no_value;
  DType type = int32;
  bool weak = false;
  double number = 0;
};

/// Lowers one normalised function. Variables become values: a region yields those it assigns.
class Lowering {
 public:
  /// `type_variable` is what T means, if anything; literals are weak where it is given.
  Lowering(const Source& source, const FunctionLibrary& library, KernelBuilder& builder,
           const FunctionTree& function, std::optional<DType> type_variable);
  /// Emits the function under `ir_name`, its result converted to `result`.
  FunctionLibrary::Entry run(const std::string& ir_name, DType result);
  DType resolve(const TypeName& type) const;

 private:
  // snippet_lower.cpp: statements
  void statement(const Node* s);
  void declare(const Node* s);
  void if_statement(const Node* s);
  void loop(const Node* s);
  void return_statement(const Node* s);
  std::vector<std::int32_t> assigned_in(std::span<Node* const> nodes) const;
  std::vector<Value> values_of(std::span<const std::int32_t> slots);
  void set_values(std::span<const std::int32_t> slots, std::span<const Value> values);
  void assign(const Node* at, std::int32_t slot, const Operand& value);

  // snippet_values.cpp: expressions
  Operand lower(const Node* e);
  void effects(const Node* e);
  Operand number(const Node* e);
  Operand variable(const Node* e, std::int32_t slot);
  Operand unary(const Node* e);
  Operand binary_chain(const Node* e);
  Operand arithmetic(const Node* at, std::string_view op, Operand a, Operand b);
  Operand logical(const Node* e, const Operand& left);
  Operand shift(std::string_view op, const Operand& a, const Operand& b);
  Operand compare(std::string_view op, Operand a, Operand b);
  Operand assignment(const Node* e);
  Operand increment(const Node* e);
  Operand conditional(const Node* e);
  Operand chosen_region(const Node* e, Value condition);
  bool is_pure(const Node* e) const;
  Operand typed(Value v) const { return {v, builder_.type(v), false, 0}; }
  DType weak_type() const;
  DType floating_type(const Operand& a) const;
  DType common(const Operand& a, const Operand& b) const;
  bool fold_with(Operand& a) const;
  Value as(const Operand& a, DType type);
  Value truth(const Operand& a) { return as(a, bool_); }

  // snippet_calls.cpp: calls of functions and builtins
  Operand call(const Node* e);
  Operand argument(const Node* e, std::size_t k);
  Operand call_entry(const Node* e, const FunctionLibrary::Entry& entry,
                     std::span<const Operand> arguments);
  const FunctionLibrary::Entry* resolve_call(std::string_view name,
                                             std::span<const Operand> arguments, bool& known) const;
  [[noreturn]] void no_overload(const Node* e, std::span<const Operand> arguments) const;
  bool builtin(const Node* e, std::string_view name, std::span<const Operand> arguments,
               Operand& result);
  bool bit_cast(const Node* e, std::string_view name, std::span<const Operand> arguments,
                Operand& result);
  Operand predicate(std::string_view name, const Operand& a);
  Operand minmax(std::string_view name, const Operand& a, const Operand& b);
  Value copysign(Value magnitude, Value sign);

  [[noreturn]] void fail(const Node* at, const std::string& message) const;

  const Source& source_;
  const FunctionLibrary& library_;
  KernelBuilder& builder_;
  const FunctionTree& function_;
  std::optional<DType> type_variable_;
  DType result_ = float32;
  bool loops_ = false;
  int depth_ = 0;
  bool in_condition_ = false;  ///< of a loop, where nothing may be assigned
  struct Variable {
    DType type = int32;
    Value value = no_value;  ///< no_value until it is given one
    bool declared = false;
  };
  std::vector<Variable> variables_;  ///< by slot
  std::vector<Value> returned_;
};

}  // namespace noyau::jit::snippet
