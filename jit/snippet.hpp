// The parser of the kernel language, a subset of C: its result is kernel IR.
// SPDX-License-Identifier: Apache-2.0
//
// Today: functions and expressions for the library's own rows (ops.def, ops/math). CUDA's and
// OpenCL's spellings and the public kernel classes come with kernel strings.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jit/program.hpp"

namespace noyau::jit {

/// Functions known to snippets, by name and parameter types: one Program whose entry is empty.
/// Overloads share a name; a call resolves by exact types after the usual arithmetic conversions.
struct FunctionLibrary {
  Program program;
  struct Entry {
    std::string name;
    std::vector<DType> parameters;
    DType result;
    Value function;  ///< in `program`
  };
  std::vector<Entry> entries;
  const Entry* find(std::string_view name, std::span<const DType> parameters) const;
};

/// Parses function definitions and adds them to `library`; they may call each other and what is
/// there already. `template <typename T>` functions are instantiated for each type in
/// `instantiate`. CompileError with a caret.
void parse_functions(std::string_view source, FunctionLibrary& library,
                     std::string_view source_name);

struct SnippetParameter {
  std::string name;
  DType type;
};
/// Parses one expression over named parameters, e.g. "1 / (1 + exp(-x))" with {{"x", float32}}, as
/// a function of `library` with the given name and result type (the expression's value converts to
/// it). `T` names `type_variable` in casts. Returns the entry.
const FunctionLibrary::Entry& parse_expression(std::string_view source,
                                               std::span<const SnippetParameter> parameters,
                                               DType result, DType type_variable,
                                               std::string_view function_name,
                                               FunctionLibrary& library);

}  // namespace noyau::jit
