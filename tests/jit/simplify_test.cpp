// The simplify pass: what it folds, merges and drops, and that it keeps every bit.
// SPDX-License-Identifier: Apache-2.0
#include "jit/simplify.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "tests/jit/programs.hpp"

namespace noyau::jit {
namespace {

/// Simplifies `before` and compares with `after`, both below the same declarations.
void expect_simplified(const std::string& before, const std::string& after) {
  const std::string declarations =
      "buffer x: float32 read\nbuffer y: float32 written\nbuffer k: int32 read\n"
      "buffer l: int32 written\nparameter n: int64\n";
  Program given = parse_program(declarations + before),
          wanted = parse_program(declarations + after);
  Program got = simplify(given);
  verify(got);
  EXPECT_TRUE(got == wanted) << "before:\n" << print(given) << "after:\n" << print(got);
}

TEST(Simplify, folds_constants) {
  expect_simplified(
      "%i = item 0\n%a: float32 = constant 3\n%b: float32 = constant 4\n%c = multiply %a, %b\n"
      "%d = sqrt %b\n%e = add %c, %d\nstore y[%i], %e",
      "%i = item 0\n%e: float32 = constant 14\nstore y[%i], %e");
  expect_simplified(
      "%i = item 0\n%a: int32 = constant -7\n%z: int32 = constant 0\n%q = divide %a, %z\n"
      "%c = less %a, %q\n%f: int32 = convert %c\nstore l[%i], %f",
      "%i = item 0\n%f: int32 = constant 1\nstore l[%i], %f");
}

TEST(Simplify, merges_equal_values_in_scope) {
  expect_simplified(
      "%i = item 0\n%j = item 0\n%v = load x[%i]\n%w = load x[%j]\n%a = add %v, %w\n"
      "%b = add %w, %v\n%c = multiply %a, %b\nstore y[%j], %c",
      "%i = item 0\n%v = load x[%i]\n%w = load x[%i]\n%a = add %v, %w\n%c = multiply %a, %a\n"
      "store y[%i], %c");
  // Not across parts of an if, and subtraction does not commute.
  const char* parts =
      "%i = item 0\n%n = parameter n\n%c = less %i, %n\n%v = load x[%i]\n%w = load x[%n]\n"
      "if %c\n  %a = subtract %v, %w\n  store y[%i], %a\n  yield\n"
      "else\n  %b = subtract %v, %w\n  %d = subtract %w, %v\n  %e = multiply %b, %d\n"
      "  store y[%n], %e\n  yield";
  expect_simplified(parts, parts);
}

TEST(Simplify, exact_identities_of_floats) {
  auto becomes = [](const std::string& line, const std::string& result) {
    const std::string start = "%i = item 0\n%v = load x[%i]\n";
    expect_simplified(start + "%one: float32 = constant 1\n%zero: float32 = constant 0\n" +
                          "%minus: float32 = constant -0\n" + line + "\nstore y[%i], %r",
                      start + result);
  };
  const std::string kept = "store y[%i], %v";
  becomes("%r = multiply %v, %one", kept);
  becomes("%r = multiply %one, %v", kept);
  becomes("%r = divide %v, %one", kept);
  becomes("%r = add %v, %minus", kept);
  becomes("%r = subtract %v, %zero", kept);
  becomes("%a = negate %v\n%r = negate %a", kept);
  becomes("%r = minimum %v, %v", kept);
  becomes("%c = less %v, %one\n%r = select %c, %v, %v", kept);
  becomes("%a = floor %v\n%r = floor %a", "%a = floor %v\nstore y[%i], %a");
  // These change -0.0, infinities or NaN, so they stay.
  for (const char* line : {"%z: float32 = constant 0\n%r = add %v, %z",
                           "%z: float32 = constant -0\n%r = subtract %v, %z",
                           "%z: float32 = constant 0\n%r = multiply %v, %z", "%r = subtract %v, %v",
                           "%r = divide %v, %v"}) {
    becomes(line, std::string(line) + "\nstore y[%i], %r");
  }
}

TEST(Simplify, exact_identities_of_integers) {
  auto becomes = [](const std::string& line, const std::string& result) {
    const std::string start = "%i = item 0\n%v = load k[%i]\n";
    // A result that does not read %v needs no load either.
    const bool loads = result.find("%v") != std::string::npos;
    expect_simplified(start + "%one: int32 = constant 1\n%zero: int32 = constant 0\n" +
                          "%ones: int32 = constant -1\n" + line + "\nstore l[%i], %r",
                      (loads ? start : "%i = item 0\n") + result);
  };
  const std::string kept = "store l[%i], %v";
  const std::string zero = "%z: int32 = constant 0\nstore l[%i], %z";
  for (const char* line :
       {"%r = add %v, %zero", "%r = add %zero, %v", "%r = subtract %v, %zero",
        "%r = multiply %one, %v", "%r = divide %v, %one", "%r = bit_and %v, %ones",
        "%r = bit_or %v, %zero", "%r = bit_xor %zero, %v", "%r = shift_left %v, %zero",
        "%r = shift_right %v, %zero", "%r = bit_or %v, %v", "%r: int32 = convert %v"}) {
    becomes(line, kept);
  }
  for (const char* line : {"%r = multiply %v, %zero", "%r = bit_and %zero, %v",
                           "%r = subtract %v, %v", "%r = bit_xor %v, %v"}) {
    becomes(line, zero);
  }
  becomes("%r = bit_or %ones, %v", "%m: int32 = constant -1\nstore l[%i], %m");
  becomes("%c = greater_equal %v, %v\n%r: int32 = convert %c",
          "%m: int32 = constant 1\nstore l[%i], %m");
  for (const char* line : {"%z: int32 = constant 0\n%r = subtract %z, %v",
                           "%z: int32 = constant 0\n%r = shift_left %z, %v",
                           "%z: int32 = constant 1\n%r = divide %z, %v"}) {
    becomes(line, std::string(line) + "\nstore l[%i], %r");
  }
}

TEST(Simplify, drops_what_nothing_uses) {
  expect_simplified("%i = item 0\n%v = load x[%i]\n%w = add %v, %v", "");
  expect_simplified(
      "%i = item 0\n%n = parameter n\n%c = less %i, %n\n%v = load x[%i]\n"
      "%q = if %c\n  %a = add %v, %v\n  yield %a, %v\nelse\n  %b = negate %v\n  yield %v, %b\n"
      "%r = result %q, 0\n%s = result %q, 1\nstore y[%i], %s",
      "%i = item 0\n%n = parameter n\n%c = less %i, %n\n%v = load x[%i]\n"
      "%q = if %c\n  yield %v\nelse\n  %b = negate %v\n  yield %b\n"
      "%s = result %q, 0\nstore y[%i], %s");
  expect_simplified(
      "%i = item 0\n%n = parameter n\n%c = less %i, %n\n%v = load x[%i]\n"
      "if %c\n  store y[%i], %v\n  yield\nelse\n  %b = negate %v\n  yield\n",
      "%i = item 0\n%n = parameter n\n%c = less %i, %n\n%v = load x[%i]\n"
      "if %c\n  store y[%i], %v\n  yield");
}

TEST(Simplify, drops_loop_parameters_that_feed_only_themselves) {
  // %a is unused outside, %b never changes; the second loop has no effect.
  expect_simplified(
      R"(
%i = item 0
%n = parameter n
%v = load x[%i]
loop %v, %i, %v, %n
  %a = loop_param
  %j = loop_param
  %s = loop_param
  %b = loop_param
  %c = less %j, %b
while %c
  %a2 = multiply %a, %a
  %j2 = add %j, %i
  %s2 = add %s, %v
  yield %a2, %j2, %s2, %b
loop %i
  %k = loop_param
  %d = less %k, %n
while %d
  %k2 = add %k, %n
  yield %k2
store y[%i], %s
)",
      R"(
%i = item 0
%n = parameter n
%v = load x[%i]
loop %i, %v
  %j = loop_param
  %s = loop_param
  %c = less %j, %n
while %c
  %j2 = add %j, %i
  %s2 = add %s, %v
  yield %j2, %s2
store y[%i], %s
)");
}

TEST(Simplify, takes_the_part_of_a_constant_condition) {
  auto with = [](const char* condition) {
    return std::string("%i = item 0\n%v = load x[%i]\n%c: bool = constant ") + condition +
           "\n%q = if %c\n  %a = add %v, %v\n  store y[%i], %v\n  yield %a\n"
           "else\n  %b = negate %v\n  yield %b\n%r = result %q, 0\nstore y[%i], %r\n"
           "if %c\n  store y[%i], %v\n  yield";
  };
  expect_simplified(with("true"),
                    "%i = item 0\n%v = load x[%i]\n%a = add %v, %v\nstore y[%i], %v\n"
                    "store y[%i], %a\nstore y[%i], %v");
  expect_simplified(with("false"), "%i = item 0\n%v = load x[%i]\n%b = negate %v\nstore y[%i], %b");
}

TEST(Simplify, results_on_which_both_parts_agree) {
  expect_simplified(
      "%i = item 0\n%n = parameter n\n%c = less %i, %n\n%v = load x[%i]\n"
      "%q = if %c\n  %a: float32 = constant 2\n  yield %v, %a\n"
      "else\n  %b: float32 = constant 2\n  yield %v, %b\n"
      "%r = result %q, 0\n%s = result %q, 1\n%t = add %r, %s\nstore y[%i], %t",
      "%i = item 0\n%v = load x[%i]\n%a: float32 = constant 2\n%t = add %v, %a\nstore y[%i], %t");
}

TEST(Simplify, keeps_functions_that_are_called_or_are_a_library) {
  const std::string functions =
      "%f = func used\n  %a: float32 = func_param\n  %b = add %a, %a\n  return %b\n"
      "%g = func unused\n  %d: float32 = func_param\n  return %d\n"
      "%h = func storing\n  %i: int64 = func_param\n  %e: float32 = constant 1\n"
      "  store y[%i], %e\n  return\n";
  expect_simplified(functions, functions);
  expect_simplified(functions +
                        "%j = item 0\n%v = load x[%j]\n%c = call %f, %v\n%r = result %c, 0\n"
                        "%w = call %h, %j\nstore y[%j], %r\n%o = call %f, %r",
                    "%f = func used\n  %a: float32 = func_param\n  %b = add %a, %a\n  return %b\n"
                    "%h = func storing\n  %i: int64 = func_param\n  %e: float32 = constant 1\n"
                    "  store y[%i], %e\n  return\n"
                    "%j = item 0\n%v = load x[%j]\n%c = call %f, %v\n%r = result %c, 0\n"
                    "%w = call %h, %j\nstore y[%j], %r");
}

TEST(Simplify, keeps_what_has_effects) {
  for (const char* text :
       {"blocks 2\nbarrier\nfence", "format \"x\"\n%i = item 0\nprint 0, %i",
        "%i = item 0\n%c = less %i, %i\nfault 1, %c, %i",
        "buffer h: int32 read written\n%i = item 0\n%a = atomic load acquire h[%i]",
        "blocks 2\n%c: bool = constant true\nloop\nwhile %c\n  barrier\n  yield"}) {
    Program p = remove_dead_code(parse_program(text));
    EXPECT_TRUE(p == parse_program(text)) << print(p);
  }
}

// ---- the same bits

TEST(Simplify, hand_written_programs_compute_the_same) {
  for (const testing::HandWritten& h : testing::hand_written_programs()) {
    SCOPED_TRACE(h.name);
    Program given = parse_program(h.text), program = simplify(given);
    verify(program);
    EXPECT_LE(program.size(), given.size());
    EXPECT_TRUE(simplify(program) == program) << "a second time changes nothing";
    auto buffers = h.buffers, expected = h.buffers;
    h.reference(expected);
    std::vector<InterpreterBuffer> arguments;
    for (auto& b : buffers) arguments.push_back(b.argument());
    interpret(program, h.extent, arguments, h.parameters, 10'000'000);
    for (std::size_t k = 0; k < buffers.size(); ++k) EXPECT_EQ(buffers[k].bytes, expected[k].bytes);
  }
}

/// Random Programs on a few types, rich in the constants that identities look for.
class Random {
 public:
  explicit Random(std::uint32_t seed) : random_(seed), b_("random") {}

