// The one emitter of C-like text: signature, regions, one statement for each value.
// SPDX-License-Identifier: Apache-2.0
#include "jit/emit_c.hpp"

#include <fmt/format.h>

#include <map>

#include "jit/columns.hpp"
#include "jit/emit_c_text.hpp"
#include "jit/legalise.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

using Argument = KernelArgument;

constexpr int square_items = 16;  // as many float32 as a memory line has

Program legalise(const Program& program, const Dialect& dialect) {
  Program flat = flatten(program);
  return dialect.shuffle.empty() ? exchange_through_shared(flat) : flat;
}

class Emitter {
 public:
  Emitter(const Program& program, const Dialect& dialect, const EmitOptions& options)
      : d_(dialect), options_(options), p_(legalise(program, dialect)), c_(dialect) {}

  EmittedKernel run() {
    for (const auto n : p_.block_size) threads_ *= n;
    survey();
    if (p_.domain == Domain::items) open_items();
    else open_block();
    for (Value v = p_.entry(); v < p_.size(); ++v) instruction(v);
    for (int k = 0; k < item_loops_; ++k) close();
    std::string text = whole();  // after which it is known what it uses
    return {std::move(text), std::move(arguments_), c_.uses_float64()};
  }

 private:
  const Instruction& at(Value v) const { return p_[v]; }
  const MemoryObject& memory(const Instruction& i) const {
    return p_.memory[static_cast<std::size_t>(i.immediate)];
  }
  std::string_view i64() const { return c_.type(int64); }

  void line(const std::string& text) {
    body_.append(static_cast<std::size_t>(2 * depth_), ' ');
    body_ += text;
    body_ += '\n';
  }
  void open(const std::string& text) {
    line(text + " {");
    ++depth_;
  }
  void close() {
    --depth_;
    line("}");
  }

  // ---- declarations

  /// Which extents, thread and block numbers and types the program uses.
  void survey() {
    for (const MemoryObject& m : p_.memory) c_.note(m.dtype);
    for (const Parameter& p : p_.parameters) c_.note(p.dtype);
    for (const Instruction& i : p_.instructions) {
      c_.note(i.type);
      if (i.op == Opcode::thread || i.op == Opcode::block) {
        (i.op == Opcode::thread ? uses_thread_ : uses_block_)[i.immediate] = true;
        if (i.op == Opcode::block && i.flags == lone_axis) lone_ = true;
      }
      if (i.op == Opcode::load || i.op == Opcode::store) survey_vector(i);
      if (i.op == Opcode::shuffle || i.op == Opcode::vote) needs_lane_ = true;
      if (i.op == Opcode::fault) faults_ = true;
    }
  }

  /// A load or store that is marked as the first of a vector, with the rest right after it.
  void survey_vector(const Instruction& i) {
    const auto v = static_cast<Value>(&i - p_.instructions.data());
    const Value end = v + i.flags;
    if (i.flags < 2 || vectors_.count(v) != 0 || end > p_.size() ||
        memory(i).kind == MemoryObject::Kind::private_)
      return;
    for (Value k = v + 1; k < end; ++k) {
      const Instruction& other = at(k);
      if (other.op != i.op || other.flags != i.flags || other.immediate != i.immediate) return;
    }
    for (Value k = v; k < end; ++k) vectors_[k] = {v, k - v};
  }
  struct InVector {
    Value first, number;
  };
  static std::string in_vector(const InVector& at, DType type) {
    const std::string text = fmt::format("v{}.{}", at.first, "xyzw"[at.number]);
    return type == bool_ ? fmt::format("({} != 0)", text) : text;
  }
  std::string vector_type(const Instruction& i) const {
    return fmt::format("{}{}", d_.vector_types[static_cast<int>(i.type)], i.flags);
  }
  /// All elements of the vector that begins with instruction v, in one access.
  void vector_access(Value v) {
    const Instruction& i = at(v);
    const std::string type = vector_type(i);
    const std::string place = fmt::format(
        "*({}{}{}*)({} + {})", memory(i).kind == MemoryObject::Kind::buffer ? d_.global : d_.local,
        i.op == Opcode::load ? "const " : "", type,
        name_of_memory(static_cast<std::size_t>(i.immediate)), operand(i, 0));
    if (i.op == Opcode::load) return line(fmt::format("const {} v{} = {};", type, v, place));
    std::vector<std::string> values;
    for (Value k = v; k < v + i.flags; ++k) values.push_back(operand(at(k), 1));
    line(fmt::format("{} = {};", place,
                     fmt::format(fmt::runtime(d_.vector), type, fmt::join(values, ", "))));
  }

