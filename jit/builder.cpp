// KernelBuilder: makes a Program instruction by instruction.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>
#include <utility>

#include "jit/program.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {

KernelBuilder::KernelBuilder(std::string name, Domain domain) {
  program_.name = std::move(name);
  program_.domain = domain;
}

int KernelBuilder::add_memory(MemoryObject object) {
  if (object.name.empty()) object.name = fmt::format("m{}", program_.memory.size());
  program_.memory.push_back(std::move(object));
  return static_cast<int>(program_.memory.size()) - 1;
}

int KernelBuilder::buffer(DType type, bool read, bool written, std::string name) {
  return add_memory({.kind = MemoryObject::Kind::buffer,
                     .dtype = type,
                     .read = read,
                     .written = written,
                     .name = std::move(name)});
}

int KernelBuilder::shared(DType type, std::int64_t elements, std::string name) {
  return add_memory({.kind = MemoryObject::Kind::shared,
                     .dtype = type,
                     .written = true,
                     .elements = elements,
                     .name = std::move(name)});
}

int KernelBuilder::shared_sized_by(DType type, int size_parameter, std::string name) {
  return add_memory({.kind = MemoryObject::Kind::shared,
                     .dtype = type,
                     .written = true,
                     .size_parameter = size_parameter,
                     .name = std::move(name)});
}

int KernelBuilder::private_array(DType type, std::int64_t elements, std::string name) {
  return add_memory({.kind = MemoryObject::Kind::private_,
                     .dtype = type,
                     .written = true,
                     .elements = elements,
                     .name = std::move(name)});
}

int KernelBuilder::new_parameter(DType type, std::string name) {
  if (name.empty()) name = fmt::format("p{}", program_.parameters.size());
  program_.parameters.push_back({type, std::move(name)});
  return static_cast<int>(program_.parameters.size()) - 1;
}

Value KernelBuilder::emit(Opcode op, DType type, std::span<const Value> operands,
                          std::int64_t immediate, std::uint8_t mode, std::uint8_t flags) {
  Instruction i;
  i.op = op;
  i.type = type;
  i.mode = mode;
  i.flags = flags;
  i.operands = static_cast<std::int32_t>(program_.operands.size());
  i.operand_count = static_cast<std::int32_t>(operands.size());
  i.immediate = immediate;
  i.place = place_;
  for (Value v : operands) {
    if (v < 0 || v >= size()) {
      throw InternalError(
          fmt::format("KernelBuilder: {} was given the value {}, which no "
                      "instruction makes; there are {} so far",
                      jit::name(op), v, size()));
    }
  }
  program_.operands.insert(program_.operands.end(), operands.begin(), operands.end());
  program_.instructions.push_back(i);
  return size() - 1;
}

Value KernelBuilder::emit(Opcode op, DType type, std::initializer_list<Value> operands,
                          std::int64_t immediate, std::uint8_t mode, std::uint8_t flags) {
  return emit(op, type, std::span(operands.begin(), operands.size()), immediate, mode, flags);
}

DType KernelBuilder::type(Value v) const {
  if (v < 0 || v >= size()) {
    throw InternalError(fmt::format(
        "KernelBuilder: the value {}, which no instruction makes; there are {}", v, size()));
  }
  return program_[v].type;
}

void KernelBuilder::check_type(Opcode op, Value v, DType expected) const {
  if (type(v) != expected) {
    throw InternalError(fmt::format(
        "KernelBuilder: {} needs an operand of type {}, but %{} ({}) is {}", jit::name(op),
        noyau::name(expected), v, jit::name(program_[v].op), noyau::name(type(v))));
  }
}

const MemoryObject& KernelBuilder::memory_object(Opcode op, int number) const {
  if (number < 0 || number >= static_cast<int>(program_.memory.size())) {
    throw InternalError(fmt::format("KernelBuilder: {} of memory object {}; there are {}",
                                    jit::name(op), number, program_.memory.size()));
  }
  return program_.memory[static_cast<std::size_t>(number)];
}

// ---- leaves and arithmetic

