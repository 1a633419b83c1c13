// Copies function bodies into their callers, one frame of a stack for each call being copied.
// SPDX-License-Identifier: Apache-2.0
#include "jit/inline.hpp"

#include <utility>

#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

/// A function's body (or the entry) on its way into the new program.
struct Frame {
  Value base = 0;                  ///< the first instruction copied: the func, or the entry's first
  Value next = 0;                  ///< the instruction to copy now
  Value call = no_value;           ///< the caller's call instruction
  std::vector<Value> arguments{};  ///< in the new program
  std::vector<Value> copies{};     ///< from base: the new value, or for a call its number below
  std::vector<std::vector<Value>> results{};            ///< of the calls made from here
  std::vector<std::pair<Value, Value>> open_regions{};  ///< new opening, old end
};

class Inliner {
 public:
  explicit Inliner(const Program& source) : source_(source) {
    made_.name = source.name;
    made_.domain = source.domain;
    for (int axis = 0; axis < 3; ++axis) made_.block_size[axis] = source.block_size[axis];
    made_.memory = source.memory;
    made_.parameters = source.parameters;
    made_.formats = source.formats;
  }

  Program run() {
    enter(source_.entry(), source_.size(), no_value, {});
    while (!stack_.empty()) {
      Frame& frame = stack_.back();
      close_regions(frame);
      if (frame.next == source_.size()) {  // only the entry gets here: functions end by return
        stack_.pop_back();
      } else {
        step(frame);
      }
    }
    return std::move(made_);
  }

 private:
  void enter(Value base, Value end, Value call, std::vector<Value> arguments) {
    Frame frame;
    frame.base = base;
    frame.next = call == no_value ? base : base + 1;
    frame.call = call;
    frame.arguments = std::move(arguments);
    frame.copies.assign(static_cast<std::size_t>(end - base), no_value);
    stack_.push_back(std::move(frame));
  }

  void close_regions(Frame& frame) {
    while (!frame.open_regions.empty() && frame.open_regions.back().second == frame.next) {
      made_.instructions[static_cast<std::size_t>(frame.open_regions.back().first)].end =
          made_.size();
      frame.open_regions.pop_back();
    }
  }

  static Value& copy_of(Frame& frame, Value v) {
    return frame.copies[static_cast<std::size_t>(v - frame.base)];
  }
  std::vector<Value> copied_operands(Frame& frame, const Instruction& i) {
    std::vector<Value> values;
    for (Value v : source_.operands_of(i)) values.push_back(copy_of(frame, v));
    return values;
  }

  void step(Frame& frame) {
    const Value at = frame.next++;
    const Instruction& i = source_[at];
    switch (i.op) {
      case Opcode::func_param:
        copy_of(frame, at) = frame.arguments[static_cast<std::size_t>(i.immediate)];
        return;
      case Opcode::call: {
        const auto callee = static_cast<Value>(i.immediate);
        enter(callee, source_[callee].end, at, copied_operands(frame, i));
        return;
      }
      case Opcode::return_: {
        std::vector<Value> results = copied_operands(frame, i);
        const Value call = frame.call;
        stack_.pop_back();
        Frame& caller = stack_.back();
        copy_of(caller, call) = static_cast<Value>(caller.results.size());
        caller.results.push_back(std::move(results));
        return;
      }
      case Opcode::result:
        if (const Value of = source_.operands_of(i)[0]; source_[of].op == Opcode::call) {
          const auto number = static_cast<std::size_t>(copy_of(frame, of));
          copy_of(frame, at) = frame.results[number][static_cast<std::size_t>(i.immediate)];
          return;
        }
        break;
      default:
        break;
    }
    copy_instruction(frame, at);
  }

  void copy_instruction(Frame& frame, Value at) {
    Instruction copy = source_[at];
    const std::vector<Value> operands = copied_operands(frame, copy);
    copy.operands = static_cast<std::int32_t>(made_.operands.size());
    made_.operands.insert(made_.operands.end(), operands.begin(), operands.end());
    copy_of(frame, at) = made_.size();
    if (copy.end != 0) frame.open_regions.emplace_back(made_.size(), copy.end);
    made_.instructions.push_back(copy);
  }

  const Program& source_;
  Program made_;
  std::vector<Frame> stack_;
};

}  // namespace

Program inline_calls(const Program& program) {
  if (program.entry() == 0) return program;
  return Inliner(program).run();
}

}  // namespace noyau::jit