  std::string name_of_memory(std::size_t m) const {
    return fmt::format("{}{}", p_.memory[m].kind == MemoryObject::Kind::buffer ? "b" : "m", m);
  }

  std::string signature() {
    std::vector<std::string> texts;
    const auto add = [&](Argument argument, std::string text) {
      arguments_.push_back(argument);
      texts.push_back(std::move(text));
    };
    std::int32_t buffers = 0;
    for (std::size_t m = 0; m < p_.memory.size(); ++m) {
      const MemoryObject& o = p_.memory[m];
      if (o.kind != MemoryObject::Kind::buffer) continue;
      const std::string handle = fmt::format("b{}{}", m, d_.handles ? "_handle" : "");
      add({Argument::Kind::buffer, buffers, o.dtype},
          fmt::format("{}{}{}* {}", d_.global, o.written ? "" : "const ", c_.stored_type(o.dtype),
                      handle));
      if (d_.handles) {
        add({Argument::Kind::offset, buffers, int64}, fmt::format("const {} b{}_offset", i64(), m));
      }
      ++buffers;
    }
    for (std::size_t p = 0; p < p_.parameters.size(); ++p) {
      const DType type = p_.parameters[p].dtype;
      add({Argument::Kind::parameter, static_cast<std::int32_t>(p), type},
          fmt::format("const {} p{}", c_.stored_type(type), p));
    }
    for (std::int32_t axis = 0; axis < 3; ++axis) {
      add({Argument::Kind::extent, axis, int64}, fmt::format("const {} n{}", i64(), axis));
    }
    for (std::int32_t axis = 0; axis < 3 && runs(); ++axis) {
      add({Argument::Kind::run, axis, int64}, fmt::format("const {} run{}", i64(), axis));
    }
    for (std::size_t m = 0; m < p_.memory.size() && d_.sized_local_arguments; ++m) {
      const MemoryObject& o = p_.memory[m];
      if (o.kind != MemoryObject::Kind::shared || o.size_parameter < 0) continue;
      add({Argument::Kind::local, static_cast<std::int32_t>(m), o.dtype},
          fmt::format("{}{}* m{}", d_.local, c_.stored_type(o.dtype), m));
    }
    if (faults_) {
      add({Argument::Kind::fault, 0, int64}, fmt::format("{}{}* faults", d_.global, i64()));
    }
    const std::string qualified = runs() ? std::string(d_.run_kernel)
                                  : p_.domain == Domain::items
                                      ? std::string(d_.item_kernel)
                                      : fmt::format(fmt::runtime(d_.kernel), p_.block_size[0],
                                                    p_.block_size[1], p_.block_size[2], threads_);
    return fmt::format("{} {}({})", qualified, entry_name, fmt::join(texts, ",\n    "));
  }

  void declare_memory() {
    std::string start = "0";
    for (std::size_t m = 0; m < p_.memory.size(); ++m) {
      const MemoryObject& o = p_.memory[m];
      const std::string_view type = c_.stored_type(o.dtype);
      if (o.kind == MemoryObject::Kind::buffer) {
        if (d_.handles) {
          line(fmt::format("{0}{1}{2}* b{3} = b{3}_handle + b{3}_offset;", d_.global,
                           o.written ? "" : "const ", type, m));
        }
      } else if (o.size_parameter < 0) {
        line(fmt::format("{}{} m{}[{}];", o.kind == MemoryObject::Kind::shared ? d_.shared : "",
                         type, m, o.elements));
      } else if (o.kind == MemoryObject::Kind::private_) {
        throw NotImplemented(
            fmt::format("compile: kernel '{}': its private array {} has a size that is known at "
                        "launch only; {} needs a constant",
                        p_.name, o.name, d_.name));
      } else if (!d_.sized_local_arguments) {
        if (start == "0") line(std::string(d_.dynamic_shared));
        line(
            fmt::format("{0}{1}* m{2} = ({0}{1}*)(noyau_shared + {3});", d_.local, type, m, start));
        start += fmt::format(" + (p{} * {} + 15) / 16 * 16", o.size_parameter, size_of(o.dtype));
      }
    }
  }

