// Programs as text: what print makes and parse_program reads.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "jit/program.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

/// One of every instruction, with odd names.
Program everything() {
  KernelBuilder b("every \"thing\"\n", Domain::blocks);
  b.program().block_size[0] = 64;
  int n = b.new_parameter(int64, "n");
  b.new_parameter(float32);
  int x = b.buffer(float32, true, true, "x");
  int h = b.buffer(int32, true, true, "no identifier");
  b.program().memory.back().streamed = true;
  b.buffer(int8, true, false, "x2");
  b.buffer(int8, true, false, "x2");
  int t = b.shared(float32, 64, "t");
  b.shared_sized_by(float64, n);
  b.private_array(uint8, 4);
  int text = b.format("%d\t\x01\\\n");

  DType types[] = {float32, float32};
  auto in = b.begin_function("odd name", types);
  Value odd = b.end_function(std::vector{b.binary(Opcode::add, in[0], in[1])});

  Value i = b.thread(0), j = b.block(1);
  Value count = b.parameter(n);
  b.set_place(17);
  Value v = b.load(x, i), w = b.constant_of(0.1f);
  b.set_place(0);
  Value k = b.constant_of(std::int32_t{-3});
  v = b.call(odd, std::vector{v, w})[0];
  v = b.ternary(Opcode::fma, v, w, w);
  for (int op = static_cast<int>(Opcode::add); op <= static_cast<int>(Opcode::remainder); ++op) {
    v = b.binary(static_cast<Opcode>(op), v, w);
  }
  Value c = b.compare(Opcode::less, i, count);
  b.fault(c, 7, i);
  b.print(text, std::vector{i, v});
  b.begin_if(c);
  Value a = b.atomic(AtomicOp::add, h, i, k);
  b.atomic(AtomicOp::store, h, i, k, no_value, MemoryOrder::release);
  b.atomic(AtomicOp::load, h, i, no_value, no_value, MemoryOrder::acquire);
  b.atomic(AtomicOp::compare_exchange, h, i, k, a, MemoryOrder::acquire_release);
  b.begin_else(std::vector{v, w});
  b.fence();
  auto r = b.end_if(std::vector{w, v});
  b.barrier();
  Value s = b.shuffle(ShuffleMode::exclusive_or, r[1], j);
  Value q = b.vote(VoteMode::all, c);
  auto p = b.begin_loop(std::vector{i, s});
  b.loop_while(b.binary(Opcode::bit_and, b.compare(Opcode::less, p[0], count), q));
  b.store(t, p[0], p[1]);
  b.end_loop(std::vector{b.binary(Opcode::add, p[0], i), p[1]});
  Value d = b.bitcast(b.select(c, p[1], r[0]), int32);
  b.store(x, p[0], b.convert(d, float32));
  return b.finish();
}

TEST(ProgramText, round_trips_every_instruction) {
  Program program = everything();
  verify(program);
  std::string text = print(program);
  Program again = parse_program(text);
  EXPECT_TRUE(again == program) << text << "\n" << print(again);
  EXPECT_EQ(print(again), text);
  EXPECT_TRUE(hash(again) == hash(program));
}

TEST(ProgramText, looks_like_this) {
  KernelBuilder b("add one");
  int x = b.buffer(float32, true, true, "x");
  int n = b.new_parameter(int64, "n");
  Value i = b.item(0);
  b.begin_if(b.compare(Opcode::less, i, b.parameter(n)));
  b.set_place(5);
  Value v = b.load(x, i), one = b.constant_of(1.0f);
  b.store(x, i, b.binary(Opcode::add, v, one));
  b.set_place(0);
  b.end_if();
  EXPECT_EQ(print(b.finish()),
            "program \"add one\"\n"
            "items\n"
            "parameter n: int64\n"
            "buffer x: float32 read written\n"
            "%0: int64 = item 0\n"
            "%1: int64 = parameter n\n"
            "%2: bool = less %0, %1\n"
            "%3 = if %2\n"
            "  %4: float32 = load x[%0] !5\n"
            "  %5: float32 = constant 1 !5\n"
            "  %6: float32 = add %4, %5 !5\n"
            "  store x[%0], %6 !5\n"
            "  yield\n");
}

