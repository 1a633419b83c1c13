// Parses the text form of Programs, the form that print makes.
// SPDX-License-Identifier: Apache-2.0
//
//   program "row sum"                      its name
//   blocks 64, 1, 1                        or: items (and then no block size)
//   parameter n: int64                     scalars
//   buffer x: float32 read                 or written, read written; streamed
//   shared t: float32[64]                  or float32[n]; also private
//   format "at %d"                         of print
//
//   %i: int64 = item 0                     one instruction a line; a value's type may be left out
//   %x: float32 = load x[%i]               where the operands or a declaration tell it
//   %c: float32 = constant 1.5             decimal, hexadecimal (0x1.8p+0), inf, `bits 0x7fc00000`
//   %f = func square ... return %r         called by `%k = call %f, %x` and `%y = result %k, 0`
//   store y[%i], %x                        // a comment
//   %o = atomic add relaxed x[%i], %x      operation, memory order
//   %s = shuffle down %x, %i               %v = vote any %c   fault 7, %c, %i   print 0, %x
//   %8 = if %c  ... yield  else ... yield  %r = result %8, 0
//   %9 = loop %a, %b                       %p = loop_param  ... while %c  ... yield %a2, %b2
//
// Values have any name after the %; `!123` at the end of a line is its place in the user's text.
// Memory objects and parameters are named, or numbered (#0) where a name is no identifier.
#include <fmt/format.h>

#include <charconv>
#include <map>
#include <string>

#include "jit/program.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {

namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// One line of the text, read from left to right.
class Line {
 public:
  Line(std::string_view text, int number) : text_(text), number_(number) {}

  [[noreturn]] void fail(const std::string& why) const {
    throw CompileError(fmt::format("program text, line {}, column {}: {}\n  {}\n  {}^", number_,
                                   at_ + 1, why, text_, std::string(at_, ' ')));
  }
  bool at_end() {
    skip();
    return at_ == text_.size();
  }
  bool accept(char c) {
    skip();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("expected '{}'", c));
  }
  bool next_is(char c) {
    skip();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool next_is_word() {
    skip();
    return at_ < text_.size() && is_word(text_[at_]);
  }
  std::string_view word(const char* what) {
    skip();
    std::size_t start = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    if (at_ == start) fail(fmt::format("expected {}", what));
    return text_.substr(start, at_ - start);
  }
  bool accept_word(std::string_view wanted) {
    skip();
    std::size_t start = at_;
    if (next_is_word() && word("") == wanted) return true;
    at_ = start;
    return false;
  }
  std::string text();
  std::string name() { return next_is('"') ? text() : std::string(word("a name")); }
  /// A number as from_chars reads it, of type T; `0x` before it means hexadecimal.
  template <class T>
  T number();
  std::size_t position() {
    skip();
    return at_;
  }
  void go_back(std::size_t position) { at_ = position; }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    if (text_.substr(at_).starts_with("//")) at_ = text_.size();
  }
  std::string_view text_;
  int number_;
  std::size_t at_ = 0;
};

std::string Line::text() {
  expect('"');
  std::string out;
  while (at_ < text_.size() && text_[at_] != '"') {
    char c = text_[at_++];
    if (c == '\\' && at_ < text_.size()) {
      c = text_[at_++];
      if (c == 'n') c = '\n';
      else if (c == 'x') {
        unsigned code = 0;
        auto digits = text_.substr(at_, 2);
        auto end = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16).ptr;
        if (end != digits.data() + 2) fail("expected two hexadecimal digits after \\x");
        at_ += 2;
        c = static_cast<char>(code);
      }
    }
    out += c;
  }
  expect('"');
  return out;
}

template <class T>
T Line::number() {
  skip();
  std::size_t start = at_;
  bool minus = accept('-');
  bool hexadecimal = text_.substr(at_).starts_with("0x");
  const char* last = text_.data() + text_.size();
  T value{};
  std::from_chars_result read{};
  if constexpr (std::is_floating_point_v<T>) {
    if (hexadecimal) at_ += 2;
    read = std::from_chars(text_.data() + at_, last, value,
                           hexadecimal ? std::chars_format::hex : std::chars_format::general);
    if (minus) value = -value;
  } else if (hexadecimal && !minus) {
    at_ += 2;
    read = std::from_chars(text_.data() + at_, last, value, 16);
  } else {
    read = std::from_chars(text_.data() + start, last, value);
  }
  if (read.ec != std::errc{}) {
    at_ = start;
    fail(read.ec == std::errc::result_out_of_range ? "the number does not fit its type"
                                                   : "expected a number");
  }
  at_ = static_cast<std::size_t>(read.ptr - text_.data());
  return value;
}

