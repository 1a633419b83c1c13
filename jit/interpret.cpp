// The plain interpreter of Programs: every thread scalar by scalar, with all checks.
// SPDX-License-Identifier: Apache-2.0
//
// A thread holds one slot for each instruction of the program (functions too: without recursion
// each is active once a thread) and one for each result of each call. It runs until it ends, has to
// wait for its block or gang, or has used its turn; so threads of a block that spin on one another
// go on.
#include "jit/interpret.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "jit/print_format.hpp"
#include "jit/scalar_ops.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {

namespace {

constexpr std::int64_t turn = 1 << 16;  ///< instructions a thread runs before the next one may
constexpr std::int64_t gang = 32;

struct Coordinates {
  std::int64_t at[3] = {0, 0, 0};
};

/// Bytes with a mark for each element that was written.
/// Which threads used an element of shared memory since the block's last barrier.
struct Uses {
  static constexpr std::int32_t nobody = -1, several = -2;
  std::int64_t turn = -1;  ///< how many barriers there were before
  std::int32_t writer = nobody, reader = nobody;
  bool atomically = false;  ///< written by atomics alone
};

struct CheckedMemory {
  std::vector<unsigned char> bytes;
  std::vector<bool> written;
  std::vector<Uses> uses;  ///< of shared memory
};

enum class State : std::uint8_t { ready, waiting, ended };

struct Thread {
  Coordinates where;  ///< the item, or the thread in its block
  Value pc = 0;
  State state = State::ready;
  std::vector<std::uint64_t> values;
  std::vector<Value> returns;           ///< the calls that are active
  std::vector<CheckedMemory> privates;  ///< by memory object; empty for the others
};

class Interpreter {
 public:
  Interpreter(const Program& program, std::span<const InterpreterBuffer> buffers,
              std::span<const std::uint64_t> parameters, std::int64_t step_limit,
              std::vector<std::string>* printed);
  std::int64_t run(std::span<const std::int64_t, 3> extent);

 private:
  [[noreturn]] void fail(const Thread& thread, const std::string& why) const;
  void find_regions();
  std::int64_t elements_of(const MemoryObject& m) const;
  void reset(Thread& thread) const;
  CheckedMemory fresh(std::size_t memory) const;

  void run_block();
  bool release_gangs();
  bool release_block();
  void run_lanes(std::size_t first, std::size_t last);
  void run_turn(Thread& thread);
  void step(Thread& thread);
  void leaf(Thread& thread, const Instruction& i);
  void access(Thread& thread, const Instruction& i);
  void check_race(Thread& thread, const Instruction& i, Uses& uses, std::int64_t offset,
                  bool writes, bool changes);
  void effect(Thread& thread, const Instruction& i);
  void region(Thread& thread, const Instruction& i);
  void close(Thread& thread, const Instruction& i);
  void result(Thread& thread, const Instruction& i);
  void assign(Thread& thread, const Instruction& from, std::size_t first);
  unsigned char* element(Thread& thread, const Instruction& i, CheckedMemory*& checked,
                         std::int64_t& offset);

  std::uint64_t& slot(Thread& thread, Value v) const {
    return thread.values[static_cast<std::size_t>(v)];
  }
  std::uint64_t operand(Thread& thread, const Instruction& i, int k) const {
    return slot(thread, p_.operands[static_cast<std::size_t>(i.operands + k)]);
  }