TEST(ProgramText, types_are_inferred) {
  Program p = parse_program(R"(
program "inferred"
items
buffer x: float32 read written
buffer n: int64 read
%f = func twice
  %a: float32 = func_param
  %b = add %a, %a
  return %b
%i = item 0
%v = load x[%i]          // float32
%m = load n[%i]
%called = call %f, %v
%w = result %called, 0
%c = less %i, %m
%both = if %c
  yield %v, %i
else
  yield %w, %m
%r = result %both, 1
loop %v, %r
  %s = loop_param
  %k = loop_param
  %go = less %k, %m
while %go
  yield %s, %m
store x[%k], %s
)");
  verify(p);
  EXPECT_EQ(p[p.find_function("twice")].end, 4);
  EXPECT_EQ(p.entry(), 4);
}

TEST(ProgramText, constants_keep_their_bits) {
  KernelBuilder b("constants");
  const float inf = std::numeric_limits<float>::infinity();
  for (float f : {0.1f, -0.0f, inf, -inf, 1e-45f, 3.4028235e38f, 16777217.0f}) b.constant_of(f);
  for (double d : {0.1, -0.0, 5e-324, 1.7976931348623157e308, std::nan("")}) b.constant_of(d);
  b.constant({float32, 0x7fc01234});
  b.constant({float32, 0xffc00000});
  b.constant_of(true);
  b.constant_of(std::int8_t{-128});
  b.constant_of(std::uint8_t{255});
  b.constant_of(std::int16_t{-7});
  b.constant_of(std::uint32_t{0xffffffff});
  b.constant_of(std::numeric_limits<std::int64_t>::min());
  b.constant_of(std::numeric_limits<std::uint64_t>::max());
  Program p = b.finish();
  EXPECT_TRUE(parse_program(print(p)) == p) << print(p);
  Program hex = parse_program("%a: float32 = constant -0x1.8p+1\n%b: int32 = constant 0x10");
  EXPECT_EQ(hex[0].immediate, Scalar::of(-3.0f).bits);
  EXPECT_EQ(hex[1].immediate, 16);
}