template <class Enum>
std::map<std::string_view, Enum> names_of(int count) {
  std::map<std::string_view, Enum> names;
  for (int k = 0; k < count; ++k) {
    auto e = static_cast<Enum>(k);
    if constexpr (std::is_same_v<Enum, DType>) names[noyau::name(e)] = e;
    else names[jit::name(e)] = e;
  }
  return names;
}

template <class Enum>
Enum one_of(Line& line, int count, const char* what) {
  std::size_t start = line.position();
  auto names = names_of<Enum>(count);
  auto found = names.find(line.word(what));
  if (found != names.end()) return found->second;
  line.go_back(start);
  line.fail(fmt::format("expected {}", what));
}

class Parser {
 public:
  Program parse(std::string_view text);

 private:
  bool declaration(Line& line);
  void memory(Line& line, MemoryObject::Kind kind);
  void instruction(Line& line);
  void infer_type(Line& line, Instruction& i, bool typed);
  void read_operands(Line& line, Instruction& i, bool comma_first);
  void read_memory(Line& line, Instruction& i);
  void read_rest(Line& line, Instruction& i, bool typed);
  std::int64_t constant(Line& line, DType type);
  Value value(Line& line);
  std::string value_name(Line& line) {
    line.expect('%');
    return std::string(line.word("the name of a value"));
  }
  template <class T>
  int reference(Line& line, const std::vector<T>& things, const char* what);
  void open_or_close(Line& line, Instruction& i);
  DType operand_type(const Instruction& i, int k) const {
    if (k >= i.operand_count) return bool_;
    return p_[p_.operands_of(i)[static_cast<std::size_t>(k)]].type;
  }

  Program p_;
  std::map<std::string, Value, std::less<>> values_;
  std::vector<Value> open_;
  std::map<std::string_view, Opcode> opcodes_ = names_of<Opcode>(opcode_count);
};

template <class T>
int Parser::reference(Line& line, const std::vector<T>& things, const char* what) {
  std::size_t start = line.position();
  if (line.accept('#')) return line.number<int>();
  std::string_view wanted = line.word(what);
  for (std::size_t k = 0; k < things.size(); ++k) {
    if (things[k].name == wanted) return static_cast<int>(k);
  }
  line.go_back(start);
  line.fail(fmt::format("no {} named '{}' is declared", what, wanted));
}

bool Parser::declaration(Line& line) {
  if (line.accept_word("program")) {
    p_.name = line.text();
  } else if (line.accept_word("items")) {
    p_.domain = Domain::items;
  } else if (line.accept_word("blocks")) {
    p_.domain = Domain::blocks;
    for (int k = 0; k < 3; ++k) {
      if (k == 0 || line.accept(',')) p_.block_size[k] = line.number<std::int32_t>();
    }
  } else if (line.accept_word("parameter")) {
    Parameter parameter;
    parameter.name = line.name();
    line.expect(':');
    parameter.dtype = one_of<DType>(line, dtype_count, "a type");
    p_.parameters.push_back(parameter);
  } else if (line.accept_word("buffer")) {
    memory(line, MemoryObject::Kind::buffer);
  } else if (line.accept_word("shared")) {
    memory(line, MemoryObject::Kind::shared);
  } else if (line.accept_word("private")) {
    memory(line, MemoryObject::Kind::private_);
  } else if (line.accept_word("format")) {
    p_.formats.push_back(line.text());
  } else {
    return false;
  }
  return true;
}

void Parser::memory(Line& line, MemoryObject::Kind kind) {
  MemoryObject m;
  m.kind = kind;
  m.name = line.name();
  line.expect(':');
  m.dtype = one_of<DType>(line, dtype_count, "a type");
  if (line.accept('[')) {
    std::size_t start = line.position();
    char first = line.next_is_word() ? line.word("")[0] : '#';
    line.go_back(start);
    if (first >= '0' && first <= '9') m.elements = line.number<std::int64_t>();
    else m.size_parameter = reference(line, p_.parameters, "parameter");
    line.expect(']');
  }
  bool buffer = kind == MemoryObject::Kind::buffer;
  m.read = line.accept_word("read") || !buffer;
  m.written = line.accept_word("written") || !buffer;
  m.streamed = line.accept_word("streamed");
  p_.memory.push_back(std::move(m));
}

