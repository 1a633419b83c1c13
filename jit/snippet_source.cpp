// Errors with a caret into a kernel string.
// SPDX-License-Identifier: Apache-2.0
#include "jit/snippet_source.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "noyau/error.hpp"

namespace noyau::jit::snippet {

void Source::fail(std::int32_t place, std::size_t length, const std::string& message) const {
  const std::size_t at = std::min(static_cast<std::size_t>(std::max(place, 0)), text.size());
  const std::size_t before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
  const std::size_t end = std::min(text.find('\n', at), text.size());
  const auto line =
      1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  const std::size_t column = at - begin;

  // Very long lines are shown around the mistake only; tabs are kept so that the caret lines up.
  const std::size_t from = column > 80 ? begin + column - 60 : begin;
  const std::string_view shown = text.substr(from, std::min<std::size_t>(end - from, 160));
  std::string under;
  for (std::size_t k = from; k < at; ++k) under += text[k] == '\t' ? '\t' : ' ';
  under += '^';
  const std::size_t room = from + shown.size() > at ? from + shown.size() - at : 1;
  if (length > 1) under.append(std::min(length, room) - 1, '~');
  throw CompileError(
      fmt::format("{}:{}:{}: {}\n  {}\n  {}", name, line, column + 1, message, shown, under));
}

}  // namespace noyau::jit::snippet
