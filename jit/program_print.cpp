// Prints Programs as text; program_text.cpp describes the form and parses it.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string>

#include "jit/program.hpp"

namespace noyau::jit {

namespace {

bool is_identifier(std::string_view s) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !s.empty() && letter(s[0]) &&
         std::ranges::all_of(s, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string quoted(std::string_view s) {
  std::string out = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') out += {'\\', c};
    else if (c == '\n') out += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else out += c;
  }
  return out + "\"";
}

std::string declared(std::string_view s) { return is_identifier(s) ? std::string(s) : quoted(s); }

template <class T>
std::string floating(std::uint64_t bits) {
  T value;
  __builtin_memcpy(&value, &bits, sizeof(T));
  if (std::isnan(value)) return fmt::format("bits {:#x}", bits);
  char text[64];  // shortest decimal that reads back as the same value
  auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

std::string constant(DType type, std::int64_t immediate) {
  auto bits = static_cast<std::uint64_t>(immediate);
  if (type == float32) return floating<float>(bits & 0xffffffffu);
  if (type == float64) return floating<double>(bits);
  if (is_half(type)) {
    const double value = Scalar{type, bits}.to_double();
    return std::isnan(value) ? fmt::format("bits {:#x}", bits)
                             : floating<double>(Scalar::of(value).bits);
  }
  if (type == bool_) return bits != 0 ? "true" : "false";
  if (is_unsigned_integer(type)) return fmt::format("{}", bits);
  return fmt::format("{}", Scalar{type, bits}.to_int64());
}

/// One program's printer: knows how each memory object and parameter is referred to.
class Printer {
 public:
  explicit Printer(const Program& program) : p_(program) {
    name_all(p_.memory, memory_);
    name_all(p_.parameters, parameters_);
  }
  std::string program() const;
  std::string instruction(Value v) const;

 private:
  template <class T>
  static void name_all(const std::vector<T>& things, std::vector<std::string>& references) {
    std::map<std::string_view, int> uses;
    for (const T& t : things) ++uses[t.name];
    for (const T& t : things) {
      references.push_back(is_identifier(t.name) && uses[t.name] == 1
                               ? t.name
                               : fmt::format("#{}", references.size()));
    }
  }
  static std::string reference(const std::vector<std::string>& references, std::int64_t number) {
    bool known = number >= 0 && number < static_cast<std::int64_t>(references.size());
    return known ? references[static_cast<std::size_t>(number)] : fmt::format("#{}", number);
  }
  std::string memory(const MemoryObject& m) const;
  std::string arguments(const Instruction& i, int from) const;

  const Program& p_;
  std::vector<std::string> memory_, parameters_;
};

std::string Printer::memory(const MemoryObject& m) const {
  constexpr std::string_view kinds[] = {"buffer", "shared", "private"};
  std::string line = fmt::format("{} {}: {}", kinds[static_cast<std::size_t>(m.kind)],
                                 declared(m.name), noyau::name(m.dtype));
  if (m.size_parameter >= 0) line += fmt::format("[{}]", reference(parameters_, m.size_parameter));
  else if (m.elements != 0) line += fmt::format("[{}]", m.elements);
  if (m.kind == MemoryObject::Kind::buffer) {
    if (m.read) line += " read";
    if (m.written) line += " written";
    if (m.streamed) line += " streamed";
  }
  return line + "\n";
}

std::string Printer::arguments(const Instruction& i, int from) const {
  std::string out;
  for (int k = from; k < i.operand_count; ++k) {
    out += fmt::format("{}%{}", k == from ? " " : ", ",
                       p_.operands[static_cast<std::size_t>(i.operands + k)]);
  }
  return out;
}

std::string Printer::instruction(Value v) const {
  const Instruction& i = p_[v];
  const std::string_view op = jit::name(i.op);
  const std::string typed = fmt::format("%{}: {} = {}", v, noyau::name(i.type), op);
  std::string where;
  if (i.op >= Opcode::load && i.op <= Opcode::atomic && i.operand_count > 0) {
    where = fmt::format(" {}[%{}]", reference(memory_, i.immediate),
                        p_.operands[static_cast<std::size_t>(i.operands)]);
    if (i.operand_count > 1) where += "," + arguments(i, 1);
  }
  std::string line;
  switch (i.op) {
    case Opcode::constant:
      line = typed + " " + constant(i.type, i.immediate);
      break;
    case Opcode::parameter:
      line = typed + " " + reference(parameters_, i.immediate);
      break;
    case Opcode::item:
    case Opcode::block:
    case Opcode::thread:
    case Opcode::loop_param:
    case Opcode::func_param:
      line = fmt::format("{} {}", typed, i.immediate);
      break;
    case Opcode::load:
      line = typed + where;
      break;
    case Opcode::store:
      line = std::string(op) + where;
      break;
    case Opcode::atomic: {
      auto mode = static_cast<AtomicOp>(i.mode);
      line = fmt::format("{} {} {}{}", mode == AtomicOp::store ? std::string(op) : typed,
                         jit::name(mode), jit::name(static_cast<MemoryOrder>(i.flags)), where);
      break;
    }
    case Opcode::shuffle:
      line = fmt::format("{} {}{}", typed, jit::name(static_cast<ShuffleMode>(i.mode)),
                         arguments(i, 0));
      break;
    case Opcode::vote:
      line =
          fmt::format("{} {}{}", typed, jit::name(static_cast<VoteMode>(i.mode)), arguments(i, 0));
      break;
    case Opcode::fault:
    case Opcode::print:
      line = fmt::format("{} {}{}{}", op, i.immediate, i.operand_count > 0 ? "," : "",
                         arguments(i, 0));
      break;
    case Opcode::result:
      line = fmt::format("{}{}, {}", typed, arguments(i, 0), i.immediate);
      break;
    case Opcode::if_:
    case Opcode::loop:
      line = fmt::format("%{} = {}{}", v, op, arguments(i, 0));
      break;
    case Opcode::func: {
      bool known =
          i.immediate >= 0 && i.immediate < static_cast<std::int64_t>(p_.function_names.size());
      line = fmt::format("%{} = {} {}", v, op,
                         known ? declared(p_.function_names[static_cast<std::size_t>(i.immediate)])
                               : fmt::format("#{}", i.immediate));
      break;
    }
    case Opcode::call:
      line = fmt::format("%{} = {} %{}{}{}", v, op, i.immediate, i.operand_count > 0 ? "," : "",
                         arguments(i, 0));
      break;
    case Opcode::barrier:
    case Opcode::fence:
    case Opcode::else_:
    case Opcode::while_:
    case Opcode::yield:
    case Opcode::return_:
      line = std::string(op) + arguments(i, 0);
      break;
    default:
      line = typed + arguments(i, 0);
  }
  if (i.place != 0) line += fmt::format(" !{}", i.place);
  return line;
}

std::string Printer::program() const {
  std::string out = fmt::format("program {}\n", quoted(p_.name));
  if (p_.domain == Domain::items) out += "items\n";
  else
    out += fmt::format("blocks {}, {}, {}\n", p_.block_size[0], p_.block_size[1], p_.block_size[2]);
  for (const auto& p : p_.parameters) {
    out += fmt::format("parameter {}: {}\n", declared(p.name), noyau::name(p.dtype));
  }
  for (const auto& m : p_.memory) out += memory(m);
  for (const auto& f : p_.formats) out += fmt::format("format {}\n", quoted(f));
  std::size_t depth = 0;
  for (Value v = 0; v < p_.size(); ++v) {
    Opcode op = p_[v].op;
    const std::size_t shown = op == Opcode::while_ && depth > 0 ? depth - 1 : depth;
    out.append(2 * std::min<std::size_t>(shown, 40), ' ');  // deep nesting stays linear
    out += instruction(v);
    out += '\n';
    if (op == Opcode::if_ || op == Opcode::else_ || op == Opcode::loop || op == Opcode::func)
      ++depth;
    if ((op == Opcode::yield || op == Opcode::return_) && depth > 0) --depth;
  }
  return out;
}

}  // namespace

std::string print(const Program& program) { return Printer(program).program(); }
std::string print_instruction(const Program& program, Value instruction) {
  return Printer(program).instruction(instruction);
}

}  // namespace noyau::jit