Value Parser::value(Line& line) {
  std::size_t start = line.position();
  auto found = values_.find(value_name(line));
  if (found != values_.end()) return found->second;
  line.go_back(start);
  line.fail("no line above makes this value");
}

void Parser::read_operands(Line& line, Instruction& i, bool comma_first) {
  if (!comma_first && !line.next_is('%')) return;
  while (!comma_first || line.accept(',')) {
    p_.operands.push_back(value(line));
    ++i.operand_count;
    comma_first = true;
  }
}

void Parser::read_memory(Line& line, Instruction& i) {
  i.immediate = reference(line, p_.memory, "memory object");
  line.expect('[');
  p_.operands.push_back(value(line));
  ++i.operand_count;
  line.expect(']');
  read_operands(line, i, true);
  auto number = static_cast<std::size_t>(i.immediate);
  if (number < p_.memory.size()) i.type = p_.memory[number].dtype;
}

std::int64_t Parser::constant(Line& line, DType type) {
  if (line.accept_word("bits")) return static_cast<std::int64_t>(line.number<std::uint64_t>());
  if (type == bool_) {
    if (line.accept_word("true")) return 1;
    if (!line.accept_word("false")) line.fail("expected true or false");
    return 0;
  }
  Scalar s;
  switch (type) {
    case int8:
      s = Scalar::of(line.number<std::int8_t>());
      break;
    case int16:
      s = Scalar::of(line.number<std::int16_t>());
      break;
    case int32:
      s = Scalar::of(line.number<std::int32_t>());
      break;
    case int64:
      s = Scalar::of(line.number<std::int64_t>());
      break;
    case uint8:
      s = Scalar::of(line.number<std::uint8_t>());
      break;
    case uint16:
      s = Scalar::of(line.number<std::uint16_t>());
      break;
    case uint32:
      s = Scalar::of(line.number<std::uint32_t>());
      break;
    case uint64:
      s = Scalar::of(line.number<std::uint64_t>());
      break;
    case float32:
      s = Scalar::of(line.number<float>());
      break;
    default:
      s = Scalar::of(line.number<double>()).as(type);
  }
  return static_cast<std::int64_t>(s.bits);
}

/// What follows the opcode's name, for the opcodes that have more than operands.
void Parser::read_rest(Line& line, Instruction& i, bool typed) {
  switch (i.op) {
    case Opcode::constant:
      if (!typed) line.fail("a constant needs its type: %name: float32 = constant ...");
      i.immediate = constant(line, i.type);
      break;
    case Opcode::parameter: {
      i.immediate = reference(line, p_.parameters, "parameter");
      auto number = static_cast<std::size_t>(i.immediate);
      if (!typed && number < p_.parameters.size()) i.type = p_.parameters[number].dtype;
      break;
    }
    case Opcode::item:
    case Opcode::block:
    case Opcode::thread:
      i.immediate = line.number<std::int64_t>();
      break;
    case Opcode::loop_param:
    case Opcode::func_param:
      if (open_.empty()) line.fail("no loop or function is open");
      i.immediate =
          line.next_is_word() ? line.number<std::int64_t>() : p_.size() - 2 - open_.back();
      break;
    case Opcode::load:
    case Opcode::store:
      read_memory(line, i);
      break;
    case Opcode::atomic:
      i.mode = static_cast<std::uint8_t>(
          one_of<AtomicOp>(line, static_cast<int>(AtomicOp::store) + 1, "an atomic operation"));
      i.flags = static_cast<std::uint8_t>(one_of<MemoryOrder>(
          line, static_cast<int>(MemoryOrder::acquire_release) + 1, "a memory order"));
      read_memory(line, i);
      break;
    case Opcode::shuffle:
      i.mode = static_cast<std::uint8_t>(
          one_of<ShuffleMode>(line, static_cast<int>(ShuffleMode::up) + 1, "a shuffle mode"));
      read_operands(line, i, false);
      break;
    case Opcode::vote:
      i.mode = static_cast<std::uint8_t>(
          one_of<VoteMode>(line, static_cast<int>(VoteMode::all) + 1, "a vote mode"));
      read_operands(line, i, false);
      break;
    case Opcode::fault:
    case Opcode::print:
      i.immediate = line.number<std::int64_t>();
      read_operands(line, i, true);
      break;
    case Opcode::result:
      p_.operands.push_back(value(line));
      i.operand_count = 1;
      line.expect(',');
      i.immediate = line.number<std::int64_t>();
      break;
    case Opcode::func:
      i.immediate = static_cast<std::int64_t>(p_.function_names.size());
      p_.function_names.push_back(line.name());
      break;
    case Opcode::call:
      i.immediate = value(line);
      if (p_[static_cast<Value>(i.immediate)].op != Opcode::func) line.fail("it is no function");
      read_operands(line, i, true);
      break;
    default:
      read_operands(line, i, false);
  }
}