Value KernelBuilder::constant(Scalar value) {
  std::size_t bytes = size_of(value.dtype);
  std::uint64_t mask = bytes == 8 ? ~0ull : (1ull << (8 * bytes)) - 1;
  return emit(Opcode::constant, value.dtype, {}, static_cast<std::int64_t>(value.bits & mask));
}
Value KernelBuilder::constant_i64(std::int64_t value) {
  return emit(Opcode::constant, int64, {}, value);
}
Value KernelBuilder::parameter(int number) {
  if (number < 0 || number >= static_cast<int>(program_.parameters.size())) {
    throw InternalError(
        fmt::format("KernelBuilder: parameter {} of {}", number, program_.parameters.size()));
  }
  return emit(Opcode::parameter, program_.parameters[static_cast<std::size_t>(number)].dtype, {},
              number);
}
Value KernelBuilder::item(int axis) { return emit(Opcode::item, int64, {}, axis); }
Value KernelBuilder::block(int axis) { return emit(Opcode::block, int64, {}, axis); }
Value KernelBuilder::thread(int axis) { return emit(Opcode::thread, int64, {}, axis); }

Value KernelBuilder::unary(Opcode op, Value a) { return emit(op, type(a), {a}); }
Value KernelBuilder::binary(Opcode op, Value a, Value b) {
  check_type(op, b, type(a));
  return emit(op, type(a), {a, b});
}
Value KernelBuilder::ternary(Opcode op, Value a, Value b, Value c) {
  check_type(op, b, type(a));
  check_type(op, c, type(a));
  return emit(op, type(a), {a, b, c});
}
Value KernelBuilder::compare(Opcode op, Value a, Value b) {
  check_type(op, b, type(a));
  return emit(op, bool_, {a, b});
}
Value KernelBuilder::select(Value condition, Value a, Value b) {
  check_type(Opcode::select, condition, bool_);
  check_type(Opcode::select, b, type(a));
  return emit(Opcode::select, type(a), {condition, a, b});
}
Value KernelBuilder::convert(Value a, DType to) {
  return type(a) == to ? a : emit(Opcode::convert, to, {a});
}
Value KernelBuilder::bitcast(Value a, DType to) {
  return type(a) == to ? a : emit(Opcode::bitcast, to, {a});
}

// ---- memory, and lanes of a block

Value KernelBuilder::load(int memory, Value offset) {
  DType dtype = memory_object(Opcode::load, memory).dtype;
  check_type(Opcode::load, offset, int64);
  return emit(Opcode::load, dtype, {offset}, memory);
}

void KernelBuilder::store(int memory, Value offset, Value value) {
  DType dtype = memory_object(Opcode::store, memory).dtype;
  check_type(Opcode::store, offset, int64);
  check_type(Opcode::store, value, dtype);
  emit(Opcode::store, dtype, {offset, value}, memory);
}

Value KernelBuilder::atomic(AtomicOp op, int memory, Value offset, Value value, Value expected,
                            MemoryOrder order) {
  DType dtype = memory_object(Opcode::atomic, memory).dtype;
  check_type(Opcode::atomic, offset, int64);
  std::vector<Value> operands = {offset};
  if (op != AtomicOp::load) operands.push_back(value);
  if (op == AtomicOp::compare_exchange) operands.push_back(expected);
  for (std::size_t k = 1; k < operands.size(); ++k) check_type(Opcode::atomic, operands[k], dtype);
  return emit(Opcode::atomic, dtype, operands, memory, static_cast<std::uint8_t>(op),
              static_cast<std::uint8_t>(order));
}

void KernelBuilder::barrier() { emit(Opcode::barrier, bool_, {}); }
void KernelBuilder::fence() { emit(Opcode::fence, bool_, {}); }

Value KernelBuilder::shuffle(ShuffleMode mode, Value value, Value lane) {
  check_type(Opcode::shuffle, lane, int64);
  return emit(Opcode::shuffle, type(value), {value, lane}, 0, static_cast<std::uint8_t>(mode));
}

Value KernelBuilder::vote(VoteMode mode, Value condition) {
  check_type(Opcode::vote, condition, bool_);
  return emit(Opcode::vote, bool_, {condition}, 0, static_cast<std::uint8_t>(mode));
}

void KernelBuilder::fault(Value condition, std::int64_t code, Value detail) {
  check_type(Opcode::fault, condition, bool_);
  check_type(Opcode::fault, detail, int64);
  emit(Opcode::fault, bool_, {condition, detail}, code);
}

int KernelBuilder::format(std::string text) {
  program_.formats.push_back(std::move(text));
  return static_cast<int>(program_.formats.size()) - 1;
}

void KernelBuilder::print(int format, std::span<const Value> values) {
  emit(Opcode::print, bool_, values, format);
}

// ---- regions

KernelBuilder::Open& KernelBuilder::innermost(Opcode op, const char* called) {
  if (open_.empty() || open_.back().op != op) {
    throw InternalError(fmt::format("KernelBuilder: {} where the innermost open region is {}",
                                    called, open_.empty() ? "none" : jit::name(open_.back().op)));
  }
  return open_.back();
}