  const Program& p_;
  std::span<const std::uint64_t> parameters_;
  const std::int64_t step_limit_;
  std::vector<std::string>* printed_;
  std::vector<InterpreterBuffer> buffers_;  ///< by memory object
  std::vector<std::int64_t> elements_;      ///< by memory object
  std::vector<Value> opening_;              ///< of each yield, while and return
  std::vector<std::size_t> call_results_;   ///< of each call: its first slot
  std::size_t slots_ = 0;
  std::vector<CheckedMemory> shared_;  ///< of the block that runs
  std::vector<Thread> threads_;        ///< of the block that runs
  Coordinates block_;
  std::vector<std::uint64_t> scratch_;
  std::int64_t steps_ = 0, fault_ = 0, turn_ = 0;
};

Interpreter::Interpreter(const Program& program, std::span<const InterpreterBuffer> buffers,
                         std::span<const std::uint64_t> parameters, std::int64_t step_limit,
                         std::vector<std::string>* printed)
    : p_(program), parameters_(parameters), step_limit_(step_limit), printed_(printed) {
  if (parameters.size() != p_.parameters.size()) {
    throw LaunchError(fmt::format("interpret: '{}' takes {} parameters, given are {}", p_.name,
                                  p_.parameters.size(), parameters.size()));
  }
  std::size_t used = 0;
  for (const MemoryObject& m : p_.memory) {
    InterpreterBuffer buffer;
    if (m.kind == MemoryObject::Kind::buffer) {
      if (used < buffers.size()) buffer = buffers[used];
      ++used;
    } else buffer.elements = elements_of(m);
    buffers_.push_back(buffer);
    elements_.push_back(buffer.elements);
  }
  if (used != buffers.size()) {
    throw LaunchError(fmt::format("interpret: '{}' takes {} buffers, given are {}", p_.name, used,
                                  buffers.size()));
  }
  find_regions();
}

std::int64_t Interpreter::elements_of(const MemoryObject& m) const {
  if (m.size_parameter < 0) return m.elements;
  auto n = static_cast<std::int64_t>(parameters_[static_cast<std::size_t>(m.size_parameter)]);
  if (n < 0 || n > (std::int64_t{1} << 32)) {
    throw LaunchError(
        fmt::format("interpret: '{}' of '{}' would have {} elements", m.name, p_.name, n));
  }
  return n;
}

void Interpreter::find_regions() {
  opening_.assign(p_.instructions.size(), no_value);
  call_results_.assign(p_.instructions.size(), 0);
  slots_ = p_.instructions.size();
  std::vector<Value> open;
  for (Value v = 0; v < p_.size(); ++v) {
    const Instruction& i = p_[v];
    auto at = static_cast<std::size_t>(v);
    if (i.op == Opcode::if_ || i.op == Opcode::else_ || i.op == Opcode::loop ||
        i.op == Opcode::func) {
      open.push_back(v);
    } else if (i.op == Opcode::while_) {
      opening_[at] = open.back();
    } else if (i.op == Opcode::yield || i.op == Opcode::return_) {
      opening_[at] = open.back();
      open.pop_back();
    } else if (i.op == Opcode::call) {
      call_results_[at] = slots_;
      const Instruction& last = p_[p_[static_cast<Value>(i.immediate)].end - 1];
      slots_ += static_cast<std::size_t>(last.operand_count);
    }
  }
}

void Interpreter::fail(const Thread& thread, const std::string& why) const {
  auto text = [](const Coordinates& c) {
    return fmt::format("({}, {}, {})", c.at[0], c.at[1], c.at[2]);
  };
  std::string where = p_.domain == Domain::items
                          ? "item " + text(thread.where)
                          : fmt::format("block {}, thread {}", text(block_), text(thread.where));
  bool ended = thread.pc >= p_.size();
  throw LaunchError(fmt::format(
      "interpret: '{}', {}, instruction {}{}: {}", p_.name, where, thread.pc,
      ended ? " (its end)" : fmt::format(", `{}`", print_instruction(p_, thread.pc)), why));
}

CheckedMemory Interpreter::fresh(std::size_t memory) const {
  auto n = static_cast<std::size_t>(elements_[memory]);
  const bool shared = p_.memory[memory].kind == MemoryObject::Kind::shared;
  return {std::vector<unsigned char>(n * size_of(p_.memory[memory].dtype)),
          std::vector<bool>(n, false), std::vector<Uses>(shared ? n : 0)};
}

void Interpreter::reset(Thread& thread) const {
  thread.pc = p_.entry();
  thread.state = State::ready;
  thread.values.resize(slots_);
  thread.returns.clear();
  thread.privates.resize(p_.memory.size());
  for (std::size_t m = 0; m < p_.memory.size(); ++m) {
    if (p_.memory[m].kind == MemoryObject::Kind::private_) thread.privates[m] = fresh(m);
  }
}

// ---- threads, gangs and blocks

std::int64_t Interpreter::run(std::span<const std::int64_t, 3> extent) {
  for (std::int64_t n : extent) {
    if (n < 0) throw LaunchError(fmt::format("interpret: '{}' with an extent of {}", p_.name, n));
  }
  std::size_t count = 1;
  for (auto n : p_.block_size) count *= static_cast<std::size_t>(n);
  threads_.resize(count);
  shared_.resize(p_.memory.size());
  Coordinates c;
  for (c.at[2] = 0; c.at[2] < extent[2]; ++c.at[2]) {
    for (c.at[1] = 0; c.at[1] < extent[1]; ++c.at[1]) {
      for (c.at[0] = 0; c.at[0] < extent[0]; ++c.at[0]) {
        block_ = c;
        run_block();
      }
    }
  }
  return fault_;
}

/// Runs the block (or the item) at `block_`.
void Interpreter::run_block() {
  for (std::size_t m = 0; m < p_.memory.size(); ++m) {
    if (p_.memory[m].kind == MemoryObject::Kind::shared) shared_[m] = fresh(m);
  }
  for (std::size_t t = 0; t < threads_.size(); ++t) {
    Thread& thread = threads_[t];
    auto index = static_cast<std::int64_t>(t);
    for (int axis = 0; axis < 3; ++axis) {
      thread.where.at[axis] = index % p_.block_size[axis];
      index /= p_.block_size[axis];
    }
    if (p_.domain == Domain::items) thread.where = block_;
    reset(thread);
  }
  for (bool more = true; more;) {
    more = false;
    for (Thread& thread : threads_) {
      if (thread.state != State::ready) continue;
      run_turn(thread);
      more = true;
    }
    if (!more) more = release_gangs() || release_block();
  }
}

void Interpreter::run_turn(Thread& thread) {
  for (std::int64_t k = 0; k < turn && thread.state == State::ready; ++k) {
    if (thread.pc >= p_.size()) {
      thread.state = State::ended;
      return;
    }
    if (step_limit_ > 0 && ++steps_ > step_limit_) {
      fail(thread,
           fmt::format("the launch has run more than its limit of {} instructions", step_limit_));
    }
    step(thread);
  }
}

/// Runs the shuffle or vote at which a whole gang waits; false when no gang does.
bool Interpreter::release_gangs() {
  bool any = false;
  const auto width = static_cast<std::size_t>(gang);
  for (std::size_t first = 0; first < threads_.size(); first += width) {
    const std::size_t last = std::min(first + width, threads_.size());
    const Thread& leader = threads_[first];
    if (leader.state != State::waiting || p_[leader.pc].op == Opcode::barrier) continue;
    bool together = true;
    for (std::size_t t = first; t < last; ++t) {
      together &= threads_[t].state == State::waiting && threads_[t].pc == leader.pc;
    }
    if (!together) continue;
    run_lanes(first, last);
    any = true;
  }
  return any;
}

/// The shuffle or vote of the gang of threads [first, last).
void Interpreter::run_lanes(std::size_t first, std::size_t last) {
  const Instruction& i = p_[threads_[first].pc];
  const auto lanes = static_cast<std::int64_t>(last - first);
  scratch_.clear();
  for (std::size_t t = first; t < last; ++t) scratch_.push_back(operand(threads_[t], i, 0));
  for (std::size_t t = first; t < last; ++t) {
    Thread& thread = threads_[t];
    const auto self = static_cast<std::int64_t>(t - first);
    std::uint64_t value = 0;
    if (i.op == Opcode::vote) {
      bool all = static_cast<VoteMode>(i.mode) == VoteMode::all;
      value = all ? 1 : 0;
      for (std::uint64_t c : scratch_) value = all ? value & c : value | c;
    } else {
      // Wrapping arithmetic: any 64-bit lane is allowed, and one outside the gang is one's own.
      auto n = operand(thread, i, 1), from = static_cast<std::uint64_t>(self);
      switch (static_cast<ShuffleMode>(i.mode)) {
        case ShuffleMode::index:
          from = n;
          break;
        case ShuffleMode::exclusive_or:
          from ^= n;
          break;
        case ShuffleMode::down:
          from += n;
          break;
        case ShuffleMode::up:
          from -= n;
          break;
      }
      if (from >= static_cast<std::uint64_t>(lanes)) from = static_cast<std::uint64_t>(self);
      value = scratch_[static_cast<std::size_t>(from)];
    }
    slot(thread, thread.pc) = value;
    ++thread.pc;
    thread.state = State::ready;
  }
}

/// Lets the block pass the barrier at which it waits; false when all its threads have ended.
bool Interpreter::release_block() {
  const Thread& first = threads_.front();
  for (const Thread& thread : threads_) {
    if (thread.pc == first.pc && thread.state == first.state) continue;
    const Thread& waits = thread.state == State::waiting ? thread : first;
    const Thread& other = &waits == &thread ? first : thread;
    fail(waits,
         fmt::format("it waits here while thread ({}, {}, {}) of its block {}: control flow "
                     "around a {} must be the same for the whole {}",
                     other.where.at[0], other.where.at[1], other.where.at[2],
                     other.state == State::ended ? "has ended"
                                                 : fmt::format("waits at instruction {}", other.pc),
                     name(p_[waits.pc].op),
                     p_[waits.pc].op == Opcode::barrier ? "block" : "gang of 32 threads"));
  }
  if (first.state == State::ended) return false;
  ++turn_;
  for (Thread& thread : threads_) {
    ++thread.pc;
    thread.state = State::ready;
  }
  return true;
}

// ---- instructions

void Interpreter::step(Thread& thread) {
  const Instruction& i = p_[thread.pc];
  if (can_evaluate(i.op)) {
    std::uint64_t operands[3] = {};
    for (int k = 0; k < i.operand_count; ++k) operands[k] = operand(thread, i, k);
    DType operand_type = p_[p_.operands_of(i).back()].type;
    slot(thread, thread.pc) =
        evaluate(i.op, i.type, operand_type, {operands, static_cast<std::size_t>(i.operand_count)});
  } else if (i.op <= Opcode::thread) {
    leaf(thread, i);
  } else if (i.op <= Opcode::atomic) {
    access(thread, i);
  } else if (i.op <= Opcode::print) {
    effect(thread, i);
    if (thread.state == State::waiting) return;
  } else {
    region(thread, i);
    return;
  }
  ++thread.pc;
}

void Interpreter::leaf(Thread& thread, const Instruction& i) {
  std::uint64_t& value = slot(thread, thread.pc);
  const auto number = static_cast<std::size_t>(i.immediate);
  switch (i.op) {
    case Opcode::constant:
      value = static_cast<std::uint64_t>(i.immediate);
      break;
    case Opcode::parameter: {
      std::size_t bytes = size_of(i.type);
      value = parameters_[number] & (bytes == 8 ? ~0ull : (1ull << (8 * bytes)) - 1);
      if (i.type == bool_) value = value != 0 ? 1 : 0;
      break;
    }
    case Opcode::block:
      value = static_cast<std::uint64_t>(block_.at[number]);
      break;
    default:
      value = static_cast<std::uint64_t>(thread.where.at[number]);
  }
}

/// Where the element that `i` names lies; checks its bounds. `checked` is what records the writes
/// to it, or null.
unsigned char* Interpreter::element(Thread& thread, const Instruction& i, CheckedMemory*& checked,
                                    std::int64_t& offset) {
  const auto m = static_cast<std::size_t>(i.immediate);
  offset = static_cast<std::int64_t>(operand(thread, i, 0));
  if (offset < -buffers_[m].before || offset >= elements_[m]) {
    fail(thread, fmt::format("element {} is out of bounds: '{}' has {}{}", offset,
                             p_.memory[m].name, elements_[m],
                             buffers_[m].before == 0
                                 ? std::string()
                                 : fmt::format(", and {} before them", buffers_[m].before)));
  }
  checked = nullptr;
  auto* base = static_cast<unsigned char*>(buffers_[m].data);
  if (p_.memory[m].kind != MemoryObject::Kind::buffer) {
    bool shared = p_.memory[m].kind == MemoryObject::Kind::shared;
    checked = shared ? &shared_[m] : &thread.privates[m];
    base = checked->bytes.data();
  }
  return base + offset * static_cast<std::int64_t>(size_of(p_.memory[m].dtype));
}

/// Two threads may use an element between two barriers when both read it, both store the same, or
/// both use atomics.
void Interpreter::check_race(Thread& thread, const Instruction& i, Uses& uses, std::int64_t offset,
                             bool writes, bool changes) {
  const auto me = static_cast<std::int32_t>(&thread - threads_.data());
  const bool atomic = i.op == Opcode::atomic;
  if (uses.turn != turn_) uses = {turn_, Uses::nobody, Uses::nobody, false};
  const bool others_wrote = uses.writer != Uses::nobody && uses.writer != me;
  const bool others_read = uses.reader != Uses::nobody && uses.reader != me;
  const bool harmless = (atomic && uses.atomically) || (writes && !atomic && !changes);
  if ((others_wrote && !harmless) || (changes && others_read && !atomic)) {
    fail(thread, fmt::format("a race: element {} of '{}' is {} while another thread {} it; a "
                             "barrier must lie between",
                             offset, p_.memory[static_cast<std::size_t>(i.immediate)].name,
                             writes ? "written" : "read", others_wrote ? "writes" : "reads"));
  }
  if (writes) {
    uses.atomically = atomic && (uses.writer == Uses::nobody || uses.atomically);
    uses.writer = others_wrote ? Uses::several : me;
  } else if (!atomic) {
    uses.reader = others_read ? Uses::several : me;
  }
}

void Interpreter::access(Thread& thread, const Instruction& i) {
  CheckedMemory* checked = nullptr;
  std::int64_t offset = 0;
  unsigned char* where = element(thread, i, checked, offset);
  const std::size_t bytes = size_of(i.type);
  const auto op = static_cast<AtomicOp>(i.mode);
  const bool atomic = i.op == Opcode::atomic;
  const bool writes = atomic ? op != AtomicOp::load : i.op == Opcode::store;
  if (checked != nullptr && !checked->uses.empty()) {
    const std::uint64_t stored = i.op == Opcode::store ? operand(thread, i, 1) : 0;
    const bool changes = atomic ? writes : writes && std::memcmp(where, &stored, bytes) != 0;
    check_race(thread, i, checked->uses[static_cast<std::size_t>(offset)], offset, writes, changes);
  }
  std::uint64_t old = 0;
  if (atomic ? op != AtomicOp::store : i.op == Opcode::load) {
    if (checked != nullptr && !checked->written[static_cast<std::size_t>(offset)]) {
      fail(thread, fmt::format("element {} of '{}' is read before it is written", offset,
                               p_.memory[static_cast<std::size_t>(i.immediate)].name));
    }
    std::memcpy(&old, where, bytes);
    if (i.type == bool_) old = old != 0 ? 1 : 0;
    slot(thread, thread.pc) = old;
  }
  if (!writes) return;
  std::uint64_t value = operand(thread, i, 1);
  if (atomic) {
    value = evaluate(op, i.type, old, value, i.operand_count > 2 ? operand(thread, i, 2) : 0);
  }
  std::memcpy(where, &value, bytes);
  if (checked != nullptr) checked->written[static_cast<std::size_t>(offset)] = true;
}

void Interpreter::effect(Thread& thread, const Instruction& i) {
  switch (i.op) {
    case Opcode::barrier:
    case Opcode::shuffle:
    case Opcode::vote:
      thread.state = State::waiting;
      break;
    case Opcode::fault:
      if (operand(thread, i, 0) != 0 && fault_ == 0) fault_ = i.immediate;
      break;
    case Opcode::print: {
      if (printed_ == nullptr) break;
      std::vector<Scalar> values;
      for (Value v : p_.operands_of(i)) values.push_back({p_[v].type, slot(thread, v)});
      printed_->push_back(format_print(p_.formats[static_cast<std::size_t>(i.immediate)], values));
      break;
    }
    default:
      break;  // fence: blocks follow one another, so memory is always in order
  }
}

/// Gives the values that `from` names to consecutive slots, all at once.
void Interpreter::assign(Thread& thread, const Instruction& from, std::size_t first) {
  scratch_.clear();
  for (Value v : p_.operands_of(from)) scratch_.push_back(slot(thread, v));
  std::ranges::copy(scratch_, thread.values.begin() + static_cast<std::ptrdiff_t>(first));
}

void Interpreter::region(Thread& thread, const Instruction& i) {
  const Value at = thread.pc;
  switch (i.op) {
    case Opcode::if_: {
      const bool taken = operand(thread, i, 0) != 0;
      slot(thread, at) = taken ? 1 : 0;  // for result
      if (taken) thread.pc = at + 1;
      else thread.pc = i.end < p_.size() && p_[i.end].op == Opcode::else_ ? i.end + 1 : i.end;
      break;
    }
    case Opcode::loop:
      assign(thread, i, static_cast<std::size_t>(at) + 1);
      thread.pc = at + 1 + i.operand_count;
      break;
    case Opcode::while_:
      thread.pc =
          operand(thread, i, 0) != 0 ? at + 1 : p_[opening_[static_cast<std::size_t>(at)]].end;
      break;
    case Opcode::call:
      assign(thread, i, static_cast<std::size_t>(i.immediate) + 1);
      thread.returns.push_back(at);
      thread.pc = static_cast<Value>(i.immediate) + 1 + i.operand_count;
      break;
    case Opcode::result:
      result(thread, i);
      break;
    default:
      close(thread, i);
  }
}

/// yield and return_.
void Interpreter::close(Thread& thread, const Instruction& i) {
  const Value open = opening_[static_cast<std::size_t>(thread.pc)];
  const Instruction& opening = p_[open];
  if (opening.op == Opcode::loop) {
    assign(thread, i, static_cast<std::size_t>(open) + 1);
    thread.pc = open + 1 + opening.operand_count;
  } else if (opening.op == Opcode::func) {
    const Value call = thread.returns.back();
    thread.returns.pop_back();
    assign(thread, i, call_results_[static_cast<std::size_t>(call)]);
    thread.pc = call + 1;
  } else {
    bool otherwise =
        opening.op == Opcode::if_ && opening.end < p_.size() && p_[opening.end].op == Opcode::else_;
    thread.pc = otherwise ? p_[opening.end].end : thread.pc + 1;
  }
}

/// What an if yields is still in the slots of the part that ran.
void Interpreter::result(Thread& thread, const Instruction& i) {
  const Value of = p_.operands_of(i)[0];
  std::uint64_t& value = slot(thread, thread.pc);
  if (p_[of].op == Opcode::call) {
    value = thread.values[call_results_[static_cast<std::size_t>(of)] +
                          static_cast<std::size_t>(i.immediate)];
  } else {
    const Value part = slot(thread, of) != 0 ? of : p_[of].end;
    value = operand(thread, p_[p_[part].end - 1], static_cast<int>(i.immediate));
  }
  ++thread.pc;
}

}  // namespace

std::int64_t interpret(const Program& program, std::span<const std::int64_t, 3> extent,
                       std::span<const InterpreterBuffer> buffers,
                       std::span<const std::uint64_t> parameters, std::int64_t step_limit,
                       std::vector<std::string>* printed) {
  verify(program);
  return Interpreter(program, buffers, parameters, step_limit, printed).run(extent);
}

}  // namespace noyau::jit
