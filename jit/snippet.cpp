// Kernel strings to functions of a library.
// SPDX-License-Identifier: Apache-2.0
#include "jit/snippet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "jit/snippet_lower.hpp"
#include "jit/snippet_parser.hpp"

namespace noyau::jit {

using snippet::FunctionTree;
using snippet::Lowering;
using snippet::Source;
using snippet::Tree;
using snippet::TypeName;

namespace {

/// Lends a library's program to a builder; puts all back as it was unless `keep` is called.
class Session {
 public:
  explicit Session(FunctionLibrary& library)
      : builder("library"),
        library_(library),
        entries_(library.entries.size()),
        instructions_(library.program.instructions.size()),
        operands_(library.program.operands.size()),
        names_(library.program.function_names.size()) {
    builder.program() = std::move(library.program);
  }
  ~Session() {
    library_.program = std::move(builder.program());
    if (kept_) return;
    library_.program.instructions.resize(instructions_);
    library_.program.operands.resize(operands_);
    library_.program.function_names.resize(names_);
    while (library_.entries.size() > entries_) library_.entries.pop_back();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  void keep() { kept_ = true; }
  KernelBuilder builder;

 private:
  FunctionLibrary& library_;
  std::size_t entries_, instructions_, operands_, names_;
  bool kept_ = false;
};

/// Callees before callers. CompileError where functions call each other in a circle.
std::vector<std::size_t> call_order(const Source& source, const std::vector<FunctionTree>& all) {
  std::multimap<std::string_view, std::size_t> by_name;
  for (std::size_t k = 0; k < all.size(); ++k) by_name.emplace(all[k].name, k);
  enum class State : std::uint8_t { unseen, open, done };
  std::vector<State> state(all.size(), State::unseen);
  std::vector<std::size_t> order;
  struct Visit {
    std::size_t function;
    std::vector<std::size_t> callees;
    std::size_t next = 0;
  };
  auto visit = [&](std::size_t k) {
    state[k] = State::open;
    Visit v{k, {}};
    for (std::string_view name : all[k].calls) {
      auto [first, last] = by_name.equal_range(name);
      for (auto it = first; it != last; ++it) v.callees.push_back(it->second);
    }
    return v;
  };
  for (std::size_t root = 0; root < all.size(); ++root) {
    if (state[root] != State::unseen) continue;
    std::vector<Visit> stack = {visit(root)};
    while (!stack.empty()) {
      Visit& top = stack.back();
      if (top.next == top.callees.size()) {
        state[top.function] = State::done;
        order.push_back(top.function);
        stack.pop_back();
        continue;
      }
      const std::size_t callee = top.callees[top.next++];
      // An overload may call another of its name: only real circles of distinct names are refused
      // here; a call that resolves to an overload not lowered yet finds no such function.
      if (state[callee] == State::open && all[callee].name != all[top.function].name) {
        source.fail(all[callee].place, all[callee].name.size(),
                    fmt::format("'{}' calls itself through '{}'; recursion is not possible in a "
                                "kernel",
                                all[callee].name, all[top.function].name));
      }
      if (callee == top.function && by_name.count(all[callee].name) == 1) {
        source.fail(all[callee].place, all[callee].name.size(),
                    fmt::format("'{}' calls itself; recursion is not possible in a kernel",
                                all[callee].name));
      }
      if (state[callee] == State::unseen) stack.push_back(visit(callee));
    }
  }
  return order;
}

std::string ir_name_of(const FunctionTree& f, const Lowering& lowering) {
  std::string name = f.name;
  for (std::size_t k = 0; k < f.parameters; ++k) {
    name += fmt::format("_{}", noyau::name(lowering.resolve(f.locals[k].type)));
  }
  return name;
}

}  // namespace

bool FunctionLibrary::Entry::has_references() const {
  return std::find(references.begin(), references.end(), true) != references.end();
}

const FunctionLibrary::Entry* FunctionLibrary::find(std::string_view name,
                                                    std::span<const DType> parameters) const {
  for (const Entry& e : entries) {
    if (e.name == name && std::ranges::equal(e.parameters, parameters)) return &e;
  }
  return nullptr;
}

void parse_functions(std::string_view text, FunctionLibrary& library, std::string_view source_name,
                     std::span<const DType> instantiate) {
  const Source source{std::string(source_name), text};
  Tree tree;
  std::vector<FunctionTree> all = snippet::Parser(source, tree).functions();
  for (FunctionTree& f : all) snippet::normalise(source, tree, f);
  Session session(library);
  for (std::size_t k : call_order(source, all)) {
    const FunctionTree& f = all[k];
    const std::size_t count = f.is_template ? instantiate.size() : 1;
    for (std::size_t n = 0; n < count; ++n) {
      std::optional<DType> variable;
      if (f.is_template) variable = instantiate[n];
      Lowering lowering(source, library, session.builder, f, variable);
      const std::string name = ir_name_of(f, lowering);
      const DType result =
          f.result.kind == TypeName::Kind::none ? int32 : lowering.resolve(f.result);
      FunctionLibrary::Entry entry = lowering.run(name, result);
      if (library.find(f.name, entry.parameters) != nullptr) {
        source.fail(f.place, f.name.size(),
                    fmt::format("'{}' is defined twice for these types", f.name));
      }
      library.entries.push_back(std::move(entry));
    }
  }
  session.keep();
}

const FunctionLibrary::Entry& parse_expression(std::string_view text,
                                               std::span<const SnippetParameter> parameters,
                                               DType result, DType type_variable,
                                               std::string_view function_name,
                                               FunctionLibrary& library) {
  const Source source{std::string(function_name), text};
  Tree tree;
  FunctionTree f = snippet::Parser(source, tree).expression_function(parameters);
  f.name = std::string(function_name);
  snippet::normalise(source, tree, f);
  Session session(library);
  Lowering lowering(source, library, session.builder, f, type_variable);
  library.entries.push_back(lowering.run(f.name, result));
  session.keep();
  return library.entries.back();
}

}  // namespace noyau::jit
