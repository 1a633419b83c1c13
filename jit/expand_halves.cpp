// float16 and bfloat16 as the integers that hold them: a pass, so that no backend knows halves.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "jit/inline.hpp"
#include "jit/legalise.hpp"
#include "jit/rewriter.hpp"
#include "jit/simplify.hpp"
#include "jit/snippet.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

// Integer operations, so that all backends give the same bits and none flushes a subnormal half.
// Narrowing rounds to the nearest, ties to even; a carry out of the fraction is one into the
// exponent, up to infinity. What has more digits than a float is first rounded to odd: cut off, the
// last digit set when anything was lost, which no later rounding can mistake for a tie (Boldo and
// Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
constexpr std::string_view source = R"(
float float16_to_float(ushort h) {
  uint bits = (uint)h;
  uint size = bits & 0x7fffu;
  uint normal = (size << 13) + 0x38000000u;
  uint special = normal + 0x38000000u;
  uint subnormal = as_uint(as_float(size | 0x3f000000u) - 0.5f);
  uint wide = size < 0x400u ? subnormal : size >= 0x7c00u ? special : normal;
  return as_float((bits & 0x8000u) << 16 | wide);
}
ushort float_to_float16(float x) {
  uint bits = as_uint(x);
  uint size = bits & 0x7fffffffu;
  uint normal = (size + (size >> 13 & 1u) - 0x37fff001u) >> 13;
  uint subnormal = as_uint(as_float(size) + 0.5f) - 0x3f000000u;
  uint number = size < 0x38800000u ? subnormal : min(normal, 0x7c00u);
  return (ushort)(bits >> 16 & 0x8000u | (size > 0x7f800000u ? 0x7e00u : number));
}
float bfloat16_to_float(ushort h) { return as_float((uint)h << 16); }
ushort float_to_bfloat16(float x) {
  uint bits = as_uint(x);
  uint number = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  uint nan = bits >> 16 | 0x40u;
  return (ushort)((bits & 0x7fffffffu) > 0x7f800000u ? nan : number);
}
template <typename T> float to_odd(T x) {
  float nearest = (float)x;
  T back = (T)nearest;
  bool beyond = x < (T)0 ? back < x : back > x;
  uint bits = as_uint(nearest);
  uint cut = beyond ? bits - 1u : bits;
  return back == x ? nearest : as_float(cut | 1u);
}
)";

const FunctionLibrary& library() {
  static const FunctionLibrary& made = *[] {
    static constexpr DType wide_types[] = {float64, int32, uint32, int64, uint64};
    auto* functions = new FunctionLibrary;
    parse_functions(source, *functions, "halves", wide_types);
    return functions;
  }();
  return made;
}

class HalfExpansion : Rewriter {
 public:
  HalfExpansion(const Program& program, bool native_float16)
      : Rewriter(program), native_float16_(native_float16) {
    for (MemoryObject& m : made_.memory) m.dtype = stored(m.dtype);
    for (Parameter& p : made_.parameters) p.dtype = stored(p.dtype);
  }

  Program run() {
    for (Value v = 0; v < source_.size(); ++v) {
      close_regions(v);
      copies_.push_back(rewritten(source_[v]));
    }
    close_regions(source_.size());
    return std::move(made_);
  }

 private:
  static DType stored(DType type) { return is_half(type) ? uint16 : type; }

  DType operand_type(const Instruction& i) const { return source_[source_.operands_of(i)[0]].type; }
  Value operand(const Instruction& i) const {
    return copies_[static_cast<std::size_t>(source_.operands_of(i)[0])];
  }

  Value rewritten(const Instruction& i) {
    if (i.op == Opcode::convert && (is_half(i.type) || is_half(operand_type(i)))) {
      return converted(operand(i), operand_type(i), i.type);
    }
    if (i.op == Opcode::bitcast && stored(i.type) == stored(operand_type(i))) return operand(i);
    if (i.op == Opcode::print) return printed(i);
    Instruction copy = i;
    copy.type = stored(i.type);
    return copied(copy, copies_);
  }

  Value converted(Value v, DType from, DType to) {
    if (from == to) return v;
    if (is_half(from)) {
      if (native_float16_ && from == float16) {
        v = emit(Opcode::convert, float32, {emit(Opcode::bitcast, float16, {v})});
      } else {
        v = call(fmt::format("{}_to_float", name(from)), uint16, v);
      }
      return to == float32 ? v : converted(v, float32, to);
    }
    if (!is_half(to)) return emit(Opcode::convert, to, {v});
    if (size_of(from) <= 2) v = emit(Opcode::convert, float32, {v});
    else if (from != float32) v = call("to_odd", from, v);
    if (native_float16_ && to == float16) {
      return emit(Opcode::bitcast, uint16, {emit(Opcode::convert, float16, {v})});
    }
    return call(fmt::format("float_to_{}", name(to)), float32, v);
  }

  Value printed(const Instruction& i) {
    std::vector<Value> operands;
    for (const Value v : source_.operands_of(i)) {
      const Value copy = copies_[static_cast<std::size_t>(v)];
      const DType type = source_[v].type;
      operands.push_back(is_half(type) ? converted(copy, type, float32) : copy);
    }
    return emit(i, operands);
  }

  /// Copies the body of a function of the library, which is straight code.
  Value call(std::string_view function, DType parameter, Value argument) {
    const FunctionLibrary::Entry* entry = library().find(function, {&parameter, 1});
    if (entry == nullptr) throw InternalError(fmt::format("no function {} of halves", function));
    const Program& p = library().program;
    std::vector<Value> copies{argument};
    for (Value v = entry->function + 2;; ++v) {
      std::vector<Value> operands;
      for (const Value o : p.operands_of(p[v])) {
        operands.push_back(copies[static_cast<std::size_t>(o - entry->function - 1)]);
      }
      if (p[v].op == Opcode::return_) return operands[0];
      copies.push_back(emit(p[v], operands));
    }
  }

  const bool native_float16_;
  std::vector<Value> copies_;
};

bool has_halves(const Program& program) {
  const auto half = [](const auto& thing) { return is_half(thing.dtype); };
  return std::ranges::any_of(program.memory, half) ||
         std::ranges::any_of(program.parameters, half) ||
         std::ranges::any_of(program.instructions,
                             [](const Instruction& i) { return is_half(i.type); });
}

}  // namespace

Program expand_halves(const Program& program, bool native_float16) {
  return has_halves(program) ? HalfExpansion(program, native_float16).run() : program;
}

Program flatten(const Program& program, bool native_float16) {
  Program flat = inline_calls(program);
  return has_halves(flat) ? simplify(HalfExpansion(flat, native_float16).run()) : flat;
}

}  // namespace noyau::jit