  bool runs() const { return options_.runs && p_.domain == Domain::items; }

  void open_loop(const std::string& counter, const std::string& begin, const std::string& end,
                 const std::string& step) {
    open(fmt::format("for ({0} {1} = {2}; {1} < {3}; {1} += {4})", i64(), counter, begin, end,
                     step));
    ++item_loops_;
  }

  /// A loop an axis, so that a launch may have fewer threads than items.
  void open_items() {
    ++depth_;
    declare_memory();
    if (runs()) return open_runs();
    for (int axis = 2; axis >= 0; --axis) {
      open_loop(fmt::format("i{}", axis), std::string(d_.item[axis]), fmt::format("n{}", axis),
                std::string(d_.items[axis]));
    }
  }

  /// Loops over the thread's run of each axis; in squares where lines are shared along axis 1.
  void open_runs() {
    for (int axis = 2; axis >= 0; --axis) {
      line(fmt::format("const {0} first{1} = {2} * run{1};", i64(), axis, d_.item[axis]));
      line(fmt::format("const {0} end{1} = n{1} - first{1} < run{1} ? n{1} : first{1} + run{1};",
                       i64(), axis));
    }
    const auto loop = [&](int axis, const char* counter, const char* begin, const char* end,
                          int step) {
      const auto named = [&](const char* name) { return fmt::format("{}{}", name, axis); };
      open_loop(named(counter), named(begin), named(end), std::to_string(step));
    };
    loop(2, "i", "first", "end", 1);
    const bool squares = reads_columns(p_);
    for (int axis = 1; axis >= 0 && squares; --axis) {
      loop(axis, "square", "first", "end", square_items);
      line(fmt::format("const {0} stop{1} = end{1} - square{1} < {2} ? end{1} : square{1} + {2};",
                       i64(), axis, square_items));
    }
    for (int axis = 1; axis >= 0; --axis) {
      if (axis == 0 && is_straight(p_) && !faults_ && !d_.independent_loop.empty()) {
        line(std::string(d_.independent_loop));
      }
      loop(axis, "i", squares ? "square" : "first", squares ? "stop" : "end", 1);
    }
  }

  void open_block() {
    ++depth_;
    declare_memory();
    for (int axis = 0; axis < 3; ++axis) {
      if (!uses_thread_[axis] && !needs_lane_) continue;
      line(fmt::format("const {} t{} = {};", i64(), axis, d_.thread[axis]));
    }
    if (needs_lane_) {
      line(fmt::format("const {} thread = t0 + {} * (t1 + {} * t2);", i64(), p_.block_size[0],
                       p_.block_size[1]));
    }
    open_block_numbers();
  }

  /// The launch has all blocks on one axis.
  void open_block_numbers() {
    const std::string_view u = d_.block_number;
    if (uses_block_[1] || uses_block_[2]) {
      line(fmt::format("const {0} block = ({0}){1}, rows = block / ({0})n0;", u, d_.block));
      const std::string part[] = {fmt::format("block - rows * ({})n0", u),
                                  fmt::format("rows % ({})n1", u), fmt::format("rows / ({})n1", u)};
      for (int axis = 0; axis < 3; ++axis) {
        if (uses_block_[axis]) {
          line(fmt::format("const {0} g{1} = ({0})({2});", i64(), axis, part[axis]));
        }
      }
    } else if (uses_block_[0]) {
      line(lone_ ? fmt::format("const {} g0 = {};", i64(), d_.block)
                 : fmt::format("const {0} g0 = ({0})(({1}){2} % ({1})n0);", i64(), u, d_.block));
    }
  }

