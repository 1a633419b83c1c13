// Spelling values: literals, arithmetic that wraps and is total, conversions that saturate,
// atomics.
// SPDX-License-Identifier: Apache-2.0
#include "jit/emit_c_text.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

std::string_view c_operator(Opcode op) {
  switch (op) {
    case Opcode::add:
      return "+";
    case Opcode::subtract:
      return "-";
    case Opcode::multiply:
      return "*";
    case Opcode::divide:
      return "/";
    case Opcode::remainder:
      return "%";
    case Opcode::bit_and:
      return "&";
    case Opcode::bit_or:
      return "|";
    case Opcode::bit_xor:
      return "^";
    case Opcode::equal:
      return "==";
    case Opcode::not_equal:
      return "!=";
    case Opcode::less:
      return "<";
    case Opcode::less_equal:
      return "<=";
    case Opcode::greater:
      return ">";
    case Opcode::greater_equal:
      return ">=";
    default:
      throw InternalError(fmt::format("emit_c: {} has no operator", name(op)));
  }
}

DType unsigned_of(DType t) { return size_of(t) == 8 ? uint64 : uint32; }
int bits_of(DType t) { return static_cast<int>(8 * size_of(t)); }

std::uint64_t smallest_bits(DType t) {
  return is_unsigned_integer(t) ? 0 : std::uint64_t{1} << (bits_of(t) - 1);
}
std::uint64_t largest_bits(DType t) {
  return ~std::uint64_t{0} >> (64 - bits_of(t) + (is_unsigned_integer(t) ? 0 : 1));
}

}  // namespace

