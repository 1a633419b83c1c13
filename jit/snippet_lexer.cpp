// Splits a kernel string into tokens.
// SPDX-License-Identifier: Apache-2.0
#include "jit/snippet_lexer.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace noyau::jit::snippet {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/// Longest first, so that the first match is the token.
constexpr std::array<std::string_view, 47> punctuation = {
    "<<=", ">>=", "...", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=",
    "-=",  "*=",  "/=",  "%=", "&=", "|=", "^=", "++", "--", "->", "::", "+",
    "-",   "*",   "/",   "%",  "<",  ">",  "=",  "!",  "~",  "&",  "|",  "^",
    "?",   ":",   ";",   ",",  ".",  "(",  ")",  "{",  "}",  "[",  "]"};

class Lexer {
 public:
  explicit Lexer(const Source& source) : source_(source), text_(source.text) {}

  std::vector<Token> run() {
    std::vector<Token> tokens;
    for (;;) {
      skip_blanks();
      tokens.push_back(next());
      if (tokens.back().kind == Token::Kind::end) return tokens;
    }
  }

 private:
  char at(std::size_t k) const { return k < text_.size() ? text_[k] : '\0'; }
  [[noreturn]] void fail(std::size_t begin, std::size_t end, const std::string& message) const {
    source_.fail(static_cast<std::int32_t>(begin), end - begin, message);
  }