  std::string whole() {
    std::string comment = p_.name;
    for (char& c : comment) {
      if (c == '\n' || c == '\r' || c == '\\') c = ' ';
    }
    std::string text = fmt::format("// {}\n{}", comment, d_.prologue);
    const std::string head = signature();
    if (c_.uses_float64()) text += d_.float64_prologue;
    if (c_.uses_int64_atomics()) text += d_.int64_atomics_prologue;
    return fmt::format("{}{}{} {{\n{}}}\n", text, c_.functions(), head, body_);
  }

  // ---- values

  std::string ref(Value v) const {
    const Instruction& i = at(v);
    switch (i.op) {
      case Opcode::constant:
        return c_.literal(i.type, static_cast<std::uint64_t>(i.immediate));
      case Opcode::parameter:
        return i.type == bool_ ? fmt::format("(p{} != 0)", i.immediate)
                               : fmt::format("p{}", i.immediate);
      case Opcode::item:
        return fmt::format("i{}", i.immediate);
      case Opcode::block:
        return fmt::format("g{}", i.immediate);
      case Opcode::thread:
        return fmt::format("t{}", i.immediate);
      case Opcode::result:
        return fmt::format("v{}_{}", p_.operands_of(i)[0], i.immediate);
      case Opcode::load:
        if (const auto found = vectors_.find(v); found != vectors_.end())
          return in_vector(found->second, i.type);
        return fmt::format("v{}", v);
      default:
        return fmt::format("v{}", v);
    }
  }
  std::string operand(const Instruction& i, int k) const {
    return ref(p_.operands_of(i)[static_cast<std::size_t>(k)]);
  }
  void define(Value v, const std::string& text) {
    line(fmt::format("const {} v{} = {};", c_.type(at(v).type), v, text));
  }
  std::string element(const Instruction& i) const {
    return fmt::format("{}[{}]", name_of_memory(static_cast<std::size_t>(i.immediate)),
                       operand(i, 0));
  }

  void instruction(Value v) {
    const Instruction& i = at(v);
    if (is_arithmetic(i.op) || is_comparison(i.op)) return arithmetic(v);
    if (const auto found = vectors_.find(v); found != vectors_.end()) {
      if (found->second.number == 0) vector_access(v);
      return;
    }
    switch (i.op) {
      case Opcode::select:
        return define(v, fmt::format("{} ? {} : {}", operand(i, 0), operand(i, 1), operand(i, 2)));
      case Opcode::convert:
        return define(v, c_.convert(at(p_.operands_of(i)[0]).type, i.type, operand(i, 0)));
      case Opcode::bitcast:
        return define(v, c_.bitcast(i.type, operand(i, 0)));
      case Opcode::load:
        return define(v, element(i) + (i.type == bool_ ? " != 0" : ""));
      case Opcode::store:
        return line(fmt::format("{} = {};", element(i), operand(i, 1)));
      case Opcode::atomic:
        return atomic(v);
      case Opcode::barrier:
        return line(std::string(d_.barrier));
      case Opcode::fence:
        return line(std::string(d_.fence));
      case Opcode::shuffle:
        return define(v, c_.shuffle(static_cast<ShuffleMode>(i.mode), i.type, threads_, "thread",
                                    operand(i, 0), operand(i, 1)));
      case Opcode::vote:
        return define(v, c_.vote(static_cast<VoteMode>(i.mode), threads_, "thread", operand(i, 0)));
      case Opcode::fault:
        return line(fmt::format("if ({}) {};", operand(i, 0),
                                c_.fault("faults", std::to_string(i.immediate), operand(i, 1))));
      case Opcode::print:
        return print(i);
      default:
        return region(v);
    }
  }

