// The meanings and derivatives of ops.def, parsed once for each dtype.
// SPDX-License-Identifier: Apache-2.0
#include "ops/meaning.hpp"

#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/math.hpp"

namespace noyau::ops {
namespace {

constexpr std::string_view sign_source = R"(
template <typename T> T sign(T x) { return x > 0 ? (T)1 : x < 0 ? (T)-1 : x; }
)";

// Rounded towards minus infinity, so that x == floor_divide(x, y) * y + floor_remainder(x, y); an
// integer by zero gives 0 and 0. A negative power of an integer is truncated.
constexpr std::string_view integer_source = R"(
template <typename T> T floor_remainder(T x, T y) {
  T r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? (T)(r + y) : r;
}
template <typename T> T floor_divide(T x, T y) {
  T r = x % y;
  T q = x / y;
  return r != 0 && (r < 0) != (y < 0) ? (T)(q - 1) : q;
}
template <typename T> T power(T x, T y) {
  T one = (T)1;
  if (y < 0) {
    T odd = x < 0 && (y & 1) != 0 ? (T)-1 : one;
    return x * x == one && (x == one || x == (T)-1) ? odd : (T)0;
  }
  T result = one;
  while (y > 0) {
    if ((y & 1) != 0) result = (T)(result * x);
    x = (T)(x * x);
    y = (T)(y >> 1);
  }
  return result;
}
)";

constexpr std::string_view floating_source = R"(
template <typename T> T floor_remainder(T x, T y) {
  T r = fmod(x, y);
  T s = r != 0 && (r < 0) != (y < 0) ? r + y : r;
  return s == 0 ? copysign((T)0, y) : s;
}
template <typename T> T floor_divide(T x, T y) {
  T r = fmod(x, y);
  T q = (x - r) / y;
  T below = r != 0 && (r < 0) != (y < 0) ? q - 1 : q;
  T whole = floor(below);
  T nearest = below - whole > (T)0.5 ? whole + 1 : whole;
  return y == 0 || below == 0 ? (y == 0 ? x / y : copysign((T)0, x / y)) : nearest;
}
)";

constexpr std::string_view power_source = R"(
template <typename T> T power(T x, T y) { return pow(x, y); }
)";

/// The library's names of the parameters of a row's functions.
std::string parameters(const OpRow& row, bool with_result) {
  constexpr std::string_view names[] = {"x", "y", "z"};
  std::string list;
  for (int i = 0; i < row.inputs; ++i) {
    const bool condition = row.rule == TypeRule::select && i == 0;
    list += fmt::format("{}{} {}", i == 0 ? "" : ", ", condition ? "bool" : "T",
                        names[static_cast<std::size_t>(i)]);
  }
  return with_result ? list + ", T out" : list;
}

bool gives_bool(const OpRow& row) {
  return row.rule == TypeRule::comparison || row.rule == TypeRule::logical ||
         row.rule == TypeRule::predicate;
}

void parse(const std::string& source, jit::FunctionLibrary& library, DType type) {
  jit::parse_functions(source, library, "ops.def", {&type, 1});
}

/// One dtype's functions. Never changed once made, so that many threads may read it.
struct Table {
  jit::FunctionLibrary library;
  jit::Value functions[op_count][3];
};

Table make_meanings(DType type) {
  Table table;
  if (is_floating(type)) add_math(table.library);
  add_helpers(table.library, type);
  std::string source;
  for (const OpRow& r : op_table) {
    if (!computes_in(r, type)) continue;
    source += fmt::format("template <typename T> {} op_{}({}) {{ return {}; }}\n",
                          gives_bool(r) ? "bool" : "T", r.name, parameters(r, false), r.meaning);
  }
  parse(source, table.library, type);
  for (int op = 0; op < op_count; ++op) {
    table.functions[op][0] = function_named(table.library, fmt::format("op_{}", op_table[op].name));
  }
  return table;
}

Table make_derivatives(DType type) {
  Table table;
  add_math(table.library);
  add_helpers(table.library, type);
  add_derivatives(table.library, type);
  for (int op = 0; op < op_count; ++op) {
    for (int input = 0; input < 3; ++input) {
      table.functions[op][input] =
          function_named(table.library, fmt::format("d{}_{}", input, op_table[op].name));
    }
  }
  return table;
}

/// The table of a dtype, made on first use by `make`. Leaked: kernels hold its programs.
template <Table make(DType)>
const Table& table_of(DType type) {
  static std::once_flag made[dtype_count];
  static Table* tables[dtype_count];
  const auto k = static_cast<std::size_t>(type);
  std::call_once(made[k], [&] { tables[k] = new Table(make(type)); });
  return *tables[k];
}

}  // namespace

bool computes_in(const OpRow& row, DType compute) {
  if (is_half(compute)) return false;  // only stored
  switch (row.rule) {
    case TypeRule::arithmetic:
    case TypeRule::comparison:
    case TypeRule::select:
      return true;
    case TypeRule::numeric:
      return compute != bool_;
    case TypeRule::floating:
    case TypeRule::rounding:
    case TypeRule::predicate:
      return is_floating(compute);
    case TypeRule::bitwise:
      return !is_floating(compute);
    case TypeRule::shift:
      return is_integer(compute);
    case TypeRule::logical:
      return compute == bool_;
  }
  return false;
}

void add_helpers(jit::FunctionLibrary& library, DType type) {
  if (type == bool_) return;
  std::string source(sign_source);
  source += is_floating(type) ? floating_source : integer_source;
  if (is_floating(type)) source += power_source;
  parse(source, library, type);
}

void add_derivatives(jit::FunctionLibrary& library, DType type) {
  std::string source;
  for (const OpRow& r : op_table) {
    if (!computes_in(r, type)) continue;
    for (int input = 0; input < 3; ++input) {
      const std::string_view text = r.derivatives[input];
      if (text.empty()) continue;
      source += fmt::format("template <typename T> T d{}_{}({}) {{ return {}; }}\n", input, r.name,
                            parameters(r, true), text);
    }
  }
  parse(source, library, type);
}

jit::Value function_named(const jit::FunctionLibrary& library, std::string_view name) {
  for (const auto& entry : library.entries) {
    if (entry.name == name) return entry.function;
  }
  return jit::no_value;
}

Meaning meaning(ElementwiseOp op, DType compute) {
  const Table& table = table_of<make_meanings>(compute);
  const jit::Value function = table.functions[static_cast<int>(op)][0];
  if (function == jit::no_value) {
    throw InternalError(fmt::format("{} does not compute in {}", row(op).name, name(compute)));
  }
  return {&table.library.program, function};
}

Meaning derivative(ElementwiseOp op, int input, DType compute) {
  if (!is_floating(compute)) return {nullptr, jit::no_value};
  const Table& table = table_of<make_derivatives>(compute);
  return {&table.library.program, table.functions[static_cast<int>(op)][input]};
}

}  // namespace noyau::ops
