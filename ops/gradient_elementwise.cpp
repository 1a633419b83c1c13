// The rule of elementwise nodes: the derivatives of ops.def, read as operations on arrays.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/gradient_rules.hpp"
#include "ops/meaning.hpp"

namespace noyau::ops {
namespace {

using jit::Opcode;
using jit::Value;

/// One term of a derivative.
struct Term {
  enum class Kind : std::uint8_t { parameter, constant, convert, operation } kind;
  DType type = float32;
  ElementwiseOp op{};             ///< operation
  int parameter = 0;              ///< parameter: the number of the input, or of the result
  Scalar value{};                 ///< constant
  std::vector<std::size_t> from;  ///< convert, operation: earlier terms
};
struct Derivative {
  std::vector<Term> terms;
  std::size_t root = 0;
  bool is_zero() const { return terms.empty(); }
};
/// The derivatives of all rows for one dtype.
struct Derivatives {
  Derivative of[op_count][3];
};

std::optional<ElementwiseOp> operation_of(Opcode op) {
  switch (op) {
    case Opcode::add:
      return ElementwiseOp::add;
    case Opcode::subtract:
      return ElementwiseOp::subtract;
    case Opcode::multiply:
      return ElementwiseOp::multiply;
    case Opcode::divide:
      return ElementwiseOp::divide;
    case Opcode::negate:
      return ElementwiseOp::negative;
    case Opcode::absolute:
      return ElementwiseOp::abs;
    case Opcode::minimum:
      return ElementwiseOp::minimum;
    case Opcode::maximum:
      return ElementwiseOp::maximum;
    case Opcode::fma:
      return ElementwiseOp::fma;
    case Opcode::sqrt:
      return ElementwiseOp::sqrt;
    case Opcode::floor:
      return ElementwiseOp::floor;
    case Opcode::ceil:
      return ElementwiseOp::ceil;
    case Opcode::trunc:
      return ElementwiseOp::trunc;
    case Opcode::rint:
      return ElementwiseOp::round;
    case Opcode::bit_and:
      return ElementwiseOp::bitwise_and;
    case Opcode::bit_or:
      return ElementwiseOp::bitwise_or;
    case Opcode::bit_xor:
      return ElementwiseOp::bitwise_xor;
    case Opcode::equal:
      return ElementwiseOp::equal;
    case Opcode::not_equal:
      return ElementwiseOp::not_equal;
    case Opcode::less:
      return ElementwiseOp::less;
    case Opcode::less_equal:
      return ElementwiseOp::less_equal;
    case Opcode::greater:
      return ElementwiseOp::greater;
    case Opcode::greater_equal:
      return ElementwiseOp::greater_equal;
    case Opcode::select:
      return ElementwiseOp::where;
    default:
      return std::nullopt;
  }
}

/// Declares every operation that is no opcode, so that derivatives that name it can be parsed; the
/// bodies are never looked at.
jit::FunctionLibrary declared_operations(DType type) {
  std::string source;
  for (const OpRow& r : op_table) {
    const bool builtin = r.name == "sqrt" || r.name == "fma" || r.name == "abs";
    if ((r.rule != TypeRule::floating && r.rule != TypeRule::numeric) || builtin) continue;
    constexpr std::string_view parameters[] = {"T x", "T x, T y", "T x, T y, T z"};
    source += fmt::format("template <typename T> T {}({}) {{ return x; }}\n", r.name,
                          parameters[r.inputs - 1]);
  }
  jit::FunctionLibrary library;
  jit::parse_functions(source, library, "ops.def", {&type, 1});
  return library;
}

/// Turns the body of one derivative function into terms.
class Reader {
 public:
  Reader(const jit::FunctionLibrary& library, Value function)
      : library_(library), program_(library.program), function_(function) {}