  void arithmetic(Value v) {
    const Instruction& i = at(v);
    std::string x[3];
    for (int k = 0; k < i.operand_count; ++k) x[k] = operand(i, k);
    const Instruction& last = at(p_.operands_of(i).back());
    const auto bits = static_cast<std::uint64_t>(last.immediate);
    define(v, c_.arithmetic(i.op, last.type, x, last.op == Opcode::constant ? &bits : nullptr,
                            most(p_.operands_of(i).back())));
  }
  /// What a small integer is at most, when it is seen at once that it is not negative either: a
  /// constant, some low bits of something, a constant less that; converted or not. Else -1.
  std::int64_t most(Value v) const {
    constexpr std::int64_t small = 127;  // fits every integer
    while (at(v).op == Opcode::convert && is_integer(at(v).type)) v = p_.operands_of(at(v))[0];
    const Instruction& i = at(v);
    if (!is_integer(i.type)) return -1;
    const auto constant = [&](Value c) {
      const bool known = at(c).op == Opcode::constant && at(c).immediate >= 0;
      return known && at(c).immediate <= small ? at(c).immediate : -1;
    };
    if (i.op == Opcode::constant) return constant(v);
    if (i.op == Opcode::bit_and) return constant(p_.operands_of(i)[1]);
    if (i.op != Opcode::subtract) return -1;
    const Value taken = p_.operands_of(i)[1];
    const std::int64_t from = constant(p_.operands_of(i)[0]);
    const std::int64_t masked =
        at(taken).op == Opcode::bit_and ? constant(p_.operands_of(at(taken))[1]) : -1;
    return masked >= 0 && masked <= from ? from : -1;
  }

  void atomic(Value v) {
    const Instruction& i = at(v);
    const auto op = static_cast<AtomicOp>(i.mode);
    const auto order = static_cast<MemoryOrder>(i.flags);
    const bool shared = memory(i).kind == MemoryObject::Kind::shared;
    if (order == MemoryOrder::release || order == MemoryOrder::acquire_release) {
      line(std::string(d_.fence));
    }
    const std::string text =
        c_.atomic(op, i.type, shared, "&" + element(i), i.operand_count > 1 ? operand(i, 1) : "",
                  i.operand_count > 2 ? operand(i, 2) : "");
    if (op == AtomicOp::store) line(text + ";");
    else define(v, text);
    if (order == MemoryOrder::acquire || order == MemoryOrder::acquire_release) {
      line(std::string(d_.fence));
    }
  }

  /// Every conversion shows its value as print_format does: a length for 64 bits, a cast.
  void print(const Instruction& i) {
    if (d_.print.empty()) {
      throw NotImplemented(
          fmt::format("compile: kernel '{}' prints, which {} cannot", p_.name, d_.name));
    }
    const std::string& format = p_.formats[static_cast<std::size_t>(i.immediate)];
    std::string made, values;
    int used = 0;
    for (std::size_t k = 0; k < format.size(); ++k) {
      if (format[k] != '%') {
        made += escaped(format[k]);
        continue;
      }
      std::size_t end = format.find_first_not_of("-+ #0123456789.", k + 1);
      const std::string flags = format.substr(k + 1, end == std::string::npos ? end : end - k - 1);
      end = format.find_first_not_of("hlLqjzt", end);
      const char letter = end == std::string::npos ? '\0' : format[end];
      const bool value = letter != '\0' && used < i.operand_count &&
                         std::string_view("diuxXoceEfFgGaA").find(letter) != std::string_view::npos;
      if (value) {
        values += ", " + printed(i, used++, letter);
        const bool integer = std::string_view("diuxXo").find(letter) != std::string_view::npos;
        made += fmt::format("%{}{}{}", flags, integer ? d_.print_int64 : "", letter);
        k = end;
      } else {
        made += "%%";
        if (letter == '%') k = end;
      }
    }
    line(fmt::format(fmt::runtime(d_.print), fmt::format("\"{}\"{}", made, values)) + ";");
  }
  static std::string escaped(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') return {'\\', c};
    return byte >= ' ' && byte < 127 ? std::string(1, c) : fmt::format("\\{:03o}", byte);
  }
  std::string printed(const Instruction& i, int k, char letter) {
    const DType from = at(p_.operands_of(i)[static_cast<std::size_t>(k)]).type;
    const std::string x = operand(i, k);
    switch (letter) {
      case 'd':
      case 'i':
        return c_.convert(from, int64, x);
      case 'c':
        return c_.convert(from, int32, x);
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        if (!is_signed_integer(from)) return c_.convert(from, uint64, x);
        // A negative number shows its own bits.
        return c_.cast(uint64, c_.cast(static_cast<DType>(static_cast<int>(from) + 4), x));
      default:
        return is_floating(from) ? x : c_.convert(from, float32, x);
    }
  }

