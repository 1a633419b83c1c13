// Arrays as text: the way NumPy prints them.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <ostream>

#include "core/graph.hpp"
#include "noyau/array.hpp"

namespace noyau {
namespace {

constexpr std::int64_t summarised_above = 1000;  // elements
constexpr std::int64_t edge_items = 3;           // shown at each end of a summarised axis
constexpr std::size_t line_width = 75;
constexpr int precision = 8;  // most digits after the point

/// The shortest decimal digits that read back as the same value: "d.ddde±xx" split in two.
struct Digits {
  std::string digits;  ///< without the point
  int exponent = 0;    ///< of the first digit
  bool negative = false;
};
template <class T>
Digits shortest(T value) {
  const std::string text = fmt::format("{:e}", value);  // only for the sign and zero
  Digits result;
  result.negative = text[0] == '-';
  if (value == 0) {
    result.digits = "0";
    return result;
  }
  // fmt's shortest form is positional or scientific; either way digits and exponent can be read.
  std::string plain = fmt::format("{}", std::abs(value));
  int exponent = 0;
  if (const auto e = plain.find('e'); e != std::string::npos) {
    exponent = std::stoi(plain.substr(e + 1));
    plain.resize(e);
  }
  const auto point = plain.find('.');
  exponent += static_cast<int>(point == std::string::npos ? plain.size() : point) - 1;
  if (point != std::string::npos) plain.erase(point, 1);
  const auto first = plain.find_first_not_of('0');
  result.exponent = exponent - static_cast<int>(first);
  plain.erase(0, first);
  plain.erase(plain.find_last_not_of('0') + 1);
  result.digits = plain;
  return result;
}

/// "12.5", "3.": at least the point, at most `precision` digits after it, no trailing zeros.
template <class T>
std::string positional(T value) {
  const Digits d = shortest(value);
  const int count = static_cast<int>(d.digits.size());
  std::string text;
  if (count - 1 - d.exponent > precision) {
    text = fmt::format("{:.{}f}", std::abs(static_cast<double>(value)), precision);
    text.erase(text.find_last_not_of('0') + 1);
  } else if (d.exponent < 0) {
    text = "0." + std::string(static_cast<std::size_t>(-d.exponent - 1), '0') + d.digits;
    if (value == 0) text = "0.";
  } else {
    text = d.digits;
    if (count <= d.exponent) text.append(static_cast<std::size_t>(d.exponent + 1 - count), '0');
    text.insert(static_cast<std::size_t>(d.exponent + 1), ".");
    if (value == 0) text = "0.";
  }
  return d.negative ? "-" + text : text;
}

/// "1.5e-04" with `digits` digits after the point, padded by zeros (digits < 0: as few as needed),
/// and at least `exponent_digits` in the exponent.
template <class T>
std::string scientific(T value, int digits, int exponent_digits) {
  Digits d = shortest(value);
  std::string text;
  const int fraction = static_cast<int>(d.digits.size()) - 1;
  if (fraction > precision) {
    text = fmt::format("{:.{}e}", std::abs(static_cast<double>(value)), precision);
    d.exponent = std::stoi(text.substr(text.find('e') + 1));
    d.digits = text.substr(0, text.find('e'));
    d.digits.erase(1, 1);
    d.digits.erase(std::max<std::size_t>(d.digits.find_last_not_of('0') + 1, 1));
  }
  text = d.digits.substr(0, 1) + "." + d.digits.substr(1);
  if (digits >= 0 && static_cast<int>(text.size()) < digits + 2) {
    text.append(static_cast<std::size_t>(digits + 2) - text.size(), '0');
  }
  return fmt::format("{}{}e{}{:0{}}", d.negative ? "-" : "", text, d.exponent < 0 ? "-" : "+",
                     std::abs(d.exponent), exponent_digits);
}

/// What all numbers of one array share: notation and widths left and right of the point.
template <class T>
class FloatFormat {
 public:
  explicit FloatFormat(const std::vector<T>& values) {
    T largest = 0, smallest = 0;
    bool finite_only = true, negative_infinity = false;
    for (T v : values) {
      if (!std::isfinite(v)) {
        finite_only = false;
        negative_infinity = negative_infinity || v < 0;
      } else if (v != 0) {
        largest = std::max(largest, std::abs(v));
        smallest = smallest == 0 ? std::abs(v) : std::min(smallest, std::abs(v));
      }
    }
    exponential_ = largest != 0 && (largest >= T(1e8) || static_cast<double>(smallest) < 0.0001 ||
                                    largest / smallest > 1000);
    for (T v : values) {
      if (std::isfinite(v)) measure(v);
    }
    if (exponential_) right_ = digits_ + exponent_ + 2;
    if (!finite_only) {
      const int beside = right_ + 1;
      left_ = std::max({left_, 3 - beside, 3 + (negative_infinity ? 1 : 0) - beside});
    }
  }
  std::string operator()(T value) const {
    if (!std::isfinite(value)) {
      return fmt::format("{:>{}}",
                         std::isnan(value) ? "nan"
                         : value < 0       ? "-inf"
                                           : "inf",
                         left_ + right_ + 1);
    }
    std::string text = exponential_ ? scientific(value, digits_, exponent_) : positional(value);
    const int before = static_cast<int>(text.find('.'));
    if (before < left_) text.insert(0, static_cast<std::size_t>(left_ - before), ' ');
    const int width = left_ + 1 + right_;
    if (!exponential_ && static_cast<int>(text.size()) < width) {
      text.append(static_cast<std::size_t>(width) - text.size(), ' ');
    }
    return text;
  }