  void skip_blanks() {
    for (;;) {
      if (is_space(at(at_))) {
        ++at_;
      } else if (at(at_) == '/' && at(at_ + 1) == '/') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (at(at_) == '/' && at(at_ + 1) == '*') {
        const std::size_t end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) fail(at_, at_ + 2, "this comment has no end");
        at_ = end + 2;
      } else {
        return;
      }
    }
  }

  Token token(Token::Kind kind, std::size_t begin, std::size_t end) {
    at_ = end;
    Token t;
    t.kind = kind;
    t.text = text_.substr(begin, end - begin);
    t.place = static_cast<std::int32_t>(begin);
    return t;
  }

  Token next() {
    const std::size_t begin = at_;
    if (begin >= text_.size()) return token(Token::Kind::end, begin, begin);
    const char c = text_[begin];
    if (is_letter(c)) {
      std::size_t end = begin;
      while (is_letter(at(end)) || is_digit(at(end))) ++end;
      return token(Token::Kind::name, begin, end);
    }
    if (is_digit(c) || (c == '.' && is_digit(at(begin + 1)))) return number(begin);
    if (c == '\'') return character(begin);
    for (std::string_view p : punctuation) {
      if (p.front() == c && text_.substr(begin, p.size()) == p) {
        return token(Token::Kind::punctuation, begin, begin + p.size());
      }
    }
    if (c == '"') fail(begin, begin + 1, "strings mean nothing in a kernel");
    fail(begin, begin + 1,
         c > ' ' && c < 127 ? fmt::format("'{}' means nothing in the kernel language", c)
                            : fmt::format("the byte 0x{:02x} means nothing in the kernel language",
                                          static_cast<unsigned char>(c)));
  }

  Token character(std::size_t begin) {
    std::size_t end = begin + 1;
    int value = static_cast<signed char>(at(end));
    if (at(end) == '\\') {
      constexpr std::string_view names = "ntr0\\'";
      constexpr char values[] = {'\n', '\t', '\r', '\0', '\\', '\''};
      const std::size_t k = at(++end) == '\0' ? std::string_view::npos : names.find(at(end));
      if (k == std::string_view::npos) fail(begin, end + 1, "an escape that is not known");
      value = values[k];
    }
    if (at(end) == '\0' || at(end) == '\n' || at(end + 1) != '\'') {
      fail(begin, end + 1, "a character literal is one character between ' and '");
    }
    Token t = token(Token::Kind::integer, begin, end + 2);
    t.integer = static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
    return t;
  }

  /// Everything that can belong to a number, so that "1.5x" is one wrong number, not two tokens.
  Token number(std::size_t begin) {
    const bool hex = at(begin) == '0' && (at(begin + 1) == 'x' || at(begin + 1) == 'X');
    std::size_t end = begin + (hex ? 2 : 0);
    bool floating = false;
    while (hex ? is_hex_digit(at(end)) || at(end) == '.' : is_digit(at(end)) || at(end) == '.') {
      floating |= at(end) == '.';
      ++end;
    }
    const char exponent = static_cast<char>(at(end) | 0x20);
    if (exponent == (hex ? 'p' : 'e')) {
      floating = true;
      ++end;
      if (at(end) == '+' || at(end) == '-') ++end;
      while (is_digit(at(end))) ++end;
    }
    std::size_t suffix = end;
    while (is_letter(at(suffix)) || is_digit(at(suffix))) ++suffix;
    const std::string_view digits = text_.substr(begin, end - begin);
    const std::string_view letters = text_.substr(end, suffix - end);
    Token t = token(floating ? Token::Kind::floating : Token::Kind::integer, begin, suffix);
    if (floating) read_floating(t, digits, letters, hex);
    else read_integer(t, digits, letters, hex);
    return t;
  }

  void read_floating(Token& t, std::string_view digits, std::string_view suffix, bool hex) const {
    const std::size_t begin = static_cast<std::size_t>(t.place), end = begin + t.text.size();
    const std::string_view body = hex ? digits.substr(2) : digits;
    const auto format = hex ? std::chars_format::hex : std::chars_format::general;
    const bool single = suffix == "f" || suffix == "F";
    float narrow = 0;
    auto read = single
                    ? std::from_chars(body.data(), body.data() + body.size(), narrow, format)
                    : std::from_chars(body.data(), body.data() + body.size(), t.floating, format);
    if (single) t.floating = static_cast<double>(narrow);
    if (read.ec == std::errc::result_out_of_range) {
      fail(begin, end,
           fmt::format("'{}' is out of the range of {}", t.text, single ? "float" : "double"));
    }
    if (read.ec != std::errc() || read.ptr != body.data() + body.size()) {
      fail(begin, end, fmt::format("'{}' is not a number", t.text));
    }
    if (hex && body.find_first_of("pP") == std::string_view::npos) {
      fail(begin, end, fmt::format("the hexadecimal number '{}' needs an exponent: p0", t.text));
    }
    if (!suffix.empty() && !single) {
      fail(begin, end, fmt::format("a floating literal ends in f or in nothing, not '{}'", suffix));
    }
    t.suffixed = single;
    t.type = single ? float32 : float64;
  }

  void read_integer(Token& t, std::string_view digits, std::string_view suffix, bool hex) const {
    const std::size_t begin = static_cast<std::size_t>(t.place), end = begin + t.text.size();
    if (suffix == "f" || suffix == "F") {
      fail(begin, end, fmt::format("a float literal has a point or an exponent: {}.0f", digits));
    }
    std::string_view body = digits;
    int base = 10;
    if (hex) {
      base = 16;
      body = digits.substr(2);
    } else if (digits.size() > 1 && digits[0] == '0') {
      base = 8;
    }
    bool no_sign = false;
    int longs = 0;
    for (char c : suffix) {
      if ((c == 'u' || c == 'U') && !no_sign) no_sign = true;
      else if ((c == 'l' || c == 'L') && longs < 2) ++longs;
      else
        fail(begin, end,
             fmt::format("an integer literal ends in u, l, ul or nothing, not '{}'", suffix));
    }
    auto read = std::from_chars(body.data(), body.data() + body.size(), t.integer, base);
    if (read.ec == std::errc::result_out_of_range) {
      fail(begin, end, fmt::format("'{}' does not fit in 64 bits", t.text));
    }
    if (read.ec != std::errc() || read.ptr != body.data() + body.size()) {
      fail(begin, end, fmt::format("'{}' is not a number", t.text));
    }
    t.type = type_of(t, no_sign, longs > 0, base != 10);
  }

  /// C: the first of int, uint, long, ulong that holds it; decimals without u stay signed.
  DType type_of(const Token& t, bool no_sign, bool is_long, bool try_unsigned) const {
    const std::uint64_t v = t.integer;
    if (!is_long && !no_sign && v <= 0x7fffffff) return int32;
    if (!is_long && (no_sign || try_unsigned) && v <= 0xffffffff) return uint32;
    if (!no_sign && v <= 0x7fffffffffffffff) return int64;
    if (no_sign || try_unsigned) return uint64;
    const std::size_t begin = static_cast<std::size_t>(t.place);
    fail(begin, begin + t.text.size(),
         fmt::format("'{}' does not fit in a signed 64-bit integer; write {}u", t.text, t.text));
  }

  const Source& source_;
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<Token> lex(const Source& source) {
  if (source.text.size() > source_limit) {
    source.fail(0, 1,
                fmt::format("the source has {} bytes; at most {} are accepted", source.text.size(),
                            source_limit));
  }
  return Lexer(source).run();
}

}  // namespace noyau::jit::snippet
