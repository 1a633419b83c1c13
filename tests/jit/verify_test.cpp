// The verifier: each rule broken once.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>

#include "jit/program.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

constexpr const char* good_text = R"(
program "good"
blocks 32, 1, 1
parameter n: int64
parameter f: float32
buffer x: float32 read
buffer y: float32 written
buffer h: int32 read written
shared t: float32[32]
private s: float32[4]
format "%d"
%twice = func twice
  %a: float32 = func_param
  %b = add %a, %a
  return %b
%i = thread 0
%n = parameter n
%v = load x[%i]
%called = call %twice, %v
%w = result %called, 0
%c = less %i, %n
%q = if %c
  %inner = multiply %v, %v
  yield %inner
else
  yield %v
%r = result %q, 0
loop %i, %r
  %k = loop_param
  %z = loop_param
  %go = less %k, %n
while %go
  %next = add %k, %i
  yield %next, %z
barrier
%old: int32 = constant 1
%at = atomic add relaxed h[%i], %old
fault 3, %c, %i
print 0, %i
store y[%i], %z
)";

/// The verifier's message for text with one line replaced, or "valid".
std::string after_replacing(const std::string& line, const std::string& by) {
  std::string text = good_text;
  std::size_t at = text.find(line);
  EXPECT_NE(at, std::string::npos) << line;
  text.replace(at, line.size(), by);
  try {
    verify(parse_program(text));
  } catch (const InternalError& e) {
    return e.what();
  } catch (const Error& e) {
    return std::string("parse: ") + e.what();
  }
  return "valid";
}

/// The same for a change of the parsed program.
std::string after(const std::function<void(Program&)>& change) {
  Program p = parse_program(good_text);
  change(p);
  try {
    verify(p);
  } catch (const InternalError& e) {
    return e.what();
  }
  return "valid";
}

Instruction& find(Program& p, Opcode op) {
  for (Instruction& i : p.instructions) {
    if (i.op == op) return i;
  }
  throw InternalError("no such instruction in the test's program");
}

void expect(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << "got: " << message << "\nwanted: " << part;
}

TEST(Verify, accepts_the_good_program) {
  EXPECT_EQ(after([](Program&) {}), "valid");
  verify(Program{});
}

TEST(Verify, names_instruction_number_and_text) {
  EXPECT_EQ(after_replacing("%next = add %k, %i", "%next: int32 = add %k, %i"),
            "verify: program 'good', instruction 21, `%21: int32 = add %17, %4`: operand %17 is "
            "int64, but must be int32");
}

TEST(Verify, operands_are_made_before_and_in_scope) {
  expect(after([](Program& p) { p.operands.back() = 1000; }), "is not made before");
  expect(after([](Program& p) { p.operands.back() = -1; }), "is not made before");
  expect(after([](Program& p) { find(p, Opcode::store).operands = 1000; }),
         "outside the program's");
  expect(after([](Program& p) { find(p, Opcode::add).operand_count = 1; }), "add takes 2");
  expect(after_replacing("store y[%i], %z", "store y[%i], %inner"), "its region has ended");
  expect(after_replacing("store y[%i], %z", "store y[%next], %z"), "its region has ended");
  expect(after_replacing("store y[%i], %z", "store y[%i], %b"), "its region has ended");
  expect(after_replacing("store y[%i], %z", "store y[%i], %q"), "makes no value");
}