  Program program() {
    out_[0] = b_.buffer(float32, true, true), out_[1] = b_.buffer(int32, true, true);
    at_ = b_.item(0);
    values_[0].push_back(b_.load(out_[0], at_));
    values_[1].push_back(b_.load(out_[1], at_));
    values_[2].push_back(b_.compare(Opcode::less, any(0), any(0)));
    body(3, 20);
    for (int t = 0; t < 2; ++t) b_.store(out_[t], at_, any(t));
    return b_.finish();
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  Value any(int type) {  // float32, int32, bool
    auto& v = values_[static_cast<std::size_t>(type)];
    return v[v.size() - 1 -
             static_cast<std::size_t>(below(std::min(8, static_cast<int>(v.size()))))];
  }
  Value constant(int type) {
    const float floats[] = {0.0f, -0.0f, 1.0f, -1.0f, 2.5f, INFINITY, NAN, 1e-40f};
    const std::int32_t integers[] = {0,  1,  -1, 2,
                                     31, 32, -7, std::numeric_limits<std::int32_t>::min()};
    if (type == 0) return b_.constant_of(floats[below(8)]);
    return type == 1 ? b_.constant_of(integers[below(8)]) : b_.constant_of(below(2) == 0);
  }
  Value arithmetic(int type) {
    const Opcode floats[] = {Opcode::add,    Opcode::subtract, Opcode::multiply,
                             Opcode::divide, Opcode::minimum,  Opcode::maximum};
    const Opcode integers[] = {Opcode::add,         Opcode::subtract, Opcode::multiply,
                               Opcode::divide,      Opcode::minimum,  Opcode::bit_and,
                               Opcode::bit_or,      Opcode::bit_xor,  Opcode::shift_left,
                               Opcode::shift_right, Opcode::remainder};
    const Opcode bools[] = {Opcode::bit_and, Opcode::bit_or, Opcode::bit_xor};
    const Opcode unary[] = {Opcode::negate, Opcode::absolute, Opcode::floor};
    if (below(5) == 0) {
      return type == 2 ? b_.unary(Opcode::bit_not, any(2))
                       : b_.unary(unary[below(type == 0 ? 3 : 2)], any(type));
    }
    Opcode op = type == 0 ? floats[below(6)] : type == 1 ? integers[below(11)] : bools[below(3)];
    return b_.binary(op, any(type), any(type));
  }
  void one(int depth) {
    const int type = below(3);
    Value v = no_value;
    switch (below(depth > 0 ? 9 : 7)) {
      case 0:
      case 1:
        v = constant(type);
        break;
      case 2:
        v = b_.select(any(2), any(type), any(type));
        break;
      case 3: {
        const int of = below(2);
        const Opcode op = static_cast<Opcode>(static_cast<int>(Opcode::equal) + below(6));
        values_[2].push_back(b_.compare(op, any(of), any(of)));
        return;
      }
      case 4:
        v = b_.convert(any(below(3)), type == 0 ? float32 : type == 1 ? int32 : bool_);
        break;
      case 7:
        return choice(depth - 1);
      case 8:
        return loop(depth - 1);
      default:
        v = arithmetic(type);
    }
    values_[static_cast<std::size_t>(type)].push_back(v);
  }
  void body(int depth, int count) {
    for (int k = 0; k < count; ++k) one(depth);
  }
  void choice(int depth) {
    auto outer = values_;
    auto yielded = [&] { return std::vector{any(0), any(1), any(2)}; };
    b_.begin_if(any(2));
    body(depth, 5);
    if (below(3) == 0) b_.store(out_[0], at_, any(0));
    b_.begin_else(yielded());
    values_ = outer;
    body(depth, 5);
    auto results = b_.end_if(yielded());
    values_ = outer;
    for (int t = 0; t < 3; ++t)
      values_[static_cast<std::size_t>(t)].push_back(results[static_cast<std::size_t>(t)]);
  }
  void loop(int depth) {
    auto outer = values_;
    Value start = b_.constant_of(std::int32_t{0}), end = b_.constant_of(std::int32_t{below(3)});
    Value unit = b_.constant_of(std::int32_t{1});
    auto p = b_.begin_loop(std::vector{start, any(0), any(1), any(2)});
    for (int t = 0; t < 3; ++t)
      values_[static_cast<std::size_t>(t)].push_back(p[static_cast<std::size_t>(t + 1)]);
    body(0, 2);
    b_.loop_while(b_.compare(Opcode::less, p[0], end));
    body(depth, 5);
    Value f = below(3) == 0 ? p[1] : any(0);
    b_.end_loop(std::vector{b_.binary(Opcode::add, p[0], unit), f, any(1), any(2)});
    values_ = outer;
    for (int t = 0; t < 3; ++t)
      values_[static_cast<std::size_t>(t)].push_back(p[static_cast<std::size_t>(t + 1)]);
  }

  std::mt19937 random_;
  KernelBuilder b_;
  int out_[2] = {};
  Value at_ = no_value;
  std::array<std::vector<Value>, 3> values_;
};

TEST(Simplify, random_programs_compute_the_same) {
  const float floats[] = {0.0f, -0.0f, 1.0f, -2.5f, 3e38f, INFINITY, NAN};
  const std::int32_t integers[] = {0, 1, -1, 5, -7, 2147483647, -2147483647 - 1};
  std::int64_t extent[3] = {7, 1, 1}, before = 0, after = 0;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    Program given = Random(seed).program(), program = simplify(given);
    verify(program);
    before += given.size();
    after += program.size();
    std::vector<float> f[2];
    std::vector<std::int32_t> n[2];
    for (int k = 0; k < 2; ++k) {
      f[k].assign(std::begin(floats), std::end(floats));
      n[k].assign(std::begin(integers), std::end(integers));
      InterpreterBuffer buffers[] = {{f[k].data(), 7}, {n[k].data(), 7}};
      interpret(k == 0 ? given : program, extent, buffers, {}, 1'000'000);
    }
    ASSERT_EQ(n[0], n[1]) << "seed " << seed << "\n" << print(given) << print(program);
    for (std::size_t i = 0; i < 7; ++i) {
      const bool same = std::isnan(f[0][i])
                            ? std::isnan(f[1][i])
                            : testing::bits_of(f[0][i]) == testing::bits_of(f[1][i]);
      ASSERT_TRUE(same) << "seed " << seed << ", item " << i << "\n" << print(given);
    }
  }
  EXPECT_LT(after, before / 2) << "there is much to simplify in these programs";
}

TEST(Simplify, long_and_deep_programs) {
  KernelBuilder b("deep");
  int x = b.buffer(float32, true, true, "x");
  Value i = b.item(0), v = b.load(x, i), one = b.constant_of(1.0f);
  for (int k = 0; k < 100'000; ++k) v = b.binary(Opcode::add, v, one);
  Value c = b.compare(Opcode::less, v, one);
  for (int k = 0; k < 20'000; ++k) b.begin_if(c);
  b.store(x, i, v);
  for (int k = 0; k < 20'000; ++k) b.end_if();
  Program p = b.finish();
  EXPECT_TRUE(simplify(p) == p);
  EXPECT_TRUE(parse_program(print(p)) == p);
  float value = -200'000;
  std::int64_t extent[3] = {1, 1, 1};
  InterpreterBuffer buffer{&value, 1};
  interpret(p, extent, {&buffer, 1}, {});
  EXPECT_EQ(value, -100'000);
}

}  // namespace
}  // namespace noyau::jit
