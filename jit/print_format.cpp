// Formats what a Program prints.
// SPDX-License-Identifier: Apache-2.0
#include "jit/print_format.hpp"

#include <fmt/format.h>

namespace noyau::jit {

namespace {

/// One conversion such as "%-8.3f", without its length modifier.
struct Conversion {
  std::string flags, width;  ///< width with its precision
  char letter = 0;
};

std::string formatted(const Conversion& c, const Scalar& value) {
  std::string spec = "{:";
  const bool left = c.flags.find('-') != std::string::npos;
  const bool number = c.letter != 'c';
  if (left) spec += '<';
  else if (number && c.flags.find('0') == std::string::npos) spec += '>';
  for (char flag : {'+', ' ', '#', '0'}) {
    bool hidden = (flag == '0' && left) || (flag == ' ' && c.flags.find('+') != std::string::npos);
    if (number && !hidden && c.flags.find(flag) != std::string::npos) spec += flag;
  }
  std::string width = c.width;
  const bool floating = std::string_view("eEfFgGaA").find(c.letter) != std::string_view::npos;
  if (!floating) width = width.substr(0, width.find('.'));  // fmt knows no precision of integers
  spec += width;
  const char letter = c.letter == 'i' || c.letter == 'u' ? 'd' : c.letter;
  spec += letter;
  spec += '}';
  if (floating) return fmt::format(fmt::runtime(spec), value.to_double());
  if (c.letter == 'c') return fmt::format(fmt::runtime(spec), static_cast<char>(value.to_int64()));
  if (c.letter == 'd' || c.letter == 'i') {
    return fmt::format(fmt::runtime(spec), value.as(int64).to_int64());
  }
  // %u and %x show a negative number's own bits, as C does.
  return fmt::format(fmt::runtime(spec),
                     is_signed_integer(value.dtype) ? value.bits : value.as(uint64).bits);
}

}  // namespace

std::string format_print(std::string_view format, std::span<const Scalar> values) {
  std::string out;
  std::size_t used = 0;
  auto among = [&](std::size_t at, std::string_view set) {
    return at < format.size() && set.find(format[at]) != std::string_view::npos;
  };
  for (std::size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out += format[at++];
      continue;
    }
    const std::size_t start = at++;
    Conversion c;
    while (among(at, "-+ #0")) c.flags += format[at++];
    while (among(at, "0123456789.")) c.width += format[at++];
    while (among(at, "hlLqjzt")) ++at;
    const bool fits = c.width.size() <= 6 && c.width.find('.') == c.width.rfind('.');
    if (among(at, "%")) out += '%';
    else if (fits && used < values.size() && among(at, "diuxXoceEfFgGaA")) {
      c.letter = format[at];
      if (!c.width.empty() && c.width.back() == '.') c.width += '0';
      out += formatted(c, values[used++]);
    } else out += format.substr(start, at < format.size() ? at + 1 - start : at - start);
    ++at;
  }
  return out;
}

}  // namespace noyau::jit