TEST(Verify, types) {
  expect(after_replacing("%inner = multiply %v, %v", "%inner = multiply %v, %i"),
         "must be float32");
  expect(after_replacing("%c = less %i, %n", "%c = less %i, %v"), "must be int64");
  expect(after_replacing("%c = less %i, %n", "%c = add %i, %n"), "must be bool");
  expect(after_replacing("%inner = multiply %v, %v", "%inner = bit_and %v, %v"),
         "bit_and has no meaning for float32");
  expect(after_replacing("%next = add %k, %i", "%next = sqrt %k"), "sqrt has no meaning for int64");
  expect(after_replacing("%w = result %called, 0", "%w = and_ %c"), "parse");
  expect(after_replacing("%w = result %called, 0", "%d = less %i, %n\n%w = add %d, %d"),
         "add has no meaning for bool");
  expect(after_replacing("%w = result %called, 0", "%w = select %i, %v, %v"), "must be bool");
  expect(after_replacing("%w = result %called, 0", "%w: float64 = bitcast %v"), "keeps the size");
  expect(after_replacing("%w = result %called, 0", "%u: int8 = convert %v\n%w: bool = bitcast %u"),
         "no bitcast");
  expect(after_replacing("%w = result %called, 0", "%w: float32 = convert %v"), "valid");
  expect(after([](Program& p) { find(p, Opcode::constant).immediate = 1ll << 32; }), "bits beyond");
  expect(after_replacing("%w = result %called, 0", "%w: bool = constant bits 2"), "0 or 1");
  expect(after([](Program& p) { find(p, Opcode::parameter).immediate = 2; }), "parameter 2 of 2");
  expect(after_replacing("%n = parameter n", "%n: int64 = parameter f"), "must be float32");
  expect(after_replacing("%i = thread 0", "%i = thread 3"), "axis 3 of 3");
  expect(after_replacing("%i = thread 0", "%i: int32 = thread 0"), "must be int64");
  expect(after_replacing("%i = thread 0", "%i = item 0"), "item belongs to items programs");
}

TEST(Verify, halves_are_only_stored_and_converted) {
  const std::string at = "%w = result %called, 0", half = "%h: float16 = convert %v\n";
  expect(after_replacing(at, half + "%w = add %h, %h"), "add has no meaning for float16");
  expect(after_replacing(at, half + "%w = negate %h"), "negate has no meaning for float16");
  expect(after_replacing(at, half + "%w = less %h, %h"), "compared as float32");
  expect(
      after_replacing("%c = less %i, %n", "%c = less %i, %n\n" + half + "%e = select %c, %h, %h"),
      "valid");
  expect(after_replacing(at, half + "%w: int16 = bitcast %h"), "valid");
  expect(after_replacing(at, half + "%w: bfloat16 = convert %h"), "valid");
  expect(after_replacing("buffer h: int32", "buffer h: bfloat16"), "4 or 8 bytes");
}

TEST(Verify, memory) {
  expect(after([](Program& p) { find(p, Opcode::load).immediate = 5; }), "memory object 5 of 5");
  expect(after_replacing("store y[%i], %z", "store x[%i], %z"), "not declared as written");
  expect(after_replacing("%v = load x[%i]", "%v = load y[%i]"), "not declared as read");
  expect(after_replacing("store y[%i], %z", "store y[%v], %z"), "must be int64");
  expect(after_replacing("store y[%i], %z", "store y[%i], %k"), "must be float32");
  expect(after_replacing("add relaxed h[%i], %old", "add relaxed x[%i], %v"),
         "declared as written");
  expect(after_replacing("add relaxed h[%i], %old", "add relaxed s[%i], %v"), "private memory");
  expect(after_replacing("add relaxed h[%i], %old", "bit_or relaxed t[%i], %v"), "bitwise atomic");
  expect(after_replacing("add relaxed h[%i], %old", "load relaxed h[%i], %old"), "load takes 1");
  expect(after([](Program& p) { find(p, Opcode::atomic).mode = 10; }), "no such atomic");
  expect(after([](Program& p) { find(p, Opcode::atomic).flags = 4; }), "no such order");
  expect(after_replacing("shared t: float32[32]", "shared t: float32"), "has 0 elements");
  expect(after_replacing("shared t: float32[32]", "shared t: float32[f]"), "no int64 parameter");
  expect(after_replacing("shared t: float32[32]", "shared t: float32[n]"), "valid");
  expect(after([](Program& p) { p.memory[3].written = false; }), "shared or private");
  expect(after_replacing("buffer h: int32", "buffer h: int8"), "4 or 8 bytes");
}

