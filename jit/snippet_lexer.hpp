// The tokens of the kernel language.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "jit/snippet_source.hpp"
#include "noyau/dtype.hpp"

namespace noyau::jit::snippet {

struct Token {
  enum class Kind : std::uint8_t { end, name, integer, floating, punctuation };
  Kind kind = Kind::end;
  std::string_view text;
  std::int32_t place = 0;  ///< byte offset in the source
  DType type = int32;      ///< of a number
  bool suffixed = false;   ///< a floating literal that says its type
  std::uint64_t integer = 0;
  double floating = 0;

  /// A name or punctuation with that text; `word` is not empty.
  bool is(std::string_view word) const {
    // Most answers are no: the first letter gives it without a call of memcmp.
    return text.size() == word.size() && text.front() == word.front() && text == word &&
           (kind == Kind::punctuation || kind == Kind::name);
  }
};

/// All tokens of `source`, closed by one of kind `end`. Comments are skipped. CompileError on
/// characters and literals that C does not know.
std::vector<Token> lex(const Source& source);

}  // namespace noyau::jit::snippet
