// The interpreter: the hand-written Programs against plain C++, and each of its checks.
// SPDX-License-Identifier: Apache-2.0
#include "jit/interpret.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "noyau/error.hpp"
#include "tests/jit/programs.hpp"

namespace noyau::jit {
namespace {

using testing::HandWritten;
using testing::HostBuffer;

class HandWrittenPrograms : public ::testing::TestWithParam<HandWritten> {};

TEST_P(HandWrittenPrograms, give_the_bits_of_plain_cpp) {
  const HandWritten& h = GetParam();
  Program program = parse_program(h.text);
  auto buffers = h.buffers, expected = h.buffers;
  h.reference(expected);
  std::vector<InterpreterBuffer> arguments;
  for (HostBuffer& b : buffers) arguments.push_back(b.argument());
  EXPECT_EQ(interpret(program, h.extent, arguments, h.parameters, 10'000'000), 0);
  for (std::size_t k = 0; k < buffers.size(); ++k) {
    EXPECT_EQ(buffers[k].bytes, expected[k].bytes) << "buffer " << k;
  }
  EXPECT_NE(expected.back().bytes, h.buffers.back().bytes) << "the reference computes nothing";
}

TEST_P(HandWrittenPrograms, round_trip_as_text) {
  Program program = parse_program(GetParam().text);
  verify(program);
  EXPECT_TRUE(parse_program(print(program)) == program);
}

INSTANTIATE_TEST_SUITE_P(All, HandWrittenPrograms,
                         ::testing::ValuesIn(testing::hand_written_programs()),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           std::ranges::replace(name, ' ', '_');
                           return name;
                         });

/// Runs text with one buffer of int64 (x) and gives what is in it afterwards.
std::vector<std::int64_t> run(const std::string& text, std::vector<std::int64_t> x,
                              std::int64_t extent = 1, std::vector<std::uint64_t> parameters = {},
                              std::int64_t step_limit = 100'000) {
  std::int64_t extents[3] = {extent, 1, 1};
  InterpreterBuffer buffer{x.data(), static_cast<std::int64_t>(x.size())};
  interpret(parse_program(text), extents, {&buffer, 1}, parameters, step_limit);
  return x;
}

/// The message of the LaunchError that running `text` throws.
std::string error(const std::string& text, std::vector<std::int64_t> x = {1, 2, 3},
                  std::int64_t extent = 1, std::vector<std::uint64_t> parameters = {}) {
  try {
    run(text, std::move(x), extent, std::move(parameters));
  } catch (const LaunchError& e) {
    return e.what();
  }
  return "none";
}

void expect(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << "got: " << message << "\nwanted: " << part;
}

TEST(Interpreter, accesses_out_of_bounds_name_instruction_and_thread) {
  const char* text = "program \"p\"\nbuffer x: int64 read written\n%i = item 0\n%v = load x[%i]";
  EXPECT_EQ(error(text, {1, 2, 3}, 3), "none");
  EXPECT_EQ(error(text, {1, 2, 3}, 4),
            "interpret: 'p', item (3, 0, 0), instruction 1, `%1: int64 = load x[%0]`: element 3 is "
            "out of bounds: 'x' has 3");
  expect(error("buffer x: int64 read written\n%i: int64 = constant -1\nstore x[%i], %i"),
         "element -1 is out of bounds");
  expect(error("buffer x: int64 read written\n%i: int64 = constant 3\n"
               "%o = atomic add relaxed x[%i], %i"),
         "element 3 is out of bounds");
}

TEST(Interpreter, reads_of_memory_never_written) {
  const char* shared =
      "blocks 2\nbuffer x: int64 read written\nshared t: int64[2]\n%i = thread 0\n%z: int64 = "
      "constant 0\nstore t[%z], %z\nbarrier\n%v = load t[%i]";
  expect(error(shared), "thread (1, 0, 0), instruction 4");
  expect(error(shared), "element 1 of 't' is read before it is written");
  expect(error("buffer x: int64 read written\nprivate t: int64[2]\n%i = item 0\n%v = load t[%i]"),
         "read before it is written");
  // What one block or item wrote is not there for the next.
  expect(error("buffer x: int64 read written\nprivate t: int64[1]\n%i = item 0\n%z: int64 = "
               "constant 0\n%first = equal %i, %z\nif %first\n  store t[%z], %z\n  yield\n"
               "%v = load t[%z]",
               {1}, 2),
         "item (1, 0, 0)");
}

TEST(Interpreter, divergent_barriers) {
  const char* text =
      "blocks 4\nbuffer x: int64 read written\n%i = thread 0\n%z: int64 = constant 0\n"
      "%c = equal %i, %z\nif %c\n  barrier\n  yield\n";
  expect(error(text), "thread (0, 0, 0), instruction 4, `barrier`");
  expect(error(text), "while thread (1, 0, 0) of its block has ended");
  expect(error(std::string(text) + "barrier"), "waits at instruction 4");
  expect(error("blocks 64\nbuffer x: int64 read written\n%i = thread 0\n%z: int64 = constant 40\n"
               "%c = less %i, %z\nif %c\n  %s = shuffle up %i, %z\n  yield\n"),
         "gang of 32 threads");
}

TEST(Interpreter, too_many_steps) {
  expect(error("buffer x: int64 read written\n%c: bool = constant true\nloop\nwhile %c\n  yield"),
         "limit of 100000 instructions");
}

TEST(Interpreter, threads_of_a_block_may_wait_for_one_another) {
  // Thread 0 spins until thread 1 has stored.
  const char* text = R"(
blocks 2
buffer x: int64 read written
%i = thread 0
%z: int64 = constant 0
%one: int64 = constant 1
%c = equal %i, %z
if %c
  loop %z
    %seen = loop_param
    %wait = equal %seen, %z
  while %wait
    %v = atomic load acquire x[%z]
    yield %v
  yield
else
  atomic store release x[%z], %one
  yield
)";
  EXPECT_EQ(run(text, {0}, 1, {}, 10'000'000), std::vector<std::int64_t>{1});
}

