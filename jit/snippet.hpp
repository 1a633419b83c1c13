// The parser of the kernel language, a subset of C: its result is kernel IR.
// SPDX-License-Identifier: Apache-2.0
//
// Functions and expressions, as the rows of the library itself (ops.def, ops/math) use them.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jit/program.hpp"

namespace noyau::jit {

/// Functions known to snippets, by name and parameter types: one Program whose entry is empty.
/// Overloads share a name; a call resolves by exact types, else after the usual arithmetic
/// conversions, else to the only function of that name and number of arguments.
struct FunctionLibrary {
  Program program;
  struct Entry {
    std::string name;
    std::vector<DType> parameters;
    DType result = float32;
    bool has_result = true;     ///< false for void: the references are all it gives
    bool loops = false;         ///< a loop inside, or in what it calls: not evaluated speculatively
    Value function = no_value;  ///< in `program`; its values are the result, then the references
    std::vector<bool> references;  ///< by parameter: `T& x`, given back as a further value
    bool has_references() const;
  };
  std::deque<Entry> entries;  ///< references to entries stay good while others are added
  const Entry* find(std::string_view name, std::span<const DType> parameters) const;
};

inline constexpr DType floating_types[] = {float32, float64};

/// Parses function definitions and adds them to `library`; they may call each other, in any order
/// but not recursively, and what is there already. `template <typename T>` functions are
/// instantiated for each type in `instantiate`. In templates and in expressions an unsuffixed
/// floating literal is weak: it takes the type of the other operand, or T, so that 1.5 * x stays
/// float32 where x is; elsewhere it is double, as in C. On a CompileError (with a caret into
/// `source`) the library stays as it was.
void parse_functions(std::string_view source, FunctionLibrary& library,
                     std::string_view source_name,
                     std::span<const DType> instantiate = floating_types);

struct SnippetParameter {
  std::string name;
  DType type;
};
/// Parses one expression over named parameters, e.g. "1 / (1 + exp(-x))" with {{"x", float32}}, as
/// a function of `library` with the given name and result type (the expression's value converts to
/// it). `T` names `type_variable` in casts. A body in braces, `{ T t = ...; return ...; }`, will do
/// too. Returns the entry.
const FunctionLibrary::Entry& parse_expression(std::string_view source,
                                               std::span<const SnippetParameter> parameters,
                                               DType result, DType type_variable,
                                               std::string_view function_name,
                                               FunctionLibrary& library);

}  // namespace noyau::jit
