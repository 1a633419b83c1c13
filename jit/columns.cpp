// Which programs read memory across the axis along which their items lie.
// SPDX-License-Identifier: Apache-2.0
#include "jit/columns.hpp"

#include <optional>
#include <vector>

namespace noyau::jit {
namespace {

/// By how much a value grows along an axis of the items, where that is a constant.
using Step = std::optional<std::int64_t>;

Step step_of(const Program& p, Value v, int axis, const std::vector<Step>& steps) {
  const Instruction& i = p[v];
  const auto operands = p.operands_of(i);
  const auto of = [&](std::size_t k) { return steps[static_cast<std::size_t>(operands[k])]; };
  if (i.op == Opcode::item) return i.immediate == axis ? 1 : 0;
  bool constant = i.op != Opcode::load || !p.memory[static_cast<std::size_t>(i.immediate)].written;
  bool known = true;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    known = known && of(k);
    constant = constant && of(k) == Step(0);
  }
  if (constant) return 0;
  if (!known || i.type != int64) return std::nullopt;
  if (i.op != Opcode::add && i.op != Opcode::subtract) return std::nullopt;
  const auto a = static_cast<std::uint64_t>(*of(0)), b = static_cast<std::uint64_t>(*of(1));
  return static_cast<std::int64_t>(i.op == Opcode::add ? a + b : a - b);
}

}  // namespace

bool reads_columns(const Program& p) {
  if (p.domain != Domain::items || !is_straight(p)) return false;
  std::vector<Step> along[2];
  for (int axis = 0; axis < 2; ++axis) {
    for (Value v = 0; v < p.size(); ++v) {
      along[axis].push_back(step_of(p, v, axis, along[axis]));
    }
  }
  for (const Instruction& i : p.instructions) {
    if (i.op != Opcode::load) continue;
    const auto at = static_cast<std::size_t>(p.operands_of(i)[0]);
    const Step across = along[0][at], down = along[1][at];
    const bool near = across && *across >= -2 && *across <= 2;
    if (!near && down == Step(1)) return true;
  }
  return false;
}

}  // namespace noyau::jit