  Derivative read() {
    const Value end = program_[function_].end;
    for (Value v = function_ + 1; v < end; ++v) {
      const jit::Instruction& i = program_[v];
      if (i.op == Opcode::return_) {
        derivative_.root = term_.at(program_.operands_of(i)[0]);
      } else if (i.op == Opcode::result) {
        term_[v] = term_.at(program_.operands_of(i)[0]);
        derivative_.terms[term_[v]].type = i.type;  // the call itself has none
      } else {
        Term made = term(i);
        term_[v] = derivative_.terms.size();
        derivative_.terms.push_back(std::move(made));
      }
    }
    return std::move(derivative_);
  }

 private:
  Term term(const jit::Instruction& i) {
    Term t{.kind = Term::Kind::operation, .type = i.type, .from = {}};
    for (Value operand : program_.operands_of(i)) t.from.push_back(term_.at(operand));
    if (i.op == Opcode::func_param) {
      t.kind = Term::Kind::parameter;
      t.parameter = static_cast<int>(i.immediate);
    } else if (i.op == Opcode::constant) {
      t.kind = Term::Kind::constant;
      t.value = {i.type, static_cast<std::uint64_t>(i.immediate)};
    } else if (i.op == Opcode::convert) {
      return converted(t);
    } else if (i.op == Opcode::call) {
      t.op = called(static_cast<Value>(i.immediate));
    } else if (const auto op = operation_of(i.op)) {
      t.op = *op;
    } else {
      throw InternalError(fmt::format(
          "a derivative of ops.def uses {}, which is no operation on arrays", jit::name(i.op)));
    }
    return t;
  }

  /// (float)(c ? 1 : 0) is c ? 1.f : 0.f.
  Term converted(Term t) {
    t.kind = Term::Kind::convert;
    const Term from = derivative_.terms[t.from[0]];
    if (from.kind == Term::Kind::constant) {
      return {.kind = from.kind, .type = t.type, .value = from.value.as(t.type), .from = {}};
    }
    if (from.kind != Term::Kind::operation || from.op != ElementwiseOp::where) return t;
    Term choice = from;
    choice.type = t.type;
    for (std::size_t k = 1; k < 3; ++k) {
      const Term& branch = derivative_.terms[from.from[k]];
      if (branch.kind != Term::Kind::constant) return t;
      Term constant = branch;
      constant.type = t.type;
      constant.value = branch.value.as(t.type);
      choice.from[k] = derivative_.terms.size();
      derivative_.terms.push_back(std::move(constant));
    }
    return choice;
  }

  ElementwiseOp called(Value function) const {
    for (const auto& entry : library_.entries) {
      if (entry.function != function) continue;
      for (int op = 0; op < op_count; ++op) {
        if (op_table[op].name == entry.name) return static_cast<ElementwiseOp>(op);
      }
    }
    throw InternalError("a derivative of ops.def calls something that is no operation");
  }

  const jit::FunctionLibrary& library_;
  const jit::Program& program_;
  Value function_;
  Derivative derivative_;
  std::unordered_map<Value, std::size_t> term_;
};

Derivatives make_derivatives(DType type) {
  jit::FunctionLibrary library = declared_operations(type);
  add_derivatives(library, type);
  Derivatives all;
  for (int op = 0; op < op_count; ++op) {
    for (int input = 0; input < 3; ++input) {
      const Value function =
          function_named(library, fmt::format("d{}_{}", input, op_table[op].name));
      if (function != jit::no_value) all.of[op][input] = Reader(library, function).read();
    }
  }
  return all;
}

const Derivatives& derivatives(DType type) {
  static const Derivatives* of_float32 = new Derivatives(make_derivatives(float32));
  if (type == float32) return *of_float32;
  static const Derivatives* of_float64 = new Derivatives(make_derivatives(float64));
  return *of_float64;
}

/// Builds the product of a cotangent with one derivative.
class Product {
 public:
  Product(Backward& b, const Derivative& derivative, bool masked)
      : b_(b), d_(derivative), built_(derivative.terms.size()), masked_(masked) {}

