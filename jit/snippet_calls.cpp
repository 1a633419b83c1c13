// Calls: overloads of library functions, and the builtin functions that are opcodes.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>

#include "jit/snippet_lower.hpp"

namespace noyau::jit::snippet {
namespace {

/// What a builtin makes of its arguments.
enum class Rule : std::uint8_t {
  floating,   ///< one opcode on floats; integers are converted
  any,        ///< one opcode on the promoted common type
  predicate,  ///< isnan ...
  minmax,     ///< fmin and fmax: a NaN operand is ignored
  copysign,
  clamp,
  select
};
struct Builtin {
  std::string_view name;
  std::size_t arguments;
  Rule rule;
  Opcode op = Opcode::constant;
};
constexpr std::array<Builtin, 24> builtins = {{
    {"fma", 3, Rule::floating, Opcode::fma},
    {"sqrt", 1, Rule::floating, Opcode::sqrt},
    {"floor", 1, Rule::floating, Opcode::floor},
    {"ceil", 1, Rule::floating, Opcode::ceil},
    {"trunc", 1, Rule::floating, Opcode::trunc},
    {"rint", 1, Rule::floating, Opcode::rint},
    {"nearbyint", 1, Rule::floating, Opcode::rint},
    {"fabs", 1, Rule::floating, Opcode::absolute},
    {"fmod", 2, Rule::floating, Opcode::remainder},
    {"abs", 1, Rule::any, Opcode::absolute},
    {"min", 2, Rule::any, Opcode::minimum},
    {"max", 2, Rule::any, Opcode::maximum},
    {"minimum", 2, Rule::any, Opcode::minimum},
    {"maximum", 2, Rule::any, Opcode::maximum},
    {"fmin", 2, Rule::minmax, Opcode::minimum},
    {"fmax", 2, Rule::minmax, Opcode::maximum},
    {"isnan", 1, Rule::predicate},
    {"isinf", 1, Rule::predicate},
    {"isfinite", 1, Rule::predicate},
    {"signbit", 1, Rule::predicate},
    {"copysign", 2, Rule::copysign},
    {"clamp", 3, Rule::clamp},
    {"select", 3, Rule::select},
    {"llabs", 1, Rule::any, Opcode::absolute},
}};

struct BitCast {
  std::string_view name;
  DType to;
  bool fixed;  ///< the operand is converted to `from` first
  DType from;
};
constexpr std::array<BitCast, 18> bit_casts = {{
    {"as_char", int8, false, int8},
    {"as_uchar", uint8, false, int8},
    {"as_short", int16, false, int8},
    {"as_ushort", uint16, false, int8},
    {"as_int", int32, false, int8},
    {"as_uint", uint32, false, int8},
    {"as_long", int64, false, int8},
    {"as_ulong", uint64, false, int8},
    {"as_float", float32, false, int8},
    {"as_double", float64, false, int8},
    {"__float_as_int", int32, true, float32},
    {"__float_as_uint", uint32, true, float32},
    {"__int_as_float", float32, true, int32},
    {"__uint_as_float", float32, true, uint32},
    {"__double_as_longlong", int64, true, float64},
    {"__double_as_ulonglong", uint64, true, float64},
    {"__longlong_as_double", float64, true, int64},
    {"__ulonglong_as_double", float64, true, uint64},
}};

DType bits_of(DType floating) { return floating == float64 ? int64 : int32; }

std::string plural(std::size_t n) { return fmt::format("{} argument{}", n, n == 1 ? "" : "s"); }

}  // namespace

Operand Lowering::call(const Node* e) {
  std::vector<Operand> arguments;
  for (std::size_t k = 0; k < e->kids.size(); ++k) arguments.push_back(argument(e, k));
  builder_.set_place(e->place);
  bool known = false;
  Operand result;
  if (const auto* entry = resolve_call(e->name, arguments, known)) {
    return call_entry(e, *entry, arguments);
  }
  if (known) no_overload(e, arguments);
  if (bit_cast(e, e->name, arguments, result) || builtin(e, e->name, arguments, result)) {
    return result;
  }
  if (e->name.size() > 1 && e->name.back() == 'f') {  // expf, sqrtf: the float32 one
    for (Operand& a : arguments) a = typed(as(a, float32));
    const std::string_view name = e->name.substr(0, e->name.size() - 1);
    if (const auto* entry = resolve_call(name, arguments, known)) {
      return call_entry(e, *entry, arguments);
    }
    if (builtin(e, name, arguments, result)) return result;
  }
  fail(e, fmt::format("unknown function '{}'", e->name));
}

/// An argument by reference may be a variable without a value: the function gives it one.
Operand Lowering::argument(const Node* e, std::size_t k) {
  const Node* kid = e->kids[k];
  if (kid->kind == NodeKind::variable) {
    const Variable& v = variables_[static_cast<std::size_t>(kid->slot)];
    for (const auto& entry : library_.entries) {
      if (v.value == no_value && entry.name == e->name && k < entry.references.size() &&
          entry.references[k]) {
        return typed(builder_.constant({v.type, 0}));
      }
    }
  }
  return lower(kid);
}

/// Exact types first; then all arguments as their common type; then the only candidate. `known`
/// says whether there is any function of that name.
const FunctionLibrary::Entry* Lowering::resolve_call(std::string_view name,
                                                     std::span<const Operand> arguments,
                                                     bool& known) const {
  std::vector<const FunctionLibrary::Entry*> candidates;
  for (const auto& entry : library_.entries) {
    if (entry.name != name) continue;
    known = true;
    if (entry.parameters.size() == arguments.size()) candidates.push_back(&entry);
  }
  if (candidates.empty()) return nullptr;
  auto with = [&](std::optional<DType> type) -> const FunctionLibrary::Entry* {
    for (const auto* c : candidates) {
      bool fits = true;
      for (std::size_t k = 0; k < arguments.size(); ++k) {
        const DType given = arguments[k].weak ? weak_type() : arguments[k].type;
        fits &= c->parameters[k] == (type ? *type : given);
      }
      if (fits) return c;
    }
    return nullptr;
  };
  if (const auto* exact = with(std::nullopt)) return exact;
  if (!arguments.empty()) {
    Operand common_of = arguments[0];
    for (const Operand& a : arguments.subspan(1)) {
      common_of = {no_value, common(common_of, a), common_of.weak && a.weak, 0};
    }
    const DType type = common_of.weak ? weak_type() : promoted(common_of.type);
    if (const auto* entry = with(type)) return entry;
    if (!is_floating(type)) {
      if (const auto* entry = with(weak_type())) return entry;
    }
  }
  return candidates.size() == 1 ? candidates[0] : nullptr;
}

void Lowering::no_overload(const Node* e, std::span<const Operand> arguments) const {
  std::string list;
  bool count_fits = false;
  std::size_t count = 0;
  for (const auto& entry : library_.entries) {
    if (entry.name != e->name) continue;
    count = entry.parameters.size();
    count_fits |= count == arguments.size();
    list += list.empty() ? "" : ", ";
    list += fmt::format("{}(", entry.name);
    for (std::size_t k = 0; k < entry.parameters.size(); ++k) {
      list += fmt::format("{}{}", k == 0 ? "" : ", ", noyau::name(entry.parameters[k]));
    }
    list += ")";
  }
  if (!count_fits) {
    fail(e, fmt::format("'{}' takes {}; {} given", e->name, plural(count), arguments.size()));
  }
  std::string given;
  for (const Operand& a : arguments) {
    given +=
        fmt::format("{}{}", given.empty() ? "" : ", ", noyau::name(a.weak ? weak_type() : a.type));
  }
  fail(e, fmt::format("no '{}' for ({}); there are {}", e->name, given, list));
}

Operand Lowering::call_entry(const Node* e, const FunctionLibrary::Entry& entry,
                             std::span<const Operand> arguments) {
  std::vector<Value> values;
  for (std::size_t k = 0; k < arguments.size(); ++k) {
    if (entry.references[k] &&
        (e->kids[k]->kind != NodeKind::variable || arguments[k].type != entry.parameters[k])) {
      fail(e->kids[k], fmt::format("argument {} of '{}' is changed by it: it must be a variable of "
                                   "type {}",
                                   k + 1, e->name, noyau::name(entry.parameters[k])));
    }
    values.push_back(as(arguments[k], entry.parameters[k]));
  }
  loops_ |= entry.loops;
  const std::vector<Value> results = builder_.call(entry.function, values);
  std::size_t next = entry.has_result ? 1 : 0;
  for (std::size_t k = 0; k < arguments.size(); ++k) {
    if (!entry.references[k]) continue;
    const std::int32_t slot = e->kids[k]->slot;
    if (function_.locals[static_cast<std::size_t>(slot)].constant) {
      fail(e->kids[k], fmt::format("'{}' would change the const '{}'", e->name,
                                   function_.locals[static_cast<std::size_t>(slot)].name));
    }
    assign(e, slot, typed(results[next++]));
  }
  // The value of a void call is never used: the statement around it drops it.
  return entry.has_result ? typed(results[0]) : Operand{no_value, int32, false, 0};
}

bool Lowering::builtin(const Node* e, std::string_view name, std::span<const Operand> arguments,
                       Operand& result) {
  const Builtin* b = nullptr;
  for (const Builtin& known : builtins) {
    if (known.name == name) b = &known;
  }
  if (b == nullptr) return false;
  if (arguments.size() != b->arguments) {
    fail(e,
         fmt::format("'{}' takes {}; {} given", e->name, plural(b->arguments), arguments.size()));
  }
  const Operand& a = arguments[0];
  if (b->rule == Rule::select) {
    if (a.weak || a.type != bool_) {
      fail(e, "select(condition, a, b) needs a comparison first; or write condition ? a : b");
    }
    const DType type = common(arguments[1], arguments[2]);
    const Value yes = as(arguments[1], type);
    result = typed(builder_.select(a.value, yes, as(arguments[2], type)));
    return true;
  }
  Operand all = a;
  for (const Operand& other : arguments.subspan(1)) {
    all = {no_value, common(all, other), all.weak && other.weak, 0};
  }
  const bool keeps_integers = b->rule == Rule::any || b->rule == Rule::clamp;
  DType type = all.weak ? weak_type() : promoted(all.type);
  if (!keeps_integers && !is_floating(type)) type = weak_type();
  std::vector<Value> v;
  for (const Operand& argument : arguments) v.push_back(as(argument, type));
  switch (b->rule) {
    case Rule::predicate:
      result = predicate(name, typed(v[0]));
      break;
    case Rule::minmax:
      result = minmax(name, typed(v[0]), typed(v[1]));
      break;
    case Rule::copysign:
      result = typed(copysign(v[0], v[1]));
      break;
    case Rule::clamp:
      result = typed(
          builder_.binary(Opcode::minimum, builder_.binary(Opcode::maximum, v[0], v[1]), v[2]));
      break;
    default:
      result = typed(v.size() == 1   ? builder_.unary(b->op, v[0])
                     : v.size() == 2 ? builder_.binary(b->op, v[0], v[1])
                                     : builder_.ternary(b->op, v[0], v[1], v[2]));
  }
  return true;
}

bool Lowering::bit_cast(const Node* e, std::string_view name, std::span<const Operand> arguments,
                        Operand& result) {
  for (const BitCast& c : bit_casts) {
    if (c.name != name) continue;
    if (arguments.size() != 1) {
      fail(e, fmt::format("'{}' takes 1 argument; {} given", name, arguments.size()));
    }
    const Operand& a = arguments[0];
    DType from = a.type;
    if (c.fixed) from = c.from;
    else if (a.weak) from = size_of(c.to) == 8 ? float64 : float32;
    if (size_of(from) != size_of(c.to) || from == bool_) {
      fail(e, fmt::format("'{}' needs an operand of {} bytes; it was given {}", name, size_of(c.to),
                          noyau::name(from)));
    }
    result = typed(builder_.bitcast(as(a, from), c.to));
    return true;
  }
  return false;
}

Operand Lowering::predicate(std::string_view name, const Operand& a) {
  if (name == "isnan") return typed(builder_.compare(Opcode::not_equal, a.value, a.value));
  if (name == "signbit") {
    const Value bits = builder_.bitcast(a.value, bits_of(a.type));
    return typed(builder_.compare(Opcode::less, bits, builder_.constant({bits_of(a.type), 0})));
  }
  const Value size = builder_.unary(Opcode::absolute, a.value);
  const Value infinite = builder_.constant(Scalar::of(__builtin_inf()).as(a.type));
  return typed(builder_.compare(name == "isinf" ? Opcode::equal : Opcode::less, size, infinite));
}

/// C's fmin and fmax: the other operand where one is NaN.
Operand Lowering::minmax(std::string_view name, const Operand& a, const Operand& b) {
  const Opcode op = name == "fmin" ? Opcode::minimum : Opcode::maximum;
  const Value both = builder_.binary(op, a.value, b.value);
  const Value b_known = builder_.select(predicate("isnan", b).value, a.value, both);
  return typed(builder_.select(predicate("isnan", a).value, b.value, b_known));
}

Value Lowering::copysign(Value magnitude, Value sign) {
  const DType type = builder_.type(magnitude), bits = bits_of(type);
  const std::uint64_t sign_bit = std::uint64_t{1} << (8 * size_of(type) - 1);
  const Value keep = builder_.constant({bits, sign_bit - 1});
  const Value take = builder_.constant({bits, sign_bit});
  const Value a = builder_.binary(Opcode::bit_and, builder_.bitcast(magnitude, bits), keep);
  const Value b = builder_.binary(Opcode::bit_and, builder_.bitcast(sign, bits), take);
  return builder_.bitcast(builder_.binary(Opcode::bit_or, a, b), type);
}

}  // namespace noyau::jit::snippet
