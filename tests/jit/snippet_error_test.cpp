// Mistakes in the kernel language: the message, and the caret under the right token.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>

#include "jit/snippet.hpp"
#include "noyau/error.hpp"
#include "tests/common/small_stack.hpp"

namespace noyau::jit {
namespace {

using test::with_small_stack;

const SnippetParameter x_only[] = {{"x", float32}};

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const CompileError& e) {
    return e.what();
  }
  return "no error";
}

std::string expression_error(const std::string& text) {
  FunctionLibrary library;
  parse_functions(
      "float exp(float x) { return x; } double exp(double x) { return x; }"
      "void half(float& x) { x *= 0.5f; } float pick(float a, int b) { return a; }"
      "int pick(int a, float b) { return a; }",
      library, "library");
  return error_of([&] { parse_expression(text, x_only, float32, float32, "row", library); });
}

std::string function_error(const std::string& text) {
  FunctionLibrary library;
  return error_of([&] { parse_functions(text, library, "file"); });
}

TEST(SnippetError, shows_the_place_the_line_and_a_caret) {
  EXPECT_EQ(expression_error("x *\n\tfoo + 1"),
            "row:2:2: unknown name 'foo'\n"
            "  \tfoo + 1\n"
            "  \t^~~");
}

struct Mistake {
  const char* text;
  int column;  ///< of the caret, in the last line of the message
  const char* message;
};

TEST(SnippetError, expressions) {
  const Mistake mistakes[] = {
      {"y + 1", 1, "unknown name 'y'"},
      {"x + foo(x)", 5, "unknown function 'foo'"},
      {"x +", 4, "expected an expression, found the end of the source"},
      {"x + * x", 5, "pointers are not supported"},
      {"(x + 1", 1, "this '(' is not closed"},
      {"(x + 1]", 7, "expected ')', found ']'"},
      {"x x", 3, "expected the end of the expression, found 'x'"},
      {"exp(x, x)", 1, "'exp' takes 1 argument; 2 given"},
      {"sqrt()", 1, "'sqrt' takes 1 argument; 0 given"},
      {"pick(x, x)", 1,
       "no 'pick' for (float32, float32); there are pick(float32, int32), "
       "pick(int32, float32)"},
      {"x & 1", 3, "'&' needs integers; it was given float32 and int32"},
      {"x % 2", 3, "'%' needs integers; it was given float32 and int32; use fmod"},
      {"~x", 1, "'~' needs an integer; it was given float32"},
      {"x = 2", 3, "'x' is const and cannot be assigned"},
      {"++x", 1, "a const variable cannot be changed"},
      {"1 = x", 3, "only a variable can be assigned"},
      {"half(x)", 6, "'half' would change the const 'x'"},
      {"1 + half(2)", 10,
       "argument 1 of 'half' is changed by it: it must be a variable of type "
       "float32"},
      {"as_double(x)", 1, "'as_double' needs an operand of 8 bytes; it was given float32"},
      {"select(x, 1, 2)", 1, "select(condition, a, b) needs a comparison first"},
      {"x[2]", 2, "arrays and pointers are not supported"},
      {"x.y", 2, "structs and vectors are not supported"},
      {"x @ 2", 3, "'@' means nothing in the kernel language"},
      {"1.5q", 1, "a floating literal ends in f or in nothing, not 'q'"},
      {"12f", 1, "a float literal has a point or an exponent: 12.0f"},
      {"1e400", 1, "'1e400' is out of the range of double"},
      {"1e40f", 1, "'1e40f' is out of the range of float"},
      {"0x1.8", 1, "the hexadecimal number '0x1.8' needs an exponent"},
      {"099", 1, "'099' is not a number"},
      {"10000000000000000000", 1, "does not fit in a signed 64-bit integer; write"},
      {"100000000000000000000", 1, "'100000000000000000000' does not fit in 64 bits"},
      {"'ab'", 1, "a character literal is one character"},
      {"\"text\"", 1, "strings mean nothing in a kernel"},
      {"x /* open", 3, "this comment has no end"},
      {"x ? 1", 6, "expected ':' between the two values of '?', found the end of the source"},
      {"(void)x", 1, "a cast names a type of numbers"},
  };
  for (const Mistake& m : mistakes) {
    const std::string error = expression_error(m.text);
    EXPECT_NE(error.find(m.message), std::string::npos) << m.text << "\n" << error;
    const std::string last = error.substr(error.rfind('\n') + 1);
    EXPECT_EQ(last.find('^'), static_cast<std::size_t>(m.column) + 1) << m.text << "\n" << error;
  }
}