void KernelBuilder::begin_if(Value condition) {
  check_type(Opcode::if_, condition, bool_);
  open_.push_back({.op = Opcode::if_, .instruction = emit(Opcode::if_, bool_, {condition})});
}

void KernelBuilder::begin_else(std::span<const Value> then_values) {
  Open& open = innermost(Opcode::if_, "begin_else");
  if (open.otherwise != no_value) throw InternalError("KernelBuilder: a second begin_else");
  emit(Opcode::yield, bool_, then_values);
  for (Value v : then_values) open.types.push_back(type(v));
  close(open.instruction);
  open.otherwise = emit(Opcode::else_, bool_, {});
}

std::vector<Value> KernelBuilder::end_if(std::span<const Value> values) {
  Open& open = innermost(Opcode::if_, "end_if");
  if (values.size() != open.types.size()) {
    throw InternalError(
        fmt::format("KernelBuilder: end_if with {} values after {} in its then part", values.size(),
                    open.types.size()));
  }
  for (std::size_t k = 0; k < values.size(); ++k)
    check_type(Opcode::yield, values[k], open.types[k]);
  emit(Opcode::yield, bool_, values);
  close(open.otherwise == no_value ? open.instruction : open.otherwise);
  Open closed = std::move(open);
  open_.pop_back();
  std::vector<Value> results;
  for (std::size_t k = 0; k < closed.types.size(); ++k) {
    results.push_back(
        emit(Opcode::result, closed.types[k], {closed.instruction}, static_cast<std::int64_t>(k)));
  }
  return results;
}

std::vector<Value> KernelBuilder::begin_loop(std::span<const Value> initial) {
  Open open{.op = Opcode::loop, .instruction = emit(Opcode::loop, bool_, initial)};
  std::vector<Value> parameters;
  for (Value v : initial) {
    open.types.push_back(type(v));
    parameters.push_back(
        emit(Opcode::loop_param, type(v), {}, static_cast<std::int64_t>(parameters.size())));
  }
  open_.push_back(std::move(open));
  return parameters;
}

void KernelBuilder::loop_while(Value condition) {
  Open& open = innermost(Opcode::loop, "loop_while");
  if (open.tested) throw InternalError("KernelBuilder: a second loop_while");
  check_type(Opcode::while_, condition, bool_);
  emit(Opcode::while_, bool_, {condition});
  open.tested = true;
}

void KernelBuilder::end_loop(std::span<const Value> next) {
  Open& open = innermost(Opcode::loop, "end_loop");
  if (!open.tested) throw InternalError("KernelBuilder: end_loop without loop_while");
  if (next.size() != open.types.size()) {
    throw InternalError(fmt::format("KernelBuilder: end_loop with {} values for {} parameters",
                                    next.size(), open.types.size()));
  }
  for (std::size_t k = 0; k < next.size(); ++k) check_type(Opcode::yield, next[k], open.types[k]);
  emit(Opcode::yield, bool_, next);
  close(open.instruction);
  open_.pop_back();
}

std::vector<Value> KernelBuilder::begin_function(std::string name,
                                                 std::span<const DType> parameters) {
  if (!open_.empty() || program_.entry() != size()) {
    throw InternalError(fmt::format(
        "KernelBuilder: the function {} begins after the entry; functions come first", name));
  }
  auto number = static_cast<std::int64_t>(program_.function_names.size());
  program_.function_names.push_back(std::move(name));
  open_.push_back({.op = Opcode::func, .instruction = emit(Opcode::func, bool_, {}, number)});
  std::vector<Value> values;
  for (DType t : parameters) {
    values.push_back(emit(Opcode::func_param, t, {}, static_cast<std::int64_t>(values.size())));
  }
  return values;
}

Value KernelBuilder::end_function(std::span<const Value> results) {
  Value function = innermost(Opcode::func, "end_function").instruction;
  emit(Opcode::return_, bool_, results);
  close(function);
  open_.pop_back();
  return function;
}

std::vector<Value> KernelBuilder::call(Value function, std::span<const Value> arguments) {
  if (function < 0 || function >= size() || program_[function].op != Opcode::func ||
      program_[function].end == 0) {
    throw InternalError(
        fmt::format("KernelBuilder: call of {}, which is no finished function", function));
  }
  Value call = emit(Opcode::call, bool_, arguments, function);
  Value last = program_[function].end - 1;
  std::vector<Value> results;
  for (std::int32_t k = 0; k < program_[last].operand_count; ++k) {
    DType t = type(program_.operands_of(program_[last])[static_cast<std::size_t>(k)]);
    results.push_back(emit(Opcode::result, t, {call}, k));
  }
  return results;
}

