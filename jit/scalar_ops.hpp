// The meaning of each arithmetic instruction on single values: what the interpreter computes and
// constants fold to.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "jit/program.hpp"

namespace noyau::jit {

/// The bits of the value of `op`, total and exact as jit/program.hpp says. `type` is the result's;
/// `operand_type` that of the last operand, which differs for comparisons, convert and bitcast.
/// Operands and result hold their representation in the low size_of bytes, zero above.
/// InternalError for an opcode that is no arithmetic, comparison, select, convert or bitcast.
std::uint64_t evaluate(Opcode op, DType type, DType operand_type,
                       std::span<const std::uint64_t> operands);

/// True for the opcodes that evaluate knows.
constexpr bool can_evaluate(Opcode op) { return op >= Opcode::add && op <= Opcode::bitcast; }

/// What an atomic leaves in memory: of load the old value, of store and exchange the new one.
std::uint64_t evaluate(AtomicOp op, DType type, std::uint64_t old, std::uint64_t value,
                       std::uint64_t expected);

}  // namespace noyau::jit
