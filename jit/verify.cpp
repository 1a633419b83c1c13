// The verifier: what every Program keeps, checked after each pass in debug builds.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <string>
#include <vector>

#include "jit/program.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {

namespace {

bool holds(Opcode op, DType t) {
  if (is_half(t)) return false;  // only stored and converted
  switch (op) {
    case Opcode::sqrt:
    case Opcode::floor:
    case Opcode::ceil:
    case Opcode::trunc:
    case Opcode::rint:
    case Opcode::fma:
      return is_floating(t);
    case Opcode::bit_and:
    case Opcode::bit_or:
    case Opcode::bit_xor:
    case Opcode::bit_not:
      return !is_floating(t);
    case Opcode::shift_left:
    case Opcode::shift_right:
      return is_integer(t);
    default:
      return t != bool_;
  }
}

bool is_value(const Instruction& i) {
  switch (i.op) {
    case Opcode::store:
    case Opcode::barrier:
    case Opcode::fence:
    case Opcode::fault:
    case Opcode::print:
    case Opcode::if_:
    case Opcode::else_:
    case Opcode::loop:
    case Opcode::while_:
    case Opcode::yield:
    case Opcode::func:
    case Opcode::call:
    case Opcode::return_:
      return false;
    case Opcode::atomic:
      return i.mode != static_cast<std::uint8_t>(AtomicOp::store);
    default:
      return true;
  }
}

/// One walk over the program, with the open regions on a stack.
class Verifier {
 public:
  explicit Verifier(const Program& program) : p_(program) {}
  void run();

 private:
  struct Region {
    Value opening;  ///< the if_, else_, loop or func; no_value for the program itself
    bool tested = false;
    std::vector<Value> inside{};  ///< values that end with the region
  };

  [[noreturn]] void fail(const std::string& why) const {
    throw InternalError(fmt::format("verify: program '{}', instruction {}, `{}`: {}", p_.name, at_,
                                    print_instruction(p_, at_), why));
  }
  void require(bool ok, const char* why) const {
    if (!ok) fail(why);
  }
  const Instruction& now() const { return p_[at_]; }
  Value operand(int k) const { return p_.operands_of(now())[static_cast<std::size_t>(k)]; }
  DType operand_type(int k) const { return p_[operand(k)].type; }
  void require_type(int k, DType t) const {
    if (operand_type(k) == t) return;
    fail(fmt::format("operand %{} is {}, but must be {}", operand(k), name(operand_type(k)),
                     name(t)));
  }
  void require_type(DType t) const {
    if (now().type != t)
      fail(fmt::format("its type is {}, but must be {}", name(now().type), name(t)));
  }
  void require_number(std::size_t count, const char* what) const {
    if (now().immediate >= 0 && static_cast<std::size_t>(now().immediate) < count) return;
    fail(fmt::format("{} {} of {}", what, now().immediate, count));
  }

  void declarations();
  void operands();
  void instruction();
  void leaf();
  void memory();
  void lanes();
  void region();
  void open(int parameters, Opcode parameter);
  void parameter(Opcode opening);
  void yield();
  void close_loop_or_if(Region closed);
  void result();
  void call();
  void end_values(const Region& closed);
  std::span<const Value> yielded(Value opening) const;
  void same_types(std::span<const Value> wanted, const char* what) const;

