// The text of a kernel string and the errors that point into it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace noyau::jit::snippet {

/// Nesting of statements and expressions, so that 256 KiB of stack always do.
inline constexpr int nesting_limit = 64;
/// Bytes of one source.
inline constexpr std::size_t source_limit = std::size_t{1} << 20;

/// A text with the name that messages call it by. The text outlives whatever is made from it.
struct Source {
  std::string name;
  std::string_view text;

  /// Throws CompileError: "name:line:column: message", the line, and carets under the `length`
  /// bytes at `place`.
  [[noreturn]] void fail(std::int32_t place, std::size_t length, const std::string& message) const;
};

}  // namespace noyau::jit::snippet