std::string short_name(DType t) {
  static constexpr std::string_view names[dtype_count] = {
      "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "f16", "bf16"};
  return std::string(names[static_cast<int>(t)]);
}

std::string CText::function(const std::string& name, DType result, std::string_view parameters,
                            std::string_view body) {
  const std::string whole = "noyau_" + name;
  if (defined_.insert(whole).second) {
    functions_ +=
        fmt::format("{} {} {}({}) {{\n{}}}\n", d_.function, type(result), whole, parameters, body);
  }
  return whole;
}

std::string CText::literal(DType t, std::uint64_t bits) const {
  if (t == bool_) return bits != 0 ? "true" : "false";
  if (t == float32) {
    float value = 0;
    const auto low = static_cast<std::uint32_t>(bits);
    std::memcpy(&value, &low, 4);
    if (!std::isfinite(value)) return bitcast(t, literal(uint32, low));
    return std::signbit(value) ? fmt::format("({:a}f)", value) : fmt::format("{:a}f", value);
  }
  if (t == float64) {
    double value = 0;
    std::memcpy(&value, &bits, 8);
    if (!std::isfinite(value)) return bitcast(t, literal(uint64, bits));
    return std::signbit(value) ? fmt::format("({:a})", value) : fmt::format("{:a}", value);
  }
  const Scalar scalar{t, bits};
  if (t == uint64) return fmt::format("{}{}", bits, d_.uint64_suffix);
  if (t == uint32) return fmt::format("{}u", bits);
  if (is_unsigned_integer(t)) return fmt::format("({}){}", type(t), bits);
  const std::int64_t value = scalar.to_int64();
  const std::string_view suffix = t == int64 ? d_.int64_suffix : "";
  std::string text = fmt::format("{}{}", value, suffix);
  if (value < 0) text = fmt::format("({})", text);
  // The smallest one is no literal: C negates one that is too large.
  if (t >= int32 && bits == smallest_bits(t)) {
    text = fmt::format("({}{} - 1)", value + 1, suffix);
  }
  return t == int8 || t == int16 ? fmt::format("({}){}", type(t), text) : text;
}

std::string CText::arithmetic(Opcode op, DType t, const std::string* x, const std::uint64_t* known,
                              std::int64_t most) {
  note(t);
  if (is_comparison(op)) return fmt::format("{} {} {}", x[0], c_operator(op), x[1]);
  if (t == bool_) {
    if (op == Opcode::bit_not) return "!" + x[0];
    if (op == Opcode::bit_xor) return fmt::format("{} != {}", x[0], x[1]);
    return fmt::format("{} {} {}", x[0], op == Opcode::bit_and ? "&&" : "||", x[1]);
  }
  return is_floating(t) ? float_arithmetic(op, t, x) : integer_arithmetic(op, t, x, known, most);
}

std::string CText::float_arithmetic(Opcode op, DType t, const std::string* x) {
  const std::size_t wide = t == float64 ? 1 : 0;
  const auto one = [&](const std::string_view* names) {
    return fmt::format("{}({})", names[wide], x[0]);
  };
  switch (op) {
    case Opcode::negate:
      return "-" + x[0];
    case Opcode::absolute:
      return one(d_.absolute);
    case Opcode::sqrt:
      return one(d_.sqrt);
    case Opcode::floor:
      return one(d_.floor);
    case Opcode::ceil:
      return one(d_.ceil);
    case Opcode::trunc:
      return one(d_.trunc);
    case Opcode::rint:
      return one(d_.rint);
    case Opcode::fma:
      return fmt::format("{}({}, {}, {})", d_.fma[wide], x[0], x[1], x[2]);
    case Opcode::remainder:
      return fmt::format("{}({}, {})", d_.remainder[wide], x[0], x[1]);
    case Opcode::minimum:
    case Opcode::maximum:
      return float_extremum(op == Opcode::minimum, t, x);
    default:
      return fmt::format("{} {} {}", x[0], c_operator(op), x[1]);
  }
}

/// NaN when one is NaN; -0 is below +0: of equal numbers the bits are or-ed, or and-ed. Without
/// branches: no part of it is worth one.
std::string CText::float_extremum(bool smallest, DType t, const std::string* x) {
  const DType u = unsigned_of(t);
  const std::string equal =
      bitcast(t, fmt::format("{} {} {}", bitcast(u, "a"), smallest ? "|" : "&", bitcast(u, "b")));
  const std::string name =
      function(fmt::format("{}_{}", smallest ? "minimum" : "maximum", short_name(t)), t,
               fmt::format("const {0} a, const {0} b", type(t)),
               fmt::format("  const {0} further = a {1} b ? a : b, equal = {2}, sum = a + b;\n"
                           "  const {0} best = a == b ? equal : further;\n"
                           "  return (a != a) | (b != b) ? sum : best;\n",
                           type(t), smallest ? "<" : ">", equal));
  return fmt::format("{}({}, {})", name, x[0], x[1]);
}

std::string CText::integer_arithmetic(Opcode op, DType t, const std::string* x,
                                      const std::uint64_t* known, std::int64_t most) {
  const DType u = wide(t);
  // Exact in the wide unsigned type and cut off after it.
  const auto wrapped = [&](const std::string& text) {
    return t == u ? text : fmt::format("({})({})", type(t), text);
  };
  const auto widened = [&](const std::string& v) {
    return t == u ? v : fmt::format("({}){}", type(u), v);
  };
  switch (op) {
    case Opcode::add:
    case Opcode::subtract:
    case Opcode::multiply:
      return wrapped(fmt::format("{} {} {}", widened(x[0]), c_operator(op), widened(x[1])));
    case Opcode::negate:
      return wrapped(fmt::format("{} - {}", literal(u, 0), widened(x[0])));
    case Opcode::absolute:
      if (is_unsigned_integer(t)) return x[0];
      return fmt::format("{} < 0 ? {} : {}", x[0],
                         wrapped(fmt::format("{} - {}", literal(u, 0), widened(x[0]))), x[0]);
    case Opcode::minimum:
      return fmt::format("{0} < {1} ? {0} : {1}", x[0], x[1]);
    case Opcode::maximum:
      return fmt::format("{0} < {1} ? {1} : {0}", x[0], x[1]);
    case Opcode::bit_and:
    case Opcode::bit_or:
    case Opcode::bit_xor: {
      const std::string text = fmt::format("{} {} {}", x[0], c_operator(op), x[1]);
      return size_of(t) < 4 ? fmt::format("({})({})", type(t), text) : text;
    }
    case Opcode::bit_not:
      return fmt::format("({})~{}", type(t), x[0]);
    case Opcode::divide:
    case Opcode::remainder:
      return divide(op, t, x, known);
    case Opcode::shift_left:
    case Opcode::shift_right:
      return shift(op, t, x, known, most);
    default:
      throw InternalError(fmt::format("emit_c: {} of {}", noyau::jit::name(op), noyau::name(t)));
  }
}

/// x / 0 = 0, x % 0 = 0, and the smallest by -1 wraps.
std::string CText::divide(Opcode op, DType t, const std::string* x, const std::uint64_t* known) {
  const std::uint64_t minus_one = largest_bits(is_signed_integer(t) ? t : uint64) * 2 + 1;
  if (known && *known != 0 && (is_unsigned_integer(t) || *known != minus_one)) {
    return fmt::format("({})({} {} {})", type(t), x[0], c_operator(op), x[1]);
  }
  const bool quotient = op == Opcode::divide;
  const std::string a = "a";
  std::string body = "  if (b == 0) return 0;\n";
  if (is_signed_integer(t)) {
    const std::string negated =
        quotient ? integer_arithmetic(Opcode::negate, t, &a, nullptr, -1) : std::string("0");
    body += fmt::format("  if (b == -1) return {};\n", negated);
  }
  body += fmt::format("  return ({})(a {} b);\n", type(t), c_operator(op));
  const std::string name =
      function(fmt::format("{}_{}", quotient ? "divide" : "remainder", short_name(t)), t,
               fmt::format("const {0} a, const {0} b", type(t)), body);
  return fmt::format("{}({}, {})", name, x[0], x[1]);
}

/// By the width or more, or by a negative count: 0, or the sign.
std::string CText::shift(Opcode op, DType t, const std::string* x, const std::uint64_t* known,
                         std::int64_t most) {
  const bool left = op == Opcode::shift_left;
  const std::string shifted = left ? fmt::format("({})(({})a << n)", type(t), type(wide(t)))
                                   : fmt::format("({})(a >> n)", type(t));
  const bool fits =
      known ? *known < static_cast<std::uint64_t>(bits_of(t)) : most >= 0 && most < bits_of(t);
  if (fits) {
    const std::string n = known ? std::to_string(*known) : x[1];
    return left ? fmt::format("({})(({}){} << {})", type(t), type(wide(t)), x[0], n)
                : fmt::format("({})({} >> {})", type(t), x[0], n);
  }
  const std::string beyond = left || is_unsigned_integer(t) ? "0" : "a < 0 ? -1 : 0";
  const std::string body = fmt::format("  return ({}) ({}) >= {} ? ({})({}) : {};\n", type(wide(t)),
                                       "n", bits_of(t), type(t), beyond, shifted);
  const std::string name = function(fmt::format("{}_{}", noyau::jit::name(op), short_name(t)), t,
                                    fmt::format("const {0} a, const {0} n", type(t)), body);
  return fmt::format("{}({}, {})", name, x[0], x[1]);
}

std::string CText::convert(DType from, DType to, const std::string& x) {
  note(from);
  note(to);
  if (from == to) return x;
  if (to == bool_) return fmt::format("{} != {}", x, literal(from, 0));
  if (!is_floating(from) || is_floating(to)) return cast(to, x);
  // Truncates and saturates; both ends are powers of two, or 0.
  const double low = is_unsigned_integer(to) ? 0.0 : -std::ldexp(1.0, bits_of(to) - 1);
  const double high = std::ldexp(1.0, bits_of(to) - (is_unsigned_integer(to) ? 0 : 1));
  const auto bound = [&](double value) {
    const Scalar s = Scalar::of(value).as(from);
    return literal(from, s.bits);
  };
  const std::string body = fmt::format(
      "  if (x != x) return 0;\n  return x <= {} ? {} : x >= {} ? {} : ({})x;\n", bound(low),
      literal(to, smallest_bits(to)), bound(high), literal(to, largest_bits(to)), type(to));
  const std::string name = function(fmt::format("{}_of_{}", short_name(to), short_name(from)), to,
                                    fmt::format("const {} x", type(from)), body);
  return fmt::format("{}({})", name, x);
}

// ---- atomics

std::string CText::native_atomic(AtomicOp op, DType t, bool shared, const std::string& pointer,
                                 const std::string& value, const std::string& expected) {
  const bool wide = size_of(t) == 8;
  int64_atomics_ |= wide;
  const std::string_view called = d_.atomics[wide ? 1 : 0][static_cast<int>(op)];
  const bool ordered =
      op == AtomicOp::minimum || op == AtomicOp::maximum || (op == AtomicOp::add && is_floating(t));
  const DType as = ordered ? t : unsigned_of(t);  // the others work on bits
  const auto argument = [&](const std::string& v) {
    if (as == t) return v;
    return is_floating(t) ? bitcast(as, v) : cast(as, v);
  };
  std::string text =
      fmt::format("{}(({}{}*)({})", called, shared ? d_.local : d_.global, type(as), pointer);
  if (op == AtomicOp::compare_exchange) text += ", " + argument(expected);
  text += fmt::format(", {})", argument(value));
  if (as == t) return text;
  return is_floating(t) ? bitcast(t, text) : cast(t, text);
}

/// Compares and exchanges until nobody was in between.
std::string CText::atomic_loop(AtomicOp op, DType t, bool shared, const std::string& pointer,
                               const std::string& value) {
  const DType u = unsigned_of(t);
  const std::string arguments[] = {bitcast(t, "old"), "value"};
  const Opcode meaning = op == AtomicOp::add       ? Opcode::add
                         : op == AtomicOp::minimum ? Opcode::minimum
                                                   : Opcode::maximum;
  const std::string_view space = shared ? d_.local : d_.global;
  const std::string exchanged =
      native_atomic(AtomicOp::compare_exchange, u, shared, "pointer", "wanted", "old");
  const std::string next = bitcast(u, arithmetic(meaning, t, arguments, nullptr));
  const std::string start =
      native_atomic(AtomicOp::bit_or, u, shared, "pointer", literal(u, 0), {});
  const std::string body = fmt::format(
      "  {0} old = {1};\n  for (;;) {{\n    const {0} wanted = {2};\n    const {0} seen = {3};\n"
      "    if (seen == old) break;\n    old = seen;\n  }}\n  return {4};\n",
      type(u), start, next, exchanged, bitcast(t, "old"));
  const std::string name = function(
      fmt::format("atomic_{}_{}{}", noyau::jit::name(op), short_name(t), shared ? "_shared" : ""),
      t, fmt::format("{}{}* pointer, const {} value", space, type(t), type(t)), body);
  return fmt::format("{}({}, {})", name, pointer, value);
}

std::string CText::atomic(AtomicOp op, DType t, bool shared, const std::string& pointer,
                          const std::string& value, const std::string& expected) {
  note(t);
  if (op == AtomicOp::load) {
    return native_atomic(AtomicOp::bit_or, t, shared, pointer, literal(t, 0), {});
  }
  if (op == AtomicOp::store) op = AtomicOp::exchange;
  const bool loop =
      is_floating(t) && op <= AtomicOp::maximum && !(op == AtomicOp::add && d_.atomic_float_add);
  return loop ? atomic_loop(op, t, shared, pointer, value)
              : native_atomic(op, t, shared, pointer, value, expected);
}

std::string CText::fault(std::string_view word, std::string_view code, std::string_view detail) {
  const std::string body = fmt::format(
      "  if ({} == 0) word[1] = detail;\n  return 0;\n",
      native_atomic(AtomicOp::compare_exchange, int32, false, "word", "code", literal(int32, 0)));
  const std::string name = function("fault", int32,
                                    fmt::format("{}{}* word, const {} code, const {} detail",
                                                d_.global, type(int64), type(int32), type(int64)),
                                    body);
  return fmt::format("{}({}, {}, {})", name, word, code, detail);
}

// ---- lanes

std::string CText::gang_mask(std::int64_t threads, const std::string& thread) {
  if (threads % 32 == 0) return "0xffffffffu";
  return fmt::format("({} < {} ? 0xffffffffu : 0x{:x}u)", thread, threads / 32 * 32,
                     (1u << (threads % 32)) - 1);
}

std::string CText::shuffle(ShuffleMode mode, DType t, std::int64_t threads,
                           const std::string& thread, const std::string& value,
                           const std::string& lane) {
  static constexpr std::string_view from[] = {"n", "self ^ n", "self + n", "self - n"};
  const std::string body = fmt::format(
      "  const {0} self = thread & 31;\n  const {0} lanes = {1} - (thread - self);\n"
      "  const {0} from = {2};\n"
      "  return (int)(from < 0 || from >= 32 || from >= lanes ? self : from);\n",
      type(int64), threads, from[static_cast<int>(mode)]);
  const std::string lane_of =
      function(fmt::format("lane_{}", noyau::jit::name(mode)), int32,
               fmt::format("const {0} thread, const {0} n", type(int64)), body);
  const bool small = size_of(t) < 4;
  const std::string exchanged = fmt::format(fmt::runtime(d_.shuffle), gang_mask(threads, thread),
                                            small ? cast(int32, value) : value,
                                            fmt::format("{}({}, {})", lane_of, thread, lane));
  return small ? cast(t, exchanged) : exchanged;
}

std::string CText::vote(VoteMode mode, std::int64_t threads, const std::string& thread,
                        const std::string& condition) {
  return fmt::format("{} != 0", fmt::format(fmt::runtime(d_.vote[static_cast<int>(mode)]),
                                            gang_mask(threads, thread), condition));
}

}  // namespace noyau::jit