TEST(ProgramText, mistakes_are_shown_with_their_line_and_column) {
  auto message = [](const char* text) -> std::string {
    try {
      parse_program(text);
    } catch (const CompileError& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message("program \"p\"\n%a = ad %b, %c"),
            "program text, line 2, column 6: no such instruction\n  %a = ad %b, %c\n       ^");
  EXPECT_NE(message("%a: int64 = item 0\n%b = add %a, %x").find("line 2, column 14"),
            std::string::npos);
  EXPECT_NE(message("%a: int64 = item 0\n%a = item 1").find("makes a value of that name"),
            std::string::npos);
  EXPECT_NE(message("%a: int8 = constant 128").find("does not fit"), std::string::npos);
  EXPECT_NE(message("%a = constant 1").find("needs its type"), std::string::npos);
  EXPECT_NE(message("%a: bool = constant true\nif %a").find("not closed"), std::string::npos);
  EXPECT_NE(message("yield").find("no region is open"), std::string::npos);
  EXPECT_NE(message("else").find("follows the yield"), std::string::npos);
  EXPECT_NE(message("%a = item 0\n%b = load x[%a]").find("no memory object named 'x'"),
            std::string::npos);
  EXPECT_NE(message("barrier barrier").find("end of the line"), std::string::npos);
}

TEST(Program, equality_sees_each_field) {
  const Program p = everything();
  auto differs = [&](auto change) {
    Program q = p;
    change(q);
    return !(q == p);
  };
  EXPECT_TRUE(differs([](Program& q) { q.name = "other"; }));
  EXPECT_TRUE(differs([](Program& q) { q.block_size[1] = 2; }));
  EXPECT_TRUE(differs([](Program& q) { q.memory[0].streamed = true; }));
  EXPECT_TRUE(differs([](Program& q) { q.instructions.back().place = 3; }));
  EXPECT_TRUE(differs([](Program& q) { q.operands.back() = 3; }));
}

TEST(Program, hash_sees_what_decides_the_code_and_no_names) {
  const Program p = everything();
  auto differs = [&](auto change) {
    Program q = p;
    change(q);
    return !(hash(q) == hash(p));
  };
  EXPECT_TRUE(differs([](Program& q) { q.block_size[1] = 2; }));
  EXPECT_TRUE(differs([](Program& q) { q.memory[0].streamed = true; }));
  EXPECT_TRUE(differs([](Program& q) { q.parameters[1].dtype = float64; }));
  EXPECT_TRUE(differs([](Program& q) { q.operands.back() -= 1; }));
  EXPECT_TRUE(differs([](Program& q) { q.instructions[4].immediate += 1; }));
  EXPECT_FALSE(differs([](Program& q) { q.name = "other"; }));
  EXPECT_FALSE(differs([](Program& q) { q.memory[0].name = "other"; }));
  EXPECT_FALSE(differs([](Program& q) { q.instructions.back().place = 3; }));
}

TEST(KernelBuilder, inlines_a_function_with_the_calls_in_it) {
  KernelBuilder lib("library");
  DType one[] = {float32};
  auto p = lib.begin_function("square", one);
  Value square = lib.end_function(std::vector{lib.binary(Opcode::multiply, p[0], p[0])});
  p = lib.begin_function("pick", one);
  Value s = lib.call(square, p)[0];
  lib.begin_if(lib.compare(Opcode::less, s, p[0]));
  Value inner = lib.call(square, std::vector{s})[0];
  lib.begin_else(std::vector{inner});
  Value r = lib.end_if(std::vector{p[0]})[0];
  Value pick = lib.end_function(std::vector{r});
  Program library = lib.finish();

  KernelBuilder b("user");
  int x = b.buffer(float32, true, true, "x");
  Value i = b.item(0);
  b.store(x, i, b.inline_function(library, pick, std::vector{b.load(x, i)})[0]);
  EXPECT_TRUE(b.finish() == parse_program(R"(
program "user"
items
buffer x: float32 read written
%i = item 0
%v = load x[%i]
%s = multiply %v, %v
%c = less %s, %v
%r = if %c
  %q = multiply %s, %s
  yield %q
else
  yield %v
%w = result %r, 0
store x[%i], %w
)"));
}

TEST(KernelBuilder, refuses_what_cannot_be_right) {
  KernelBuilder b("wrong");
  Value i = b.item(0), f = b.constant_of(1.0f);
  EXPECT_THROW(b.binary(Opcode::add, i, f), InternalError);
  EXPECT_THROW(b.select(i, f, f), InternalError);
  EXPECT_THROW(b.load(0, i), InternalError);
  EXPECT_THROW(b.end_if(), InternalError);
  EXPECT_THROW(b.end_loop({}), InternalError);
  EXPECT_THROW(b.call(i, {}), InternalError);
  EXPECT_THROW(b.unary(Opcode::negate, 99), InternalError);
  EXPECT_THROW(b.begin_function("late", {}), InternalError);
  b.begin_if(b.compare(Opcode::less, i, i));
  EXPECT_THROW(b.finish(), InternalError);
}

TEST(Program, straight_line_code_has_no_regions) {
  EXPECT_FALSE(is_straight(everything()));
  EXPECT_TRUE(is_straight(parse_program("%a = item 0\n%b = add %a, %a")));
}

}  // namespace
}  // namespace noyau::jit