  const Program& p_;
  Value at_ = 0;
  std::int64_t functions_ = 0;
  std::vector<bool> visible_;
  std::vector<Region> regions_;
};

[[noreturn]] void declaration_error(const Program& p, const std::string& why) {
  throw InternalError(fmt::format("verify: program '{}': {}", p.name, why));
}

void Verifier::declarations() {
  for (std::int32_t n : p_.block_size) {
    if (n < 1 || (p_.domain == Domain::items && n != 1)) {
      declaration_error(p_, fmt::format("block size {}: at least 1, and 1 in items programs", n));
    }
  }
  for (const MemoryObject& m : p_.memory) {
    if (m.size_parameter >= static_cast<int>(p_.parameters.size()) ||
        (m.size_parameter >= 0 &&
         p_.parameters[static_cast<std::size_t>(m.size_parameter)].dtype != int64)) {
      declaration_error(p_, fmt::format("{} is sized by parameter {}, which is no int64 parameter",
                                        m.name, m.size_parameter));
    }
    if (m.kind == MemoryObject::Kind::buffer) continue;
    if (!m.read || !m.written || m.streamed) {
      declaration_error(p_, m.name + " is shared or private: read, written and not streamed");
    }
    if (m.elements <= 0 && m.size_parameter < 0) {
      declaration_error(p_, fmt::format("{} has {} elements", m.name, m.elements));
    }
    if (m.kind == MemoryObject::Kind::shared && p_.domain == Domain::items) {
      declaration_error(p_, m.name + " is shared, which items programs cannot have");
    }
  }
}

void Verifier::operands() {
  const Instruction& i = now();
  if (i.operands < 0 || i.operand_count < 0 ||
      static_cast<std::size_t>(i.operands) + static_cast<std::size_t>(i.operand_count) >
          p_.operands.size()) {
    throw InternalError(
        fmt::format("verify: program '{}', instruction {} ({}): its operands lie "
                    "outside the program's operands",
                    p_.name, at_, name(i.op)));
  }
  int wanted = operand_count_of(i.op);
  if (wanted >= 0 && i.operand_count != wanted) {
    fail(fmt::format("{} operands, but {} takes {}", i.operand_count, name(i.op), wanted));
  }
  for (Value v : p_.operands_of(i)) {
    if (v < 0 || v >= at_) fail(fmt::format("operand %{} is not made before it", v));
    if (i.op != Opcode::result && !is_value(p_[v])) {
      fail(fmt::format("operand %{} ({}) makes no value", v, name(p_[v].op)));
    }
    if (!visible_[static_cast<std::size_t>(v)]) {
      fail(fmt::format("operand %{} is out of scope: its region has ended", v));
    }
  }
}

void Verifier::instruction() {
  const Instruction& i = now();
  if (is_arithmetic(i.op)) {
    for (int k = 0; k < i.operand_count; ++k) require_type(k, i.type);
    if (!holds(i.op, i.type))
      fail(fmt::format("{} has no meaning for {}", name(i.op), name(i.type)));
  } else if (is_comparison(i.op)) {
    require_type(bool_);
    require_type(1, operand_type(0));
    require(!is_half(operand_type(0)), "halves are compared as float32");
  } else if (i.op == Opcode::select) {
    require_type(0, bool_);
    require_type(1, i.type);
    require_type(2, i.type);
  } else if (i.op == Opcode::convert) {
    return;
  } else if (i.op == Opcode::bitcast) {
    require(size_of(i.type) == size_of(operand_type(0)), "a bitcast keeps the size");
    require(i.type != bool_ && operand_type(0) != bool_, "no bitcast from or to bool");
  } else if (i.op <= Opcode::thread) {
    leaf();
  } else if (i.op <= Opcode::atomic) {
    memory();
  } else if (i.op <= Opcode::print) {
    lanes();
  } else {
    region();
  }
}

void Verifier::leaf() {
  const Instruction& i = now();
  if (i.op == Opcode::constant) {
    auto bits = static_cast<std::uint64_t>(i.immediate);
    require(size_of(i.type) == 8 || bits >> (8 * size_of(i.type)) == 0,
            "bits beyond the size of its type");
    require(i.type != bool_ || bits <= 1, "a bool is 0 or 1");
  } else if (i.op == Opcode::parameter) {
    require_number(p_.parameters.size(), "parameter");
    require_type(p_.parameters[static_cast<std::size_t>(i.immediate)].dtype);
  } else {
    require_number(3, "axis");
    require_type(int64);
    require((i.op == Opcode::item) == (p_.domain == Domain::items),
            "item belongs to items programs, block and thread to blocks programs");
  }
}

void Verifier::memory() {
  const Instruction& i = now();
  require_number(p_.memory.size(), "memory object");
  const MemoryObject& m = p_.memory[static_cast<std::size_t>(i.immediate)];
  bool reads = i.op != Opcode::store, writes = i.op != Opcode::load;
  if (i.op == Opcode::atomic) {
    require(i.mode <= static_cast<std::uint8_t>(AtomicOp::store), "no such atomic operation");
    require(i.flags <= static_cast<std::uint8_t>(MemoryOrder::acquire_release), "no such order");
    auto op = static_cast<AtomicOp>(i.mode);
    reads = op != AtomicOp::store;
    writes = op != AtomicOp::load;
    int wanted = op == AtomicOp::load ? 1 : op == AtomicOp::compare_exchange ? 3 : 2;
    if (i.operand_count != wanted) {
      fail(fmt::format("{} operands, but atomic {} takes {}", i.operand_count, name(op), wanted));
    }
    require(size_of(m.dtype) >= 4, "atomics are of 4 or 8 bytes");
    bool bits = op >= AtomicOp::bit_and && op <= AtomicOp::bit_xor;
    require(!bits || is_integer(m.dtype), "a bitwise atomic of floats");
    require(m.kind != MemoryObject::Kind::private_, "an atomic on private memory");
  }
  require(!reads || m.read, "the buffer is not declared as read");
  require(!writes || m.written, "the buffer is not declared as written");
  require_type(m.dtype);
  require_type(0, int64);
  for (int k = 1; k < i.operand_count; ++k) require_type(k, m.dtype);
}

void Verifier::lanes() {
  const Instruction& i = now();
  if (i.op == Opcode::barrier || i.op == Opcode::shuffle || i.op == Opcode::vote) {
    require(p_.domain == Domain::blocks, "items programs have no barrier, shuffle or vote");
  }
  if (i.op == Opcode::shuffle) {
    require(i.mode <= static_cast<std::uint8_t>(ShuffleMode::up), "no such shuffle");
    require_type(0, i.type);
    require_type(1, int64);
  } else if (i.op == Opcode::vote) {
    require(i.mode <= static_cast<std::uint8_t>(VoteMode::all), "no such vote");
    require_type(bool_);
    require_type(0, bool_);
  } else if (i.op == Opcode::fault) {
    require(i.immediate != 0, "code 0 means that nothing went wrong");
    require_type(0, bool_);
    require_type(1, int64);
  } else if (i.op == Opcode::print) {
    require_number(p_.formats.size(), "format");
  }
}

// ---- regions

void Verifier::region() {
  const Instruction& i = now();
  switch (i.op) {
    case Opcode::if_:
      require_type(0, bool_);
      open(0, Opcode::if_);
      break;
    case Opcode::else_:
      // yield() opens the region of an else that belongs to an if.
      require(regions_.back().opening == at_, "it follows no if");
      break;
    case Opcode::loop:
      open(i.operand_count, Opcode::loop_param);
      for (int k = 0; k < i.operand_count; ++k) {
        if (p_[at_ + 1 + k].type != operand_type(k)) {
          fail(fmt::format("loop_param {} is {}, but its first value is {}", k,
                           name(p_[at_ + 1 + k].type), name(operand_type(k))));
        }
      }
      break;
    case Opcode::func: {
      require(
          regions_.size() == 1 && (at_ == 0 || p_[regions_[0].inside.back()].op == Opcode::func),
          "functions come first, one after the other");
      require_number(p_.function_names.size(), "function name");
      require(now().immediate == functions_++, "functions are numbered in their order");
      open(0, Opcode::func_param);
      break;
    }
    case Opcode::loop_param:
      parameter(Opcode::loop);
      break;
    case Opcode::func_param:
      parameter(Opcode::func);
      break;
    case Opcode::while_: {
      Region& r = regions_.back();
      require(r.opening != no_value && p_[r.opening].op == Opcode::loop && !r.tested,
              "it is not the one while of a loop");
      require_type(0, bool_);
      r.tested = true;
      break;
    }
    case Opcode::yield:
      yield();
      break;
    case Opcode::return_: {
      Region closed = std::move(regions_.back());
      require(closed.opening != no_value && p_[closed.opening].op == Opcode::func,
              "it closes no function");
      require(p_[closed.opening].end == at_ + 1, "the function's end is elsewhere");
      regions_.pop_back();
      end_values(closed);
      break;
    }
    case Opcode::result:
      result();
      break;
    default:
      call();
  }
}

/// Opens a region after checking its end and that `parameters` parameters follow.
void Verifier::open(int parameters, Opcode parameter) {
  if (now().end <= at_ + 1 || now().end > p_.size()) {
    fail(fmt::format("its end is {}, past the program or before its first instruction", now().end));
  }
  for (int k = 0; k < parameters; ++k) {
    Value v = at_ + 1 + k;
    if (v >= p_.size() || p_[v].op != parameter || p_[v].immediate != k) {
      fail(fmt::format("{} {} must follow it at %{}", name(parameter), k, v));
    }
  }
  regions_.back().inside.push_back(at_);
  regions_.push_back({.opening = at_});
}

void Verifier::parameter(Opcode opening) {
  Value o = regions_.back().opening;
  require(o != no_value && p_[o].op == opening, "it is no parameter of the region around it");
  require(now().immediate == at_ - 1 - o, "parameters follow their opening at once, in order");
  require(opening != Opcode::loop || now().immediate < p_[o].operand_count,
          "the loop has fewer values");
}

/// The operands of the yield that closes the part which `opening` opens.
std::span<const Value> Verifier::yielded(Value opening) const {
  return p_.operands_of(p_[p_[opening].end - 1]);
}

void Verifier::same_types(std::span<const Value> wanted, const char* what) const {
  if (static_cast<std::size_t>(now().operand_count) != wanted.size()) {
    fail(fmt::format("{} values, but {} has {}", now().operand_count, what, wanted.size()));
  }
  for (int k = 0; k < now().operand_count; ++k) {
    require_type(k, p_[wanted[static_cast<std::size_t>(k)]].type);
  }
}

void Verifier::yield() {
  Region closed = std::move(regions_.back());
  require(closed.opening != no_value && p_[closed.opening].op != Opcode::func,
          "it closes no if, else or loop");
  const Instruction& opening = p_[closed.opening];
  if (opening.end != at_ + 1) {
    fail(fmt::format("it closes %{}, whose end is {}", closed.opening, opening.end));
  }
  regions_.pop_back();
  bool otherwise =
      opening.op == Opcode::if_ && at_ + 1 < p_.size() && p_[at_ + 1].op == Opcode::else_;
  if (opening.op == Opcode::loop) {
    require(closed.tested, "the loop that it closes has no while");
    same_types(p_.operands_of(opening), "the loop");
  } else if (opening.op == Opcode::else_) {
    same_types(p_.operands_of(p_[closed.opening - 1]), "the other part");
  } else {
    require(otherwise || now().operand_count == 0, "an if that yields values needs an else");
  }
  end_values(closed);
  if (otherwise) {
    const Instruction& e = p_[at_ + 1];
    require(e.end > at_ + 2 && e.end <= p_.size(), "the end of its else is out of the program");
    regions_.push_back({.opening = at_ + 1});
  }
}

/// The values of a closed region go out of scope; a loop's parameters live on in the region around.
void Verifier::end_values(const Region& closed) {
  bool loop = p_[closed.opening].op == Opcode::loop;
  for (Value v : closed.inside) {
    if (loop && p_[v].op == Opcode::loop_param) regions_.back().inside.push_back(v);
    else visible_[static_cast<std::size_t>(v)] = false;
  }
}

void Verifier::result() {
  Value of = operand(0);
  std::span<const Value> values;
  if (p_[of].op == Opcode::call) {
    values = yielded(static_cast<Value>(p_[of].immediate));
  } else {
    require(p_[of].op == Opcode::if_ && p_[of].end <= at_ && p_[p_[of].end].op == Opcode::else_ &&
                p_[p_[of].end].end <= at_,
            "it takes an if with an else, closed before it, or a call");
    values = yielded(of);
  }
  require_number(values.size(), "value");
  require_type(p_[values[static_cast<std::size_t>(now().immediate)]].type);
}

void Verifier::call() {
  auto callee = now().immediate;
  require(callee >= 0 && callee < at_ && p_[static_cast<Value>(callee)].op == Opcode::func &&
              p_[static_cast<Value>(callee)].end <= at_,
          "it calls no function that ends before it");
  std::vector<Value> parameters;
  for (auto v = static_cast<Value>(callee) + 1; p_[v].op == Opcode::func_param; ++v) {
    parameters.push_back(v);
  }
  same_types(parameters, "the function");
}

void Verifier::run() {
  declarations();
  visible_.assign(p_.instructions.size(), true);
  regions_.push_back({.opening = no_value});
  for (at_ = 0; at_ < p_.size(); ++at_) {
    if (static_cast<int>(now().op) >= opcode_count || static_cast<int>(now().type) >= dtype_count) {
      throw InternalError(fmt::format(
          "verify: program '{}', instruction {}: no such opcode or type", p_.name, at_));
    }
    operands();
    bool opens = now().op == Opcode::if_ || now().op == Opcode::loop || now().op == Opcode::func;
    bool closes = now().op == Opcode::yield || now().op == Opcode::return_;
    instruction();
    if (!opens && !closes) regions_.back().inside.push_back(at_);
  }
  if (regions_.size() != 1) {
    at_ = regions_.back().opening;
    fail("its region is not closed");
  }
  if (functions_ != static_cast<std::int64_t>(p_.function_names.size())) {
    declaration_error(p_, fmt::format("{} function names for {} functions",
                                      p_.function_names.size(), functions_));
  }
}

}  // namespace

void verify(const Program& program) { Verifier(program).run(); }

}  // namespace noyau::jit