TEST(SnippetError, functions) {
  const Mistake mistakes[] = {
      {"int f(int x) { if (x > 0) return 1; }", 5, "'f' can reach its end without returning"},
      {"int f(int x) { return g(x); }", 23, "unknown function 'g'"},
      {"int f(int x) { return f(x - 1); }", 5, "'f' calls itself; recursion is not possible"},
      {"int f(int x) { return g(x); } int g(int x) { return f(x); }", 5,
       "'f' calls itself through 'g'"},
      {"int f(int x) { int y; return y; }", 30, "'y' is read before it has a value"},
      {"int f(int x) { const int y = 1; y = 2; return y; }", 35, "'y' is const"},
      {"int f(int x) { int y = 1; int y = 2; return y; }", 31, "'y' is declared twice"},
      {"int f(int x) { int x = 1; return x; }", 20, "'x' is declared twice"},
      {"int f(int x) { break; return x; }", 16, "'break' outside of a loop"},
      {"int f(int x) { for (;;) {} return x; }", 16, "this loop has no condition and no way out"},
      {"int f(int x) { return; }", 16, "this return needs a value"},
      {"void f(int& x) { return 1; }", 18, "a void function returns no value"},
      {"int f(int* x) { return 1; }", 10, "pointers are not supported"},
      {"int f(int x) { return x", 24, "expected ';' after 'return'"},
      {"int f(int x) { x = 1;", 14, "this block is not closed: '}' is missing"},
      {"int f(int x) { switch (x) {} }", 16, "'switch' is not supported"},
      {"int f(int x) { goto a; }", 16, "'goto' is not supported"},
      {"f(int x) { return x; }", 1, "expected a type, found 'f'"},
      {"int f(foo x) { return x; }", 7, "expected a type, found 'foo'"},
      {"int f(int x) { if (x) int y = 1; return x; }", 23, "a declaration directly under 'if'"},
      {"int f(int x) { return x; } int f(int y) { return y; }", 32, "'f' is defined twice"},
      {"int f(int x) { auto y; return x; }", 21, "'y' needs a value here"},
      {"void g(int& x) { x = 1; } int f(int x) { return g(x); }", 49, "'g' gives no value"},
      {"template <typename T, typename U> T f(T x) { return x; }", 21,
       "a template has one type variable"},
      {"int f(int x);", 13, "declarations of functions are not needed"},
  };
  for (const Mistake& m : mistakes) {
    const std::string error = function_error(m.text);
    EXPECT_NE(error.find(m.message), std::string::npos) << m.text << "\n" << error;
    const std::string last = error.substr(error.rfind('\n') + 1);
    EXPECT_EQ(last.find('^'), static_cast<std::size_t>(m.column) + 1) << m.text << "\n" << error;
  }
}

TEST(SnippetError, leaves_the_library_as_it_was) {
  FunctionLibrary library;
  parse_functions("int f(int x) { return x; }", library, "first");
  const Program before = library.program;
  EXPECT_THROW(
      parse_functions("int g(int x) { return x; } int h(int x) { return y; }", library, "b"),
      CompileError);
  EXPECT_THROW(
      parse_functions("int g(int x) { while (x > 0) { x = x - z(x); } return x; }", library, "c"),
      CompileError);
  EXPECT_EQ(library.entries.size(), 1u);
  EXPECT_TRUE(library.program == before);
  parse_functions("int g(int x) { return f(x) + 1; }", library, "second");
  verify(library.program);
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int k = 0; k < times; ++k) all += text;
  return all;
}

TEST(SnippetError, deep_nesting_is_an_error_and_never_a_stack_overflow) {
  with_small_stack([] {
    for (int depth : {20, 60, 1000, 40'000}) {
      const std::string parentheses = repeated("(", depth) + "x" + repeated(")", depth);
      const std::string minus = repeated("- ", depth) + "x";
      const std::string choices = repeated("x > 0 ? 1 : ", depth) + "x";
      const std::string calls = repeated("fabs(", depth) + "x" + repeated(")", depth);
      for (const std::string& text : {parentheses, minus, choices, calls}) {
        const std::string error = expression_error(text);
        if (depth <= 20) {
          EXPECT_EQ(error, "no error") << text;
        }
        if (depth >= 1000) {
          EXPECT_NE(error.find("nested deeper than"), std::string::npos) << error;
        }
      }
      const std::string begin = "int f(int x) { ", end = " return x; }";
      const std::string ifs =
          begin + repeated("if (x > 1) { ", depth) + "x = 1;" + repeated(" }", depth) + end;
      const std::string loops = begin + repeated("while (x > 1) ", depth) + "x--;" + end;
      const std::string chain = begin + repeated("if (x > 1) x = 2; else ", depth) + "x = 1;" + end;
      for (const std::string& text : {ifs, loops, chain}) {
        const std::string error = function_error(text);
        if (depth <= 20) {
          EXPECT_EQ(error, "no error") << text;
        }
        if (depth >= 1000) {
          EXPECT_NE(error.find("nested deeper than"), std::string::npos) << error;
        }
      }
      const std::string returns = begin + repeated("if (x > 1) return x; ", depth) + end;
      const std::string error = function_error(returns);
      if (depth <= 60) {
        EXPECT_EQ(error, "no error");
      }
      if (depth >= 1000) {
        EXPECT_NE(error.find("early exits"), std::string::npos) << error;
      }
    }
  });
}

TEST(SnippetError, long_chains_are_fine) {
  with_small_stack([] {
    EXPECT_EQ(expression_error("x" + repeated(" + x * 2", 20'000)), "no error");
    EXPECT_EQ(expression_error("(x > 0" + repeated(" && x < 9", 5'000) + ")"), "no error");
  });
  EXPECT_NE(expression_error(repeated(" ", 2'000'000)).find("at most"), std::string::npos);
}

}  // namespace
}  // namespace noyau::jit