/// The type of an instruction whose line does not give it.
void Parser::infer_type(Line& line, Instruction& i, bool typed) {
  auto needs_type = [&] {
    if (!typed) line.fail(fmt::format("{} needs the type of its value", jit::name(i.op)));
  };
  if (i.op == Opcode::convert || i.op == Opcode::bitcast || i.op == Opcode::func_param)
    needs_type();
  if (typed) return;
  if (i.op == Opcode::item || i.op == Opcode::block || i.op == Opcode::thread) {
    i.type = int64;
  } else if (is_arithmetic(i.op) || i.op == Opcode::shuffle) {
    i.type = operand_type(i, 0);
  } else if (i.op == Opcode::select) {
    i.type = operand_type(i, 1);
  } else if (i.op == Opcode::loop_param) {
    i.type = operand_type(p_[open_.back()], static_cast<int>(i.immediate));
  } else if (i.op == Opcode::result) {
    Value of = p_.operands_of(i)[0];
    Value region = p_[of].op == Opcode::call ? static_cast<Value>(p_[of].immediate) : of;
    Value end = p_[region].end;
    if (end <= 0 || end > p_.size()) line.fail("it is the result of no closed if, and of no call");
    i.type = operand_type(p_[end - 1], static_cast<int>(i.immediate));
  }
}

/// Follows the nesting of regions, whose ends are told by their yield or return.
void Parser::open_or_close(Line& line, Instruction& i) {
  const Value at = p_.size() - 1;
  if (i.op == Opcode::if_ || i.op == Opcode::loop || i.op == Opcode::func) {
    open_.push_back(at);
  } else if (i.op == Opcode::else_) {
    if (at < 1 || p_[at - 1].op != Opcode::yield) line.fail("an else follows the yield of its if");
    open_.push_back(at);
  } else if (i.op == Opcode::yield || i.op == Opcode::return_) {
    if (open_.empty()) line.fail("no region is open");
    p_.instructions[static_cast<std::size_t>(open_.back())].end = at + 1;
    open_.pop_back();
  }
}

void Parser::instruction(Line& line) {
  std::string named;
  Instruction i;
  bool typed = false;
  if (line.next_is('%')) {
    std::size_t start = line.position();
    named = value_name(line);
    if (values_.contains(named)) {
      line.go_back(start);
      line.fail("a line above makes a value of that name");
    }
    if (line.accept(':')) {
      i.type = one_of<DType>(line, dtype_count, "a type");
      typed = true;
    }
    line.expect('=');
  }
  std::size_t start = line.position();
  auto op = opcodes_.find(line.word("an instruction"));
  if (op == opcodes_.end()) {
    line.go_back(start);
    line.fail("no such instruction");
  }
  i.op = op->second;
  i.operands = static_cast<std::int32_t>(p_.operands.size());
  const DType given = i.type;
  p_.instructions.push_back(i);
  if (i.op >= Opcode::equal && i.op <= Opcode::greater_equal) i.type = bool_;
  read_rest(line, i, typed);
  if (typed) i.type = given;
  infer_type(
      line, i,
      typed || (i.op >= Opcode::load && i.op <= Opcode::atomic) || i.op == Opcode::parameter);
  if (line.accept('!')) i.place = line.number<std::int32_t>();
  if (!line.at_end()) line.fail("expected the end of the line");
  p_.instructions.back() = i;
  open_or_close(line, i);
  if (!named.empty()) values_[named] = p_.size() - 1;
}

Program Parser::parse(std::string_view text) {
  int number = 0;
  bool declared = false;  // the first instruction ends the declarations
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    Line line(text.substr(0, end), ++number);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.at_end() || (!declared && declaration(line))) {
      if (!line.at_end()) line.fail("expected the end of the line");
      continue;
    }
    declared = true;
    instruction(line);
  }
  if (!open_.empty()) {
    throw CompileError(fmt::format("program text, line {}: `{}` is not closed by a yield or return",
                                   number, print_instruction(p_, open_.back())));
  }
  return std::move(p_);
}

}  // namespace

Program parse_program(std::string_view text) { return Parser().parse(text); }

}  // namespace noyau::jit