 private:
  void measure(T value) {
    const std::string text = exponential_ ? scientific(value, -1, 2) : positional(value);
    const int point = static_cast<int>(text.find('.'));
    left_ = std::max(left_, point);
    if (exponential_) {
      const int e = static_cast<int>(text.find('e'));
      digits_ = std::max(digits_, e - point - 1);
      exponent_ = std::max(exponent_, static_cast<int>(text.size()) - e - 2);
    } else {
      right_ = std::max(right_, static_cast<int>(text.size()) - point - 1);
    }
  }
  bool exponential_ = false;
  int left_ = 0, right_ = 0, digits_ = 0, exponent_ = 0;
};

/// The numbers of the elements that are shown along one axis; -1 stands for "...".
std::vector<std::int64_t> shown(std::int64_t extent, bool summarised) {
  std::vector<std::int64_t> list;
  const bool cut = summarised && extent > 2 * edge_items;
  for (std::int64_t i = 0; i < extent; ++i) {
    if (cut && i == edge_items) {
      list.push_back(-1);
      i = extent - edge_items;
    }
    list.push_back(i);
  }
  return list;
}

/// Lays out words of all shown elements, in row-major order, with brackets and line breaks.
/// Recurses over axes, of which there are at most eight.
class Layout {
 public:
  Layout(const Shape& shape, bool summarised, const std::vector<std::string>& words)
      : shape_(shape), summarised_(summarised), words_(words) {}
  std::string axis(int axis, const std::string& indent, std::size_t width) {
    const std::vector<std::int64_t> list = shown(shape_[axis], summarised_);
    const int left = shape_.rank() - axis;
    std::string text, line = indent;
    for (std::size_t k = 0; k < list.size(); ++k) {
      const bool last = k + 1 == list.size();
      if (left == 1) {
        const std::string& word = list[k] < 0 ? dots_ : words_[next_++];
        if (line.size() + word.size() > width - 1 && line.size() > indent.size()) {
          text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
          line = indent;
        }
        line += word;
        if (!last) line += ' ';
      } else {
        text += indent + (list[k] < 0 ? dots_ : this->axis(axis + 1, indent + ' ', width - 1));
        if (!last) text.append(static_cast<std::size_t>(left - 1), '\n');
      }
    }
    if (left == 1) text += line;
    return "[" + text.substr(indent.size()) + "]";
  }

