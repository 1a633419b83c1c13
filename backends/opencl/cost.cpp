// How much a launch has to do, from the program and its parameters.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/cost.hpp"

#include <algorithm>
#include <vector>

#include "jit/scalar_ops.hpp"

namespace noyau::opencl {
namespace {

using jit::Instruction;
using jit::Opcode;
using jit::Value;

constexpr double unknown_rounds = 8;

class Count {
 public:
  Count(const jit::Program& program, std::span<const std::uint64_t> parameters)
      : p_(program), parameters_(parameters), bits_(static_cast<std::size_t>(program.size()), 0) {}

  double run() {
    double cost = 0, factor = 1;
    for (Value v = p_.entry(); v < p_.size(); ++v) {
      while (!open_.empty() && open_.back().end <= v) {
        factor = open_.back().factor;
        open_.pop_back();
      }
      const Instruction& i = p_[v];
      if (i.op == Opcode::loop) open_.push_back({v, i.end, factor});
      if (i.op == Opcode::while_ && !open_.empty()) factor *= rounds(open_.back().loop, i);
      bits_[static_cast<std::size_t>(v)] = first_value(v);
      cost += factor;
    }
    return cost;
  }

 private:
  std::int64_t number(Value v) const {
    return static_cast<std::int64_t>(bits_[static_cast<std::size_t>(v)]);
  }

  /// As the first item computes it; what comes from memory counts as 0.
  std::uint64_t first_value(Value v) const {
    const Instruction& i = p_[v];
    const auto operands = p_.operands_of(i);
    if (i.op == Opcode::constant) return static_cast<std::uint64_t>(i.immediate);
    if (i.op == Opcode::parameter) return parameters_[static_cast<std::size_t>(i.immediate)];
    if (i.op == Opcode::loop_param) {
      const Value loop = v - 1 - static_cast<Value>(i.immediate);
      return bits_[static_cast<std::size_t>(
          p_.operands_of(p_[loop])[static_cast<std::size_t>(i.immediate)])];
    }
    if (!jit::can_evaluate(i.op) || is_floating(i.type)) return 0;
    std::uint64_t values[3] = {};
    for (std::size_t k = 0; k < operands.size(); ++k) {
      if (is_floating(p_[operands[k]].type)) return 0;
      values[k] = bits_[static_cast<std::size_t>(operands[k])];
    }
    return jit::evaluate(i.op, i.type, p_[operands.back()].type,
                         std::span(values).first(operands.size()));
  }

  /// Of loops that count up to a bound.
  double rounds(Value loop, const Instruction& while_) const {
    const Instruction& condition = p_[p_.operands_of(while_)[0]];
    if (condition.op != Opcode::less) return unknown_rounds;
    const auto compared = p_.operands_of(condition);
    const Instruction& counter = p_[compared[0]];
    if (counter.op != Opcode::loop_param || counter.type != int64 ||
        compared[0] - 1 - static_cast<Value>(counter.immediate) != loop) {
      return unknown_rounds;
    }
    const Instruction& yield = p_[p_[loop].end - 1];
    const Instruction& next =
        p_[p_.operands_of(yield)[static_cast<std::size_t>(counter.immediate)]];
    if (next.op != Opcode::add || p_.operands_of(next)[0] != compared[0]) return unknown_rounds;
    const Instruction& added = p_[p_.operands_of(next)[1]];
    std::int64_t step = 0;
    if (added.op == Opcode::constant) step = added.immediate;
    if (added.op == Opcode::parameter) {
      step = static_cast<std::int64_t>(parameters_[static_cast<std::size_t>(added.immediate)]);
    }
    if (step <= 0) return unknown_rounds;
    const double length =
        static_cast<double>(number(compared[1])) - static_cast<double>(number(compared[0]));
    return std::max(0.0, length / static_cast<double>(step));
  }

  struct Open {
    Value loop, end;
    double factor;  ///< outside of it
  };
  const jit::Program& p_;
  const std::span<const std::uint64_t> parameters_;
  std::vector<std::uint64_t> bits_;
  std::vector<Open> open_;
};

}  // namespace

double cost_of_item(const jit::Program& program, std::span<const std::uint64_t> parameters) {
  return Count(program, parameters).run();
}

}  // namespace noyau::opencl