  // ---- regions

  std::string_view loop_hint(const Instruction& i) const {
    switch (i.flags) {
      case independent_loop:
        return d_.independent_loop;
      case brief_loop:
        return d_.brief_loop;
      case unrolled_loop:
        return d_.unrolled_loop;
      case partly_unrolled_loop:
        return d_.partly_unrolled_loop;
      case rolled_loop:
        return d_.rolled_loop;
      default:
        return {};
    }
  }

  void region(Value v) {
    const Instruction& i = at(v);
    switch (i.op) {
      case Opcode::if_: {
        const Instruction& yielded = at(i.end - 1);
        for (int k = 0; k < yielded.operand_count; ++k) {
          const Value value = p_.operands_of(yielded)[static_cast<std::size_t>(k)];
          line(fmt::format("{} v{}_{};", c_.type(at(value).type), v, k));
        }
        open(fmt::format("if ({})", operand(i, 0)));
        open_.push_back({v, v});
        return;
      }
      case Opcode::else_:
        open("else");
        open_.push_back({v, last_if_});
        return;
      case Opcode::loop:
        for (int k = 0; k < i.operand_count; ++k) {
          line(fmt::format("{} v{} = {};", c_.type(at(v + 1 + k).type), v + 1 + k, operand(i, k)));
        }
        if (!loop_hint(i).empty()) line(std::string(loop_hint(i)));
        open("for (;;)");
        open_.push_back({v, no_value});
        return;
      case Opcode::while_:
        return line(fmt::format("if (!{}) break;", operand(i, 0)));
      case Opcode::yield:
        return yield(i);
      default:
        return;  // leaves, loop parameters and results are named where they are used
    }
  }

  void yield(const Instruction& i) {
    const Open region = open_.back();
    open_.pop_back();
    if (region.if_ != no_value) {
      for (int k = 0; k < i.operand_count; ++k) {
        line(fmt::format("v{}_{} = {};", region.if_, k, operand(i, k)));
      }
      last_if_ = region.if_;
    } else {
      next_round(region.opening, i);
    }
    close();
  }

  /// All at once: a parameter that another one becomes is read before it is written.
  void next_round(Value loop, const Instruction& i) {
    const auto operands = p_.operands_of(i);
    const Value first = loop + 1, end = first + i.operand_count;
    for (Value p = first; p < end; ++p) {
      const Value next = operands[static_cast<std::size_t>(p - first)];
      if (next >= first && next < end && next != p) {
        line(fmt::format("const {} next{} = v{};", c_.type(at(p).type), p, next));
      }
    }
    for (Value p = first; p < end; ++p) {
      const Value next = operands[static_cast<std::size_t>(p - first)];
      if (next == p) continue;
      const bool kept = next >= first && next < end;
      line(fmt::format("v{} = {};", p, kept ? fmt::format("next{}", p) : ref(next)));
    }
  }

  struct Open {
    Value opening, if_;  ///< the if of both its parts; no_value for a loop
  };

  const Dialect& d_;
  const EmitOptions options_;
  const Program p_;
  CText c_;
  std::string body_;
  int depth_ = 0, item_loops_ = 0;
  std::vector<KernelArgument> arguments_;
  std::vector<Open> open_;
  std::map<Value, InVector> vectors_;  ///< loads and stores that are parts of vectors
  Value last_if_ = no_value;
  std::int64_t threads_ = 1;
  bool uses_thread_[3] = {}, uses_block_[3] = {}, needs_lane_ = false, faults_ = false,
       lone_ = false;
};

}  // namespace

EmittedKernel emit_c(const Program& program, const Dialect& dialect, const EmitOptions& options) {
  return Emitter(program, dialect, options).run();
}

std::string numbered_lines(const std::string& text) {
  std::string out;
  int line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += fmt::format("{:4} {}\n", line++, text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

}  // namespace noyau::jit