 private:
  const Shape& shape_;
  bool summarised_;
  const std::vector<std::string>& words_;
  std::size_t next_ = 0;
  const std::string dots_ = "...";
};

/// Bools are read as bytes of 0 and 1, all integers but uint64 as int64.
template <class T>
constexpr DType dtype_read_as() {
  return std::is_same_v<T, unsigned char> ? bool_ : dtype_of<T>();
}

/// The shown elements, in row-major order.
template <class T>
std::vector<T> shown_values(const Array& array, bool summarised) {
  std::vector<T> all(static_cast<std::size_t>(array.size())), some;
  detail::read_values(array, all.data(), dtype_read_as<T>());
  if (!summarised) return all;
  std::vector<std::int64_t> offsets{0};
  const Shape strides = array.shape().dense_strides();
  for (int axis = 0; axis < array.rank(); ++axis) {
    std::vector<std::int64_t> next;
    for (std::int64_t offset : offsets) {
      for (std::int64_t i : shown(array.shape()[axis], true)) {
        if (i >= 0) next.push_back(offset + i * strides[axis]);
      }
    }
    offsets = std::move(next);
  }
  for (std::int64_t offset : offsets) some.push_back(all[static_cast<std::size_t>(offset)]);
  return some;
}

template <class T>
std::vector<std::string> words_of(const std::vector<T>& values) {
  std::vector<std::string> words;
  if constexpr (std::is_floating_point_v<T>) {
    const FloatFormat<T> format(values);
    for (T v : values) words.push_back(format(v));
  } else {
    std::size_t width = 0;
    for (T v : values) {
      words.push_back(std::is_same_v<T, unsigned char> ? (v ? "True" : "False")
                                                       : fmt::format("{}", v));
      width = std::max(width, words.back().size());
    }
    for (std::string& word : words) word.insert(0, width - word.size(), ' ');
  }
  return words;
}

/// A lone element as Python's str shows it.
template <class T>
std::string lone(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) return fmt::format("{}", value);
    const double size = std::abs(static_cast<double>(value));
    const Digits d = shortest(value);
    if (size != 0 && (size < 1e-4 || size >= 1e16)) {
      return fmt::format("{}{}{}{}e{}{:02}", d.negative ? "-" : "", d.digits[0],
                         d.digits.size() > 1 ? "." : "", d.digits.substr(1),
                         d.exponent < 0 ? "-" : "+", std::abs(d.exponent));
    }
    const std::string text = fmt::format("{}", value);  // positional in this range, or "1e+05"
    const int zeros = d.exponent + 1 - static_cast<int>(d.digits.size());
    if (text.find('e') != std::string::npos && d.exponent >= 0 && zeros >= 0) {
      return fmt::format("{}{}{}.0", d.negative ? "-" : "", d.digits,
                         std::string(static_cast<std::size_t>(zeros), '0'));
    }
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  } else {
    return words_of(std::vector<T>{value})[0];
  }
}

/// Of the decimal numbers that round to this value of a half, one with the fewest digits.
double readable(double value, DType half) {
  const Scalar wanted = Scalar::of(value).as(half);
  for (int digits = 0; std::isfinite(value) && digits < precision; ++digits) {
    const std::string text = fmt::format("{:.{}e}", value, digits);
    double rounded = 0;  // by from_chars: it knows no locale
    std::from_chars(text.data(), text.data() + text.size(), rounded);
    if (Scalar::of(rounded).as(half) == wanted) return rounded;
  }
  return value;
}

template <class T>
std::string text_of(const Array& array) {
  const bool summarised = array.size() > summarised_above;
  std::vector<T> values = shown_values<T>(array, summarised);
  if constexpr (std::is_same_v<T, double>) {
    if (is_half(array.dtype()))
      for (double& v : values) v = readable(v, array.dtype());
  }
  if (array.rank() == 0) return lone(values[0]);
  if (values.empty()) return "[]";
  const std::vector<std::string> words = words_of(values);
  return Layout(array.shape(), summarised, words).axis(0, " ", line_width);
}

}  // namespace

std::string to_string(const Array& array) {
  switch (array.dtype()) {
    case float32:
      return text_of<float>(array);
    case float64:
    case float16:
    case bfloat16:
      return text_of<double>(array);
    case bool_:
      return text_of<unsigned char>(array);
    case uint64:
      return text_of<std::uint64_t>(array);
    default:
      return text_of<std::int64_t>(array);
  }
}

std::ostream& operator<<(std::ostream& out, const Array& array) { return out << to_string(array); }

}  // namespace noyau
