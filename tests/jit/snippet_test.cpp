// The kernel language against the C++ compiler: the same text, the same values.
// SPDX-License-Identifier: Apache-2.0
#include "jit/snippet.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "noyau/error.hpp"
#include "tests/jit/snippet_run.hpp"

namespace noyau::jit {
namespace {

using uint = unsigned;
using uchar = unsigned char;
using ulong = unsigned long;

const SnippetParameter variables[] = {{"a", int32},   {"b", int32},  {"c", int8},   {"w", uint8},
                                      {"u", uint32},  {"l", int64},  {"m", uint64}, {"p", bool_},
                                      {"f", float32}, {"d", float64}};

struct Values {
  int a;
  int b;
  signed char c;
  uchar w;
  uint u;
  long l;
  ulong m;
  bool p;
  float f;
  double d;
};
const Values values[] = {{7, -3, -128, 200, 5, -9, 11, true, 1.5f, -2.25},
                         {-100, 3, 127, 255, 0xffffffffu, 1L << 40, ~0UL, false, -0.75f, 1e10}};

/// The value of an expression over `variables`, as a scalar of type `result`.
Scalar evaluate(const std::string& text, const Values& v, DType result) {
  FunctionLibrary library;
  const auto& entry = parse_expression(text, variables, result, float32, "e", library);
  const Scalar arguments[] = {Scalar::of(v.a), Scalar::of(v.b), Scalar::of(v.c), Scalar::of(v.w),
                              Scalar::of(v.u), Scalar::of(v.l), Scalar::of(v.m), Scalar::of(v.p),
                              Scalar::of(v.f), Scalar::of(v.d)};
  return testing::call(library, entry, arguments)[0];
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wparentheses"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wfloat-conversion"
#pragma GCC diagnostic ignored "-Wbool-compare"
#pragma GCC diagnostic ignored "-Wint-in-bool-context"
#pragma GCC diagnostic ignored "-Wunused-value"
#pragma GCC diagnostic ignored "-Wunused-parameter"

/// The compiler's value of the same text, and its type.
#define SAME(expression)                                                              \
  for (const Values& v : values) {                                                    \
    [[maybe_unused]] const auto [a, b, c, w, u, l, m, p, f, d] = v;                   \
    const auto expected = expression;                                                 \
    EXPECT_EQ(evaluate(#expression, v, dtype_of<std::decay_t<decltype(expected)>>()), \
              Scalar::of(expected))                                                   \
        << #expression;                                                               \
  }

TEST(Snippet, precedence_and_associativity_are_those_of_c){
    SAME(a + b * 3 - a / b % 5) SAME(a - b - 3) SAME(a / 2 / 3 * 4) SAME(a << 2 + 1 >> 1)
        SAME(a < b == p) SAME(a == 7 & b) SAME(a & 6 | b ^ 12 & a) SAME(a < b || b < 0 && a > 3)
            SAME(p   ? a
                 : b ? 1
                     : 2) SAME(-a * ~b + !c) SAME((a, b)) SAME(a > b ? a > 5 ? 1 : 2 : 3)
                SAME(-(-a) - -b) SAME(!a == b < 4)}

TEST(Snippet, integer_promotion_and_usual_conversions){
    SAME(c + c) SAME(w + w) SAME(w * w - c) SAME(-w) SAME(~w) SAME((uchar)(w + w)) SAME(a + u)
        SAME(b < u) SAME(u - 6) SAME(l + u) SAME(l * m) SAME(a + f) SAME(l + f) SAME(f * d)
            SAME(u * d) SAME(p + p) SAME(w << 4) SAME(c >> 1) SAME(u >> 3) SAME((long)a << 35)
                SAME(1u - 2) SAME(0x80000000 + 1) SAME(3000000000) SAME(4294967295u + 1u)
                    SAME(0xffffffffff & l) SAME(017 + 'a' + '\n') SAME(p & a > 0) SAME(p == (a > 0))
                        SAME(!f) SAME((bool)d) SAME((int)f + (long)d) SAME(a / 1.5f)
                            SAME(0x1.8p1f * f) SAME(a && f || !d)}

TEST(Snippet, division_and_shifts_are_total) {
  const Values& v = values[0];
  EXPECT_EQ(evaluate("a / (b + 3)", v, int32), Scalar::of(0));
  EXPECT_EQ(evaluate("a % (b + 3)", v, int32), Scalar::of(0));
  EXPECT_EQ(evaluate("a << 32", v, int32), Scalar::of(0));
  EXPECT_EQ(evaluate("b >> 40", v, int32), Scalar::of(-1));
  EXPECT_EQ(evaluate("a << (1L << 32)", v, int32), Scalar::of(0));  // not cut to 0 first
  EXPECT_EQ(evaluate("b >> (1L << 32)", v, int32), Scalar::of(-1));
  EXPECT_EQ(evaluate("u >> -1", v, uint32), Scalar::of(0u));
}

TEST(Snippet, weak_literals_take_the_type_of_their_surroundings) {
  const Values& v = values[0];  // T is float32
  EXPECT_EQ(evaluate("f * 0.1", v, float64), Scalar::of(static_cast<double>(1.5f * 0.1f)));
  EXPECT_EQ(evaluate("d * 0.1", v, float64), Scalar::of(-2.25 * 0.1));
  EXPECT_EQ(evaluate("a * 0.1", v, float64), Scalar::of(static_cast<double>(7 * 0.1f)));
  EXPECT_EQ(evaluate("0.1", v, float64), Scalar::of(0.1));
  EXPECT_EQ(evaluate("1 / 3.0", v, float64), Scalar::of(1 / 3.0));  // folded before it gets a type
  EXPECT_EQ(evaluate("1 / 3", v, float64), Scalar::of(0.0));
  EXPECT_EQ(evaluate("(T)0.1", v, float64), Scalar::of(static_cast<double>(0.1f)));
  EXPECT_EQ(evaluate("p ? 0.1 : d", v, float64), Scalar::of(0.1));
  EXPECT_EQ(evaluate("0.1f * d", v, float64), Scalar::of(0.1f * -2.25));
  EXPECT_EQ(evaluate("M_PI * f", v, float64),
            Scalar::of(static_cast<double>(0x1.921fb6p1f * 1.5f)));
  EXPECT_EQ(evaluate("max(f, 0)", v, float32), Scalar::of(1.5f));
  EXPECT_EQ(evaluate("-INFINITY", v, float64), Scalar::of(-HUGE_VAL));
}

TEST(Snippet, builtin_functions) {
  const Values& v = values[0];
  auto f32 = [&](const char* text) {
    const Scalar s = evaluate(text, v, float32);
    return s.to_double();
  };
  EXPECT_EQ(f32("fma(f, f, -2.25)"), 0);
  EXPECT_EQ(f32("sqrt(f * f)"), 1.5);
  EXPECT_EQ(f32("floor(-f) + ceil(f) * 10 + trunc(-f) * 100 + rint(2.5) * 1000"), 1918);
  EXPECT_EQ(f32("fabs(-f) + abs(b)"), 4.5);
  EXPECT_EQ(f32("min(f, 2) + max(f, 4)"), 5.5);
  EXPECT_EQ(f32("clamp(f, 2, 3)"), 2);
  EXPECT_TRUE(std::isnan(f32("min(f, NAN)")));
  EXPECT_EQ(f32("fmin(f, NAN) + fmax(NAN, f)"), 3);
  EXPECT_EQ(f32("select(f > 1, f, 0)"), 1.5);
  EXPECT_EQ(f32("copysign(f, -0.0)"), -1.5);
  EXPECT_EQ(f32("fmod(-7.5, 2.0)"), -1.5);
  EXPECT_EQ(f32("sqrtf(4) + fabsf(-1)"), 3);
  EXPECT_EQ(f32("isnan(NAN) + isinf(-INFINITY) * 2 + isfinite(f) * 4 + signbit(-0.0) * 8"), 15);
  EXPECT_EQ(evaluate("as_int(f)", v, int32), Scalar::of(0x3fc00000));
  EXPECT_EQ(evaluate("as_uint(-f)", v, uint32), Scalar::of(0xbfc00000u));
  EXPECT_EQ(evaluate("as_float(0x3fc00000)", v, float32), Scalar::of(1.5f));
  EXPECT_EQ(evaluate("as_long(d) == __double_as_longlong(d)", v, bool_), Scalar::of(true));
  EXPECT_EQ(evaluate("as_double(as_ulong(d))", v, float64), Scalar::of(-2.25));
  EXPECT_EQ(evaluate("__float_as_int(1)", v, int32), Scalar::of(0x3f800000));
  EXPECT_EQ(evaluate("__int_as_float(0x3f800000)", v, float32), Scalar::of(1.0f));
  EXPECT_EQ(evaluate("abs(c)", v, int8), Scalar::of(static_cast<signed char>(-128)));
}

// ---- statements: each text is compiled twice

#define BOTH(name, ...) \
  __VA_ARGS__           \
  const char* const name##_text = #__VA_ARGS__;

BOTH(
    collatz, int collatz(int n) {
      int steps = 0;
      while (n != 1) {
        if (n % 2 == 0) n /= 2;
        else n = 3 * n + 1;
        if (++steps >= 1000) return -1;
      }
      return steps;
    })

BOTH(
    exits, int exits(int n) {
      int sum = 0;
      for (int i = 0, j = n; i < j; i++, --j) {
        if (i == 3) continue;
        if (i * j > 200) break;
        for (int k = i;; k += 2) {
          if (k > j) break;
          if (k == 77) return -sum;
          if (k % 5 == 0) continue;
          sum += k;
        }
        sum ^= i << 3;
      }
      if (sum > 5000) return 5000;
      else if (sum < 0) {
        sum = -sum;
      }
      return sum;
    })

BOTH(
    partial, int partial(int n) {
      int r = 1;
      if (n > 10) {
        if (n > 20) {
          if (n % 2 == 0) return 100 + r;
        } else {
          r = 5;
          if (n == 15) return r;
        }
        r += 2;
      } else if (n < 3) return 7;
      r *= 3;
      return r + n;
    })

BOTH(
    conditions, int conditions(int n) {
      int i = n, count = 0, last = 0;
      while (i-- > 0) {
        if (i % 3 == 1) continue;
        if (i == 5) break;
        ++count;
      }
      do {
        count += 10;
        if (count % 7 == 0) continue;
        last = count;
      } while (count < n && (last += 1) > 0);
      return (n > 4 && ++count > 0) ? count * 1000 + i : (last -= 3, last + i);
    })

BOTH(
    deep_return, int deep_return(int n) {
      for (int i = 0; i < n; ++i) {
        int j = 0;
        do {
          while (true) {
            j++;
            if (j * i > 50) return i * 100 + j;
            if (j % 4 == 0) break;
          }
        } while (j < 20);
      }
      return -1;
    })

BOTH(
    after_break, int after_break(int n) {
      int i = 0, j = 0;
      for (i = 0; i < 10; ++i) {  // no step is taken after a break
        if (i == n) break;
        for (j = i;; j += 3) {
          if (j > n + i) break;
        }
      }
      return i * 100 + j;
    })

BOTH(
    shadows, int shadows(int n) {
      int x = n;
      {
        int x = n + 1;
        x *= 2;
        n += x;
      }
      for (int x = 0; x < 3; ++x) n += x;
      if (n > 0) {
        int y = x;
        x = y + 1;
      } else {
        int y = 2;
        x -= y;
      }
      return n * 10 + x;
    })

#pragma GCC diagnostic pop

struct Compiled {
  const char* name;
  const char* text;
  int (*function)(int);
};

TEST(Snippet, control_flow_does_what_the_compiler_does) {
  const Compiled all[] = {{"collatz", collatz_text, collatz},
                          {"exits", exits_text, exits},
                          {"partial", partial_text, partial},
                          {"conditions", conditions_text, conditions},
                          {"deep_return", deep_return_text, deep_return},
                          {"after_break", after_break_text, after_break},
                          {"shadows", shadows_text, shadows}};
  for (const Compiled& c : all) {
    FunctionLibrary library;
    parse_functions(c.text, library, c.name);
    const DType types[] = {int32};
    const auto* entry = library.find(c.name, types);
    ASSERT_NE(entry, nullptr) << c.name;
    for (int n = -3; n < 40; ++n) {
      if (c.function == collatz && n < 1) continue;
      const Scalar argument[] = {Scalar::of(n)};
      EXPECT_EQ(testing::call(library, *entry, argument)[0], Scalar::of(c.function(n)))
          << c.name << "(" << n << ")";
    }
  }
}

// ---- functions

TEST(Snippet, templates_overloads_references_and_any_order) {
  FunctionLibrary library;
  parse_functions(R"(
    template <typename T> T twice_third(T x) { return third(x) + third(x); }  // used before it is
    template <typename T> T third(T x) { return x * 0.333; }
    void divide(int a, int b, int& quotient, int& remainder) {
      quotient = a / b;
      remainder = a - quotient * b;
    }
    static inline int kind(float x) { return 1; }
    int kind(double x) { return 2; }
    int kind(const int x) { return 3; }
    int digits(int n) {
      int sum = 0, digit, rest = n;
      for (; rest > 0;) {
        divide(rest, 10, rest, digit);
        sum = sum * 2 + digit;
      }
      return sum + kind((short)n) * 1000 + kind(1.5f) * 10000;
    }
  )",
                  library, "functions");
  const DType f32[] = {float32}, f64[] = {float64}, i32[] = {int32};
  const Scalar one[] = {Scalar::of(1.0f)}, big[] = {Scalar::of(1.0)}, number[] = {Scalar::of(472)};
  EXPECT_EQ(testing::call(library, *library.find("twice_third", f32), one)[0],
            Scalar::of(2 * 0.333f));
  EXPECT_EQ(testing::call(library, *library.find("twice_third", f64), big)[0],
            Scalar::of(2 * 0.333));
  EXPECT_EQ(testing::call(library, *library.find("digits", i32), number)[0],
            Scalar::of((2 * 2 + 7) * 2 + 4 + 3000 + 10000));
}

TEST(Snippet, ternary_evaluates_loops_and_assignments_only_when_asked) {
  FunctionLibrary library;
  parse_functions(R"(
    int count(int n) { int i = 0; while (i != n) ++i; return i; }  // never ends for n < 0
    int safe(int n) { return n < 0 ? -1 : count(n); }
    bool positive(int n) { return n >= 0 && count(n) > 2; }
  )",
                  library, "lazy");
  const DType i32[] = {int32};
  const Scalar negative[] = {Scalar::of(-5)}, three[] = {Scalar::of(3)};
  EXPECT_EQ(testing::call(library, *library.find("safe", i32), negative)[0], Scalar::of(-1));
  EXPECT_EQ(testing::call(library, *library.find("safe", i32), three)[0], Scalar::of(3));
  EXPECT_EQ(testing::call(library, *library.find("positive", i32), negative)[0], Scalar::of(false));
  EXPECT_EQ(testing::call(library, *library.find("positive", i32), three)[0], Scalar::of(true));
}

TEST(Snippet, pure_conditions_become_straight_code) {
  FunctionLibrary library;
  const SnippetParameter x[] = {{"x", float32}};
  parse_expression("x > 0 && x < 1 ? sqrt(x) : -x", x, float32, float32, "f", library);
  for (const Instruction& i : library.program.instructions) EXPECT_NE(i.op, Opcode::if_);
}

TEST(Snippet, instructions_know_their_place_in_the_text) {
  FunctionLibrary library;
  const SnippetParameter x[] = {{"x", float32}};
  parse_expression("x + \n  x * 2", x, float32, float32, "f", library);
  int found = 0;
  for (const Instruction& i : library.program.instructions) {
    if (i.op != Opcode::multiply) continue;
    EXPECT_EQ(i.place, 9);
    ++found;
  }
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace noyau::jit