TEST(Verify, lanes_faults_and_prints) {
  expect(after_replacing("barrier", "%u = shuffle up %v, %v"), "must be int64");
  expect(after_replacing("barrier", "%u = vote any %v"), "must be bool");
  expect(after_replacing("barrier", "%u = vote any %c"), "valid");
  expect(after_replacing("fault 3", "fault 0"), "nothing went wrong");
  expect(after_replacing("fault 3, %c", "fault 3, %i"), "must be bool");
  expect(after_replacing("print 0", "print 1"), "format 1 of 1");
}

TEST(Verify, items_programs_have_no_blocks) {
  for (const char* line : {"barrier", "%v = vote any %c", "%v = shuffle up %i, %i"}) {
    Program p = parse_program(std::string("%i = item 0\n%c = less %i, %i\n") + line);
    EXPECT_THROW(verify(p), InternalError) << line;
  }
  EXPECT_THROW(verify(parse_program("%i = thread 0")), InternalError);
  EXPECT_THROW(verify(parse_program("shared t: float32[4]")), InternalError);
  EXPECT_THROW(verify(parse_program("items\nblocks 0, 1, 1")), InternalError);
  Program p = parse_program("items");
  p.block_size[0] = 2;
  EXPECT_THROW(verify(p), InternalError);
}

TEST(Verify, regions) {
  expect(after_replacing("else\n  yield %v", "else\n  yield %v, %v"), "the other part has 1");
  expect(after_replacing("else\n  yield %v", "else\n  yield %i"), "must be float32");
  expect(after_replacing("else\n  yield %v\n%r = result %q, 0", "%r = add %v, %v"),
         "needs an else");
  expect(after_replacing("%r = result %q, 0", "%r: float32 = result %q, 1"), "value 1 of 1");
  expect(after_replacing("%r = result %q, 0", "%r: int64 = result %q, 0"), "must be float32");
  expect(after_replacing("%w = result %called, 0", "%w: float32 = result %v, 0"), "takes an if");
  expect(after_replacing("while %go", "while %k"), "must be bool");
  expect(after_replacing("while %go", ""), "has no while");
  expect(after_replacing("while %go", "while %go\nwhile %go"), "the one while");
  expect(after_replacing("barrier", "while %c"), "the one while");
  expect(after_replacing("yield %next, %z", "yield %next"), "the loop has 2");
  expect(after_replacing("yield %next, %z", "yield %z, %next"), "must be int64");
  expect(after_replacing("%z = loop_param", "%z = loop_param 0"), "must follow it");
  expect(after_replacing("%go = less %k, %n", "%u = loop_param 2\n%go = less %k, %n"),
         "fewer values");
  expect(after_replacing("%z = loop_param", "%z: int64 = loop_param"), "first value is float32");
  expect(after([](Program& p) { find(p, Opcode::if_).end = 1000; }), "past the program");
  expect(after([](Program& p) { find(p, Opcode::if_).end -= 1; }), "closes");
  expect(after([](Program& p) { find(p, Opcode::loop).end += 1; }), "whose end is");
  expect(after([](Program& p) { find(p, Opcode::else_).op = Opcode::barrier; }), "needs an else");
  expect(after([](Program& p) { find(p, Opcode::barrier).op = Opcode::else_; }), "follows no if");
  expect(after_replacing("barrier", "if %c\n  return"), "closes no function");
}

TEST(Verify, functions) {
  expect(after_replacing("call %twice, %v", "call %twice, %i"), "must be float32");
  expect(after_replacing("call %twice, %v", "call %twice"), "the function has 1");
  expect(after([](Program& p) { find(p, Opcode::call).immediate = 3; }), "calls no function");
  expect(after([](Program& p) { find(p, Opcode::func).immediate = 1; }), "function name 1 of 1");
  expect(after([](Program& p) { p.function_names.push_back("more"); }), "2 function names");
  expect(after_replacing("barrier", "func late\n  return"), "functions come first");
  expect(after_replacing("%b = add %a, %a", "%g = call %twice, %a\n%b = add %a, %a"), "calls no");
  expect(after_replacing("  return %b", "  yield %b"), "closes no if");
}

}  // namespace
}  // namespace noyau::jit
