// What the parts of the C emitter share: spelled types, literals, helper functions made on demand.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <set>
#include <string>
#include <string_view>

#include "jit/dialect.hpp"

namespace noyau::jit {

/// Spells types, literals and operations of one dialect, and collects the functions that they need.
class CText {
 public:
  explicit CText(const Dialect& dialect) : d_(dialect) {}

  std::string_view type(DType t) const { return d_.types[static_cast<int>(t)]; }
  /// Of a value in memory: a bool is a byte.
  std::string_view stored_type(DType t) const { return type(t == bool_ ? uint8 : t); }
  /// The unsigned type in which integers of type t are computed: of 32 or 64 bits, so that nothing
  /// is promoted and everything wraps.
  static DType wide(DType t) { return size_of(t) == 8 ? uint64 : uint32; }
  std::string literal(DType t, std::uint64_t bits) const;
  std::string cast(DType t, std::string_view x) const {
    return fmt::format("({})({})", type(t), x);
  }
  std::string bitcast(DType to, std::string_view x) const {
    return fmt::format(fmt::runtime(d_.bitcast), type(to), x);
  }

  /// One arithmetic instruction or comparison on operands of type t. `known` are the bits of the
  /// last operand when it is a constant; it is not negative and at most `most` when that is not.
  std::string arithmetic(Opcode op, DType t, const std::string* x, const std::uint64_t* known,
                         std::int64_t most = -1);
  std::string convert(DType from, DType to, const std::string& x);

  /// An atomic on element `pointer` of the address space; value and expected may be empty.
  std::string atomic(AtomicOp op, DType t, bool shared, const std::string& pointer,
                     const std::string& value, const std::string& expected);
  /// A call that reports a fault: `word` is the kernel's argument.
  std::string fault(std::string_view word, std::string_view code, std::string_view detail);
  /// The gang's lane exchange; `threads` is the size of the block.
  std::string shuffle(ShuffleMode mode, DType t, std::int64_t threads, const std::string& thread,
                      const std::string& value, const std::string& lane);
  std::string vote(VoteMode mode, std::int64_t threads, const std::string& thread,
                   const std::string& condition);

  bool uses_float64() const { return float64_; }
  bool uses_int64_atomics() const { return int64_atomics_; }
  void note(DType t) { float64_ |= t == float64; }
  const std::string& functions() const { return functions_; }

 private:
  std::string float_arithmetic(Opcode op, DType t, const std::string* x);
  std::string integer_arithmetic(Opcode op, DType t, const std::string* x,
                                 const std::uint64_t* known, std::int64_t most);
  std::string float_extremum(bool smallest, DType t, const std::string* x);
  std::string divide(Opcode op, DType t, const std::string* x, const std::uint64_t* known);
  std::string shift(Opcode op, DType t, const std::string* x, const std::uint64_t* known,
                    std::int64_t most);
  std::string native_atomic(AtomicOp op, DType t, bool shared, const std::string& pointer,
                            const std::string& value, const std::string& expected);
  std::string atomic_loop(AtomicOp op, DType t, bool shared, const std::string& pointer,
                          const std::string& value);
  /// The lanes of the gang as a mask.
  std::string gang_mask(std::int64_t threads, const std::string& thread);
  /// Defines a function once and returns its name: "noyau_" + name.
  std::string function(const std::string& name, DType result, std::string_view parameters,
                       std::string_view body);

  const Dialect& d_;
  std::set<std::string> defined_;
  std::string functions_;
  bool float64_ = false, int64_atomics_ = false;
};

/// "i32", "f64"...: what a dtype is called in names.
std::string short_name(DType t);

}  // namespace noyau::jit
