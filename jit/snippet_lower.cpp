// Lowers functions and statements of the kernel language to IR.
// SPDX-License-Identifier: Apache-2.0
#include "jit/snippet_lower.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "noyau/error.hpp"

namespace noyau::jit::snippet {

Lowering::Lowering(const Source& source, const FunctionLibrary& library, KernelBuilder& builder,
                   const FunctionTree& function, std::optional<DType> type_variable)
    : source_(source),
      library_(library),
      builder_(builder),
      function_(function),
      type_variable_(type_variable),
      variables_(function.locals.size()) {}

void Lowering::fail(const Node* at, const std::string& message) const {
  source_.fail(at->place, static_cast<std::size_t>(at->length), message);
}

DType Lowering::resolve(const TypeName& type) const {
  return type.kind == TypeName::Kind::variable ? type_variable_.value() : type.dtype;
}

FunctionLibrary::Entry Lowering::run(const std::string& ir_name, DType result) {
  FunctionLibrary::Entry entry;
  entry.name = function_.name;
  entry.result = result_ = result;
  entry.has_result = function_.result.kind != TypeName::Kind::none;
  for (std::size_t k = 0; k < function_.parameters; ++k) {
    entry.parameters.push_back(resolve(function_.locals[k].type));
    entry.references.push_back(function_.locals[k].reference);
  }
  builder_.set_place(function_.place);
  std::vector<Value> parameters = builder_.begin_function(ir_name, entry.parameters);
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    variables_[k] = {entry.parameters[k], parameters[k], true};
  }
  statement(function_.body);
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    if (entry.references[k]) returned_.push_back(variables_[k].value);
  }
  entry.function = builder_.end_function(returned_);
  entry.loops = loops_;
  return entry;
}

void Lowering::statement(const Node* s) {
  builder_.set_place(s->place);
  switch (s->kind) {
    case NodeKind::block:
      for (const Node* kid : s->kids) statement(kid);
      return;
    case NodeKind::declare:
      return declare(s);
    case NodeKind::evaluate:
      return effects(s->kids[0]);
    case NodeKind::if_:
      return if_statement(s);
    case NodeKind::loop:
      return loop(s);
    case NodeKind::return_:
      return return_statement(s);
    default:
      throw InternalError("snippet: a statement that normalise should have removed");
  }
}

/// An expression whose value is dropped: the only place for a call of a void function.
void Lowering::effects(const Node* e) {
  if (e->kind == NodeKind::call) call(e);
  else lower(e);
}

void Lowering::declare(const Node* s) {
  Variable& v = variables_[static_cast<std::size_t>(s->slot)];
  const Local& local = function_.locals[static_cast<std::size_t>(s->slot)];
  if (local.unread) return;
  Operand value;
  if (!s->kids.empty()) value = lower(s->kids[0]);
  if (local.type.kind == TypeName::Kind::automatic) v.type = value.weak ? weak_type() : value.type;
  else v.type = local.name == "(result)" ? result_ : resolve(local.type);
  v.declared = true;
  v.value = s->kids.empty() ? no_value : as(value, v.type);
}

void Lowering::assign(const Node* at, std::int32_t slot, const Operand& value) {
  if (in_condition_) fail(at, "nothing can be assigned in the condition of this loop");
  Variable& v = variables_[static_cast<std::size_t>(slot)];
  v.value = as(value, v.type);
}

void Lowering::return_statement(const Node* s) {
  if (!s->kids.empty()) returned_.push_back(as(lower(s->kids[0]), result_));
}

// ---- regions

/// Variables in view that something in `nodes` assigns, in order of declaration.
std::vector<std::int32_t> Lowering::assigned_in(std::span<Node* const> nodes) const {
  std::vector<std::int32_t> slots;
  auto add = [&](std::int32_t slot) {
    if (variables_[static_cast<std::size_t>(slot)].declared) slots.push_back(slot);
  };
  std::vector<const Node*> open;
  for (const Node* n : nodes) {
    if (n != nullptr) open.push_back(n);
  }
  while (!open.empty()) {
    const Node* n = open.back();
    open.pop_back();
    if (n->kind == NodeKind::assign || n->kind == NodeKind::increment) add(n->slot);
    if (n->kind == NodeKind::call) {
      for (const auto& entry : library_.entries) {
        if (entry.name != n->name || !entry.has_references()) continue;
        for (std::size_t k = 0; k < std::min(n->kids.size(), entry.references.size()); ++k) {
          if (entry.references[k] && n->kids[k]->kind == NodeKind::variable) add(n->kids[k]->slot);
        }
      }
    }
    for (const Node* kid : n->kids) {
      if (kid != nullptr) open.push_back(kid);
    }
  }
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  return slots;
}

/// The present values of variables; zero for one that has none yet (C leaves it undefined).
std::vector<Value> Lowering::values_of(std::span<const std::int32_t> slots) {
  std::vector<Value> values;
  for (std::int32_t slot : slots) {
    const Variable& v = variables_[static_cast<std::size_t>(slot)];
    values.push_back(v.value != no_value ? v.value : builder_.constant({v.type, 0}));
  }
  return values;
}

void Lowering::set_values(std::span<const std::int32_t> slots, std::span<const Value> values) {
  for (std::size_t k = 0; k < slots.size(); ++k) {
    variables_[static_cast<std::size_t>(slots[k])].value = values[k];
  }
}

void Lowering::if_statement(const Node* s) {
  const Value condition = truth(lower(s->kids[0]));
  const auto parts = std::span<Node* const>(s->kids).subspan(1);
  const std::vector<std::int32_t> slots = assigned_in(parts);
  std::vector<Value> before;
  for (std::int32_t slot : slots)
    before.push_back(variables_[static_cast<std::size_t>(slot)].value);
  builder_.begin_if(condition);
  statement(parts[0]);
  builder_.begin_else(values_of(slots));
  set_values(slots, before);
  if (parts.size() > 1) statement(parts[1]);
  set_values(slots, builder_.end_if(values_of(slots)));
}

void Lowering::loop(const Node* s) {
  if (s->kids[0] == nullptr) fail(s, "this loop has no condition and no way out");
  const std::vector<std::int32_t> slots = assigned_in(s->kids);
  const std::vector<Value> parameters = builder_.begin_loop(values_of(slots));
  loops_ = true;
  set_values(slots, parameters);
  in_condition_ = true;
  builder_.loop_while(truth(lower(s->kids[0])));
  in_condition_ = false;
  statement(s->kids[1]);
  builder_.end_loop(values_of(slots));
  set_values(slots, parameters);
}

}  // namespace noyau::jit::snippet