  /// cotangent * (term), or empty for zero. Recurses over one derivative, a line of text.
  Array times(std::size_t index) {
    const Term& t = d_.terms[index];
    if (t.kind == Term::Kind::constant) {
      const double value = t.value.to_double();
      if (value == 0) return {};
      if (value == 1) return b_.cotangent;
      if (value == -1) return negative(b_.cotangent);
    } else if (t.kind == Term::Kind::operation && t.op == ElementwiseOp::where) {
      return chosen(t);
    } else if (t.kind == Term::Kind::operation && t.op == ElementwiseOp::negative) {
      const Array inner = times(t.from[0]);
      return inner ? negative(inner) : inner;
    } else if (t.kind == Term::Kind::operation && t.op == ElementwiseOp::divide && !masked_ &&
               is_one(d_.terms[t.from[0]])) {
      return b_.cotangent / build(t.from[1]);
    }
    const Array factor = build(index);
    if (is_ones(b_.cotangent)) return factor;
    return masked_ ? multiply_no_nan(factor, b_.cotangent) : b_.cotangent * factor;
  }

 private:
  static bool is_one(const Term& t) {
    return t.kind == Term::Kind::constant && t.value.to_double() == 1;
  }

  static bool is_ones(const Array& x) {
    const auto* value = std::get_if<Scalar>(&x.node()->attributes);
    return x.node()->kind == NodeKind::constant && value->to_double() == 1;
  }

  /// Masks by a choice, never by a product: what was not chosen may be infinite.
  Array chosen(const Term& t) {
    const Array condition = build(t.from[0]);
    if (condition.node()->kind == NodeKind::constant)
      return times(t.from[std::get<Scalar>(condition.node()->attributes).bits != 0 ? 1 : 2]);
    Array yes = times(t.from[1]), no = times(t.from[2]);
    if (yes.node() == nullptr && no.node() == nullptr) return {};
    if (yes.node() == nullptr) yes = b_.zero_like(b_.cotangent);
    if (no.node() == nullptr) no = b_.zero_like(b_.cotangent);
    b_.masks = true;
    return where(condition, yes, no);
  }

  const Array& build(std::size_t index) {
    Array& array = built_[index];
    if (array) return array;
    const Term& t = d_.terms[index];
    switch (t.kind) {
      case Term::Kind::parameter: {
        const auto k = static_cast<std::size_t>(t.parameter);
        array = k < b_.node.inputs.size() ? b_.input(k) : b_.result;
        break;
      }
      case Term::Kind::constant:
        array = constant(t.value, b_.node.shape, b_.node.device, {});
        break;
      case Term::Kind::convert:
        array = cast(build(t.from[0]), t.type, {});
        break;
      case Term::Kind::operation: {
        Array in[3];
        for (std::size_t k = 0; k < t.from.size(); ++k) in[k] = build(t.from[k]);
        array = make_node({.kind = NodeKind::elementwise,
                           .code = static_cast<std::uint8_t>(t.op),
                           .dtype = t.type,
                           .shape = b_.node.shape,
                           .inputs = {in, t.from.size()}});
        break;
      }
    }
    return array;
  }

  Backward& b_;
  const Derivative& d_;
  std::vector<Array> built_;
  bool masked_;
};

}  // namespace

void differentiate_elementwise(Backward& b) {
  const auto op = static_cast<ElementwiseOp>(b.node.code);
  // Its factor may be infinite where the other is zero.
  if (op == ElementwiseOp::multiply_no_nan) b.masks = true;
  const bool masked = b.masked || b.masks;
  for (std::size_t i = 0; i < b.node.inputs.size(); ++i) {
    const Derivative& derivative = derivatives(b.node.dtype).of[b.node.code][i];
    if (!b.wanted[i] || derivative.is_zero()) continue;
    b.cotangents[i] = Product(b, derivative, masked).times(derivative.root);
  }
}

}  // namespace noyau::ops