// ---- inlining

/// A function being copied: an entry of the explicit stack of calls.
struct KernelBuilder::Inlining {
  Value function, next;   ///< in the source: the func, and what is copied next
  Value call = no_value;  ///< the caller's call, in the source
  std::vector<Value> arguments;
  std::vector<Value> copies;                    ///< of source value `function + k`
  std::vector<std::pair<Value, Value>> open;    ///< a copied region and the source's end of it
  std::map<Value, std::vector<Value>> results;  ///< of the calls made in this function
  Value copy_of(Value v) const { return copies.at(static_cast<std::size_t>(v - function)); }
};

void KernelBuilder::copy_instruction(const Program& source, Inlining& frame, Value from) {
  const Instruction original = source[from];
  std::vector<Value> operands;
  for (std::int32_t k = 0; k < original.operand_count; ++k) {
    operands.push_back(
        frame.copy_of(source.operands[static_cast<std::size_t>(original.operands + k)]));
  }
  bool numbered = original.op == Opcode::parameter || original.op == Opcode::print ||
                  (original.op >= Opcode::load && original.op <= Opcode::atomic);
  if (numbered && &source != &program_) {
    throw InternalError(
        fmt::format("inline_function: {} of {} cannot be copied into another program ({})",
                    jit::name(original.op), source.name, program_.name));
  }
  Value copy =
      emit(original.op, original.type, operands, original.immediate, original.mode, original.flags);
  frame.copies[static_cast<std::size_t>(from - frame.function)] = copy;
  if (original.end != 0) frame.open.emplace_back(copy, original.end);
}

std::vector<Value> KernelBuilder::inline_function(const Program& source, Value function,
                                                  std::span<const Value> arguments) {
  if (function < 0 || function >= source.size() || source[function].op != Opcode::func ||
      source[function].end == 0) {
    throw InternalError(
        fmt::format("inline_function: {} is no finished function of {}", function, source.name));
  }
  std::vector<Inlining> stack;
  auto enter = [&](Value callee, Value call, std::vector<Value> values) {
    auto length = static_cast<std::size_t>(source[callee].end - callee);
    stack.push_back({callee,
                     callee + 1,
                     call,
                     std::move(values),
                     std::vector<Value>(length, no_value),
                     {},
                     {}});
  };
  enter(function, no_value, {arguments.begin(), arguments.end()});
  for (;;) {
    Inlining& frame = stack.back();
    const Value at = frame.next++;
    const Instruction i = source[at];  // a copy: emitting may move what `source` refers to
    if (!frame.open.empty() && frame.open.back().second == at) {
      close(frame.open.back().first);
      frame.open.pop_back();
    }
    std::vector<Value> operands;
    Value& copy = frame.copies[static_cast<std::size_t>(at - frame.function)];
    switch (i.op) {
      case Opcode::func_param: {
        auto k = static_cast<std::size_t>(i.immediate);
        if (k >= frame.arguments.size()) {
          throw InternalError(fmt::format(
              "inline_function: {} arguments are too few for {}", frame.arguments.size(),
              source.function_names[static_cast<std::size_t>(source[frame.function].immediate)]));
        }
        check_type(Opcode::call, frame.arguments[k], i.type);
        copy = frame.arguments[k];
        break;
      }
      case Opcode::call:
        for (Value v : source.operands_of(i)) operands.push_back(frame.copy_of(v));
        enter(static_cast<Value>(i.immediate), at, std::move(operands));
        break;
      case Opcode::return_: {
        for (Value v : source.operands_of(i)) operands.push_back(frame.copy_of(v));
        Value call = frame.call;
        stack.pop_back();
        if (stack.empty()) return operands;
        stack.back().results[call] = std::move(operands);
        break;
      }
      case Opcode::result: {
        auto called = frame.results.find(source.operands_of(i)[0]);
        if (called == frame.results.end()) copy_instruction(source, frame, at);
        else copy = called->second.at(static_cast<std::size_t>(i.immediate));
        break;
      }
      default:
        copy_instruction(source, frame, at);
    }
  }
}

Program KernelBuilder::finish() {
  if (!open_.empty()) {
    throw InternalError(fmt::format("KernelBuilder: {} is finished with an open {} (%{})",
                                    program_.name, jit::name(open_.back().op),
                                    open_.back().instruction));
  }
#ifndef NDEBUG
  verify(program_);
#endif
  return std::move(program_);
}

}  // namespace noyau::jit