TEST(Interpreter, arguments_are_counted) {
  Program p = parse_program("buffer x: int64 read\nparameter n: int64");
  std::int64_t extent[3] = {1, 1, 1}, negative[3] = {1, -1, 1};
  InterpreterBuffer one;
  std::uint64_t n = 0;
  EXPECT_THROW(interpret(p, extent, {}, {&n, 1}), LaunchError);
  EXPECT_THROW(interpret(p, extent, {&one, 1}, {}), LaunchError);
  EXPECT_THROW(interpret(p, negative, {&one, 1}, {&n, 1}), LaunchError);
  EXPECT_EQ(interpret(p, extent, {&one, 1}, {&n, 1}), 0);
}

TEST(Interpreter, shared_arrays_sized_by_a_parameter) {
  const char* text =
      "blocks 2\nparameter n: int64\nbuffer x: int64 read written\nshared t: int64[n]\n"
      "%i = thread 0\nstore t[%i], %i";
  EXPECT_EQ(error(text, {1}, 1, {2}), "none");
  expect(error(text, {1}, 1, {1}), "'t' has 1");
  expect(error(text, {1}, 1, {static_cast<std::uint64_t>(-1)}), "would have -1 elements");
}

TEST(Interpreter, shuffles_and_votes_of_a_gang) {
  auto shuffled = [](const std::string& mode, std::int64_t n, std::size_t threads) {
    return run("blocks " + std::to_string(threads) +
                   "\nbuffer x: int64 read written\n%i = thread 0\n%n: int64 = constant " +
                   std::to_string(n) + "\n%s = shuffle " + mode + " %i, %n\nstore x[%i], %s",
               std::vector<std::int64_t>(threads));
  };
  EXPECT_EQ(shuffled("index", 3, 5), (std::vector<std::int64_t>{3, 3, 3, 3, 3}));
  EXPECT_EQ(shuffled("index", 5, 5), (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(shuffled("exclusive_or", 1, 4), (std::vector<std::int64_t>{1, 0, 3, 2}));
  EXPECT_EQ(shuffled("down", 1, 4), (std::vector<std::int64_t>{1, 2, 3, 3}));
  EXPECT_EQ(shuffled("up", 2, 4), (std::vector<std::int64_t>{0, 1, 0, 1}));
  EXPECT_EQ(shuffled("up", 1, 34)[32], 32) << "the second gang has its own first lane";
  auto voted = [](const std::string& mode) {
    return run(
        "blocks 40\nbuffer x: int64 read written\n%i = thread 0\n%n: int64 = constant 33\n"
        "%c = less %i, %n\n%v = vote " +
            mode + " %c\n%r: int64 = convert %v\nstore x[%i], %r",
        std::vector<std::int64_t>(40));
  };
  EXPECT_EQ(voted("any")[39], 1);
  EXPECT_EQ(voted("all")[31], 1);
  EXPECT_EQ(voted("all")[32], 0);
}

TEST(Interpreter, the_first_fault_is_returned) {
  Program p = parse_program(
      "%i = item 0\n%two: int64 = constant 2\n%c = greater_equal %i, %two\nfault 7, %c, %i\n"
      "%d = equal %i, %two\nfault 9, %d, %i");
  std::int64_t good[3] = {2, 1, 1}, bad[3] = {4, 1, 1};
  EXPECT_EQ(interpret(p, good, {}, {}), 0);
  EXPECT_EQ(interpret(p, bad, {}, {}), 7);
}

TEST(Interpreter, prints) {
  Program p = parse_program(R"(
format "%d: %5.2f|%-4u|%x %c%% %q\n"
%i = item 0
%f: float32 = constant 1.5
%n: int32 = constant -1
%c: int32 = constant 65
print 0, %i, %f, %i, %n, %c
)");
  std::int64_t extent[3] = {2, 1, 1};
  std::vector<std::string> printed;
  interpret(p, extent, {}, {}, 0, &printed);
  EXPECT_EQ(printed, (std::vector<std::string>{"0:  1.50|0   |ffffffff A% %q\n",
                                               "1:  1.50|1   |ffffffff A% %q\n"}));
}

TEST(Interpreter, atomics_give_the_old_value) {
  auto after = [](const std::string& line) {
    return run(
        "buffer x: int64 read written\n%z: int64 = constant 0\n%one: int64 = constant 1\n"
        "%five: int64 = constant 5\n%old = atomic " +
            line + "\nstore x[%one], %old",
        {12, 0});
  };
  EXPECT_EQ(after("add relaxed x[%z], %five"), (std::vector<std::int64_t>{17, 12}));
  EXPECT_EQ(after("minimum relaxed x[%z], %five"), (std::vector<std::int64_t>{5, 12}));
  EXPECT_EQ(after("maximum relaxed x[%z], %five"), (std::vector<std::int64_t>{12, 12}));
  EXPECT_EQ(after("bit_and relaxed x[%z], %five"), (std::vector<std::int64_t>{4, 12}));
  EXPECT_EQ(after("bit_or relaxed x[%z], %five"), (std::vector<std::int64_t>{13, 12}));
  EXPECT_EQ(after("bit_xor relaxed x[%z], %five"), (std::vector<std::int64_t>{9, 12}));
  EXPECT_EQ(after("exchange relaxed x[%z], %five"), (std::vector<std::int64_t>{5, 12}));
  EXPECT_EQ(after("load acquire x[%z]"), (std::vector<std::int64_t>{12, 12}));
  EXPECT_EQ(after("compare_exchange relaxed x[%z], %five, %one"),
            (std::vector<std::int64_t>{12, 12}));
  EXPECT_EQ(after("compare_exchange relaxed x[%z], %five, %five"),
            (std::vector<std::int64_t>{12, 12}));
}

TEST(Interpreter, results_of_two_calls_do_not_mix) {
  EXPECT_EQ(run(R"(
buffer x: int64 read written
%f = func twice
  %a: int64 = func_param
  %b = add %a, %a
  return %b, %a
%z: int64 = constant 0
%one: int64 = constant 1
%five: int64 = constant 5
%c = call %f, %one
%d = call %f, %five
%r = result %c, 0
%s = result %d, 0
%t = result %d, 1
%u = multiply %s, %t
store x[%z], %r
store x[%one], %u
)",
                {0, 0}),
            (std::vector<std::int64_t>{2, 50}));
}

}  // namespace
}  // namespace noyau::jit
