// What passes that copy a Program with changes share: making instructions, closing regions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "jit/program.hpp"

namespace noyau::jit {

/// Makes a new Program beside the source; without checks: verify the result.
class Rewriter {
 protected:
  explicit Rewriter(const Program& source) : source_(source), made_(source) {
    made_.instructions.clear();
    made_.operands.clear();
  }

  Value emit(Instruction i, std::span<const Value> operands) {
    i.operands = static_cast<std::int32_t>(made_.operands.size());
    i.operand_count = static_cast<std::int32_t>(operands.size());
    made_.operands.insert(made_.operands.end(), operands.begin(), operands.end());
    made_.instructions.push_back(i);
    return made_.size() - 1;
  }
  Value emit(Opcode op, DType type, std::initializer_list<Value> operands,
             std::int64_t immediate = 0) {
    Instruction i;
    i.op = op;
    i.type = type;
    i.immediate = immediate;
    return emit(i, std::span(operands.begin(), operands.size()));
  }
  /// The same instruction, given the new value of each earlier one; opens its region.
  Value copied(const Instruction& from, std::span<const Value> copies) {
    Instruction copy = from;
    std::vector<Value> operands;
    for (const Value v : source_.operands_of(from)) {
      operands.push_back(copies[static_cast<std::size_t>(v)]);
    }
    if (from.op == Opcode::call) copy.immediate = copies[static_cast<std::size_t>(from.immediate)];
    const Value made = emit(copy, operands);
    if (from.end != 0) open_until(made, from.end);
    return made;
  }
  Value number(std::int64_t n) { return emit(Opcode::constant, int64, {}, n); }
  /// Of int64.
  Value binary(Opcode op, Value a, Value b) {
    return emit(op, is_comparison(op) ? bool_ : int64, {a, b});
  }
  void close(Value opening) {
    made_.instructions[static_cast<std::size_t>(opening)].end = made_.size();
  }

  /// Where the copy of the region of `opening` ends, once the source is read up to `end`.
  void open_until(Value opening, Value end) { open_.emplace_back(opening, end); }
  void close_regions(Value at) {
    while (!open_.empty() && open_.back().second <= at) {
      close(open_.back().first);
      open_.pop_back();
    }
  }

  const Program& source_;
  Program made_;

 private:
  std::vector<std::pair<Value, Value>> open_;  ///< new opening, old end
};

}  // namespace noyau::jit
