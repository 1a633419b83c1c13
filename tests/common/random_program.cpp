// Draws random programs.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/random_program.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "noyau/noyau.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

using ops::ElementwiseOp;
using ops::TypeRule;
using Values = std::vector<Array>;

constexpr std::int64_t most_elements = 3000;
constexpr int most_axes = 5;

std::string text_of(const Shape& shape) {
  return fmt::format("Shape{{{}}}", fmt::join(shape.begin(), shape.end(), ", "));
}
std::string text_of(double v) {
  if (std::isnan(v)) return "NAN";
  if (std::isinf(v)) return v > 0 ? "INFINITY" : "-INFINITY";
  return fmt::format("{:a}", v);
}
/// C++ that makes an array of these values.
std::string text_of(const reference::Value& value) {
  std::vector<std::string> elements;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value.is_real()) elements.push_back(text_of(value.reals[i]));
    else if (is_signed_integer(value.dtype)) {
      const auto v = static_cast<std::int64_t>(value.integers[i]);
      elements.push_back(v == INT64_MIN ? "INT64_MIN" : fmt::format("{}", v));
    } else {
      elements.push_back(fmt::format("{}{}", value.integers[i], value.dtype == uint64 ? "u" : ""));
    }
  }
  const std::string type = value.dtype == bool_     ? "bool"
                           : value.dtype == float32 ? "float"
                           : value.dtype == float64 ? "double"
                                                    : fmt::format("std::{}_t", name(value.dtype));
  return fmt::format("array(std::vector<{}>{{{}}}, {})", type, fmt::join(elements, ", "),
                     text_of(value.shape));
}
std::string text_of(DType dtype) { return dtype == bool_ ? "bool_" : std::string(name(dtype)); }

bool takes(TypeRule rule, DType dtype) {
  const std::vector<DType> dtypes = dtypes_of(rule);
  return std::find(dtypes.begin(), dtypes.end(), dtype) != dtypes.end();
}

bool broadcasts(const Shape& a, const Shape& b) {
  for (int back = 1; back <= std::min(a.rank(), b.rank()); ++back) {
    const std::int64_t x = a[a.rank() - back], y = b[b.rank() - back];
    if (x != y && x != 1 && y != 1) return false;
  }
  return broadcast_shapes(a, b, "").elements() <= most_elements;
}

/// Adds steps to a program, building them as it goes so that shapes and dtypes are known.
class Author {
 public:
  explicit Author(std::uint64_t seed) : numbers_(seed ^ 0x5eed) { program_.seed = seed; }

  RandomProgram write() {
    const std::int64_t count = numbers_.between(1, numbers_.chance(0.5) ? 12 : 40);
    leaf();
    while (static_cast<std::int64_t>(values_.size()) < count) step();
    std::vector<bool> used(values_.size(), false);
    for (const ProgramStep& s : program_.steps) {
      for (int input : s.inputs) used[static_cast<std::size_t>(input)] = true;
    }
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (!used[i] || numbers_.chance(0.1)) program_.results.push_back(static_cast<int>(i));
    }
    return std::move(program_);
  }

 private:
  void add(std::string text, std::vector<int> inputs, std::function<Array(const Values&)> make,
           bool by_library = false) {
    values_.push_back(make(values_));
    program_.steps.push_back({std::move(text), std::move(inputs), std::move(make), by_library});
  }
  const Array& value(int i) const { return values_[static_cast<std::size_t>(i)]; }
  const Shape& shape(int i) const { return value(i).shape(); }
  DType dtype(int i) const { return value(i).dtype(); }
  /// A value, later ones more often.
  int any() {
    const auto last = static_cast<std::int64_t>(values_.size()) - 1;
    return static_cast<int>(std::max(numbers_.between(0, last), numbers_.between(0, last)));
  }
  template <class Condition>
  std::optional<int> any_with(Condition good) {
    for (int tries = 0; tries < 20; ++tries) {
      const int i = any();
      if (good(i)) return i;
    }
    return std::nullopt;
  }
  int some_axis(int x) { return static_cast<int>(numbers_.between(0, shape(x).rank() - 1)); }
  std::vector<int> some_axes(int rank) {
    std::vector<int> axes;
    for (int axis = 0; axis < rank; ++axis) {
      if (numbers_.chance(0.5)) axes.push_back(axis);
    }
    return axes;
  }

  void step() {
    switch (numbers_.between(0, 24)) {
      case 0:
        return leaf();
      case 1:
      case 2:
      case 3:
      case 4:
        return unary();
      case 5:
      case 6:
      case 7:
      case 8:
        return binary();
      case 9:
      case 10:
        return with_scalar();
      case 11:
        return ternary();
      case 12:
        return cast();
      case 13:
      case 14:
        return reduction();
      case 15:
        return slices();
      case 16:
        return arrangement();
      case 17:
        return broadcast();
      case 18:
        return rolled();
      case 19:
        return padded();
      case 20:
        return joined();
      case 21:
        return replaced();
      case 22:
        return product();
      case 23:
        return images();
      default:
        return normalised();
    }
  }

  // -- leaves ------------------------------------------------------------------------------------

  std::int64_t some_extent() {
    static const std::int64_t extents[] = {0, 1, 1, 2, 3, 3, 4, 5, 7, 8, 13, 16, 17, 31};
    return numbers_.pick(extents);
  }
  Shape some_shape() {
    Shape result;
    const std::int64_t rank = numbers_.between(0, 4);
    for (std::int64_t k = 0; k < rank; ++k) {
      std::int64_t extent = some_extent();
      if (extent == 0 && numbers_.chance(0.7)) extent = 1;
      const bool fits = result.elements() * extent <= most_elements / 4;
      result.push_back(fits ? extent : 1);
    }
    return result;
  }
  DType some_dtype() {
    if (numbers_.chance(0.4)) return float32;
    if (numbers_.chance(0.2)) return float64;
    return numbers_.pick(all_dtypes);
  }

  void leaf() {
    const Shape shape = some_shape();
    const DType dtype = some_dtype();
    switch (numbers_.between(0, 9)) {
      case 0: {
        const reference::Value one = random_values(numbers_, dtype, {}, -5, 5, 0.4);
        const double v = one.to_double(0);
        const std::string literal = one.is_real() ? text_of(v) : fmt::format("{}", v);
        return add(fmt::format("full({}, {}, {})", text_of(shape), literal, text_of(dtype)), {},
                   [=](const Values&) { return full(shape, v, dtype); });
      }
      case 1: {
        const std::int64_t count = some_extent(), step = numbers_.between(1, 3);
        const DType type = dtype == bool_ ? int32 : dtype;
        return add(fmt::format("arange(0, {}, {}, {})", count * step, step, text_of(type)), {},
                   [=](const Values&) { return arange(0, count * step, step, type); });
      }
      case 2: {
        const std::uint64_t seed = numbers_.bits();
        const DType type = is_floating(dtype) ? dtype : float32;
        return add(fmt::format("random::Generator({}u).uniform({}, {})", seed, text_of(shape),
                               text_of(type)),
                   {}, [=](const Values&) { return random::Generator(seed).uniform(shape, type); });
      }
      default: {
        const double size = numbers_.chance(0.3) ? 100 : 3;
        const double special = numbers_.chance(0.3) ? 0.15 : 0;
        const reference::Value data = random_values(numbers_, dtype, shape, -size, size, special);
        return add(text_of(data), {}, [data](const Values&) { return array_of(data); });
      }
    }
  }

  // -- elementwise -------------------------------------------------------------------------------

  /// An operation with `inputs` inputs that takes arrays of `dtype`.
  ElementwiseOp some_operation(int inputs, DType dtype) {
    for (;;) {
      const auto code = static_cast<std::uint8_t>(numbers_.between(0, ops::op_count - 1));
      const ops::OpRow& row = ops::row(code);
      if (row.inputs == inputs && takes(row.rule, dtype)) return static_cast<ElementwiseOp>(code);
    }
  }
  void unary() {
    const int x = any();
    const ElementwiseOp op = some_operation(1, dtype(x));
    add(fmt::format("{}(v{})", ops::row(op).name, x), {x},
        [=](const Values& v) { return call(op, {v[static_cast<std::size_t>(x)]}); });
  }
  void binary() {
    const int x = any();
    const auto y = any_with([&](int i) { return broadcasts(shape(x), shape(i)); });
    if (!y) return;
    const ElementwiseOp op = some_operation(2, promote(dtype(x), dtype(*y)));
    if (ops::row(op).rule == TypeRule::shift && !(is_integer(dtype(x)) && is_integer(dtype(*y)))) {
      return;
    }
    add(fmt::format("{}(v{}, v{})", ops::row(op).name, x, *y), {x, *y},
        [op, x = static_cast<std::size_t>(x), y = static_cast<std::size_t>(*y)](const Values& v) {
          return call(op, {v[x], v[y]});
        });
  }
  void with_scalar() {
    const int x = any();
    const DType type = dtype(x);
    const auto at = static_cast<std::size_t>(x);
    const double v = is_floating(type)
                         ? std::ldexp(static_cast<double>(numbers_.between(-40, 40)), -3)
                         : static_cast<double>(numbers_.between(0, 5));
    const bool real = is_floating(type);
    const auto k = static_cast<std::int64_t>(v);
    const auto operand = [=] { return real ? Operand(v) : Operand(k); };
    const std::string literal =
        real ? fmt::format("{:.17g}", v) + (v == std::floor(v) ? ".0" : "") : fmt::format("{}", k);
    switch (numbers_.between(0, 5)) {
      case 0:
        if (type == bool_) return;
        return add(fmt::format("v{} + {}", x, literal), {x},
                   [=](const Values& a) { return a[at] + operand(); });
      case 1:
        if (type == bool_) return;
        return add(fmt::format("{} - v{}", literal, x), {x},
                   [=](const Values& a) { return operand() - a[at]; });
      case 2:
        if (type == bool_) return;
        return add(fmt::format("v{} * {}", x, literal), {x},
                   [=](const Values& a) { return a[at] * operand(); });
      case 3:
        return add(fmt::format("v{} < {}", x, literal), {x},
                   [=](const Values& a) { return a[at] < operand(); });
      case 4:
        if (!real) return;
        return add(fmt::format("v{} / {}", x, literal), {x},
                   [=](const Values& a) { return a[at] / operand(); });
      default:
        if (type == bool_) return;
        return add(fmt::format("maximum(v{}, {})", x, literal), {x},
                   [=](const Values& a) { return maximum(a[at], operand()); });
    }
  }
  void ternary() {
    const int x = any();
    const auto y = any_with([&](int i) { return broadcasts(shape(x), shape(i)); });
    if (!y) return;
    const Shape both = broadcast_shapes(shape(x), shape(*y), "");
    const bool choice = numbers_.chance(0.7);
    const auto z = any_with([&](int i) {
      return broadcasts(both, shape(i)) && (!choice || dtype(i) == bool_ || numbers_.chance(0.2));
    });
    if (!z) return;
    const auto a = static_cast<std::size_t>(x), b = static_cast<std::size_t>(*y),
               c = static_cast<std::size_t>(*z);
    if (!choice) {
      return add(fmt::format("fma(v{}, v{}, v{})", x, *y, *z), {x, *y, *z},
                 [=](const Values& v) { return fma(v[a], v[b], v[c]); });
    }
    add(fmt::format("where(v{} != 0, v{}, v{})", *z, x, *y), {x, *y, *z},
        [=](const Values& v) { return where(v[c] != 0, v[a], v[b]); });
  }
  void cast() {
    const int x = any();
    const DType to = some_dtype();
    add(fmt::format("astype(v{}, {})", x, text_of(to)), {x},
        [=](const Values& v) { return astype(v[static_cast<std::size_t>(x)], to); });
  }

  // -- reductions --------------------------------------------------------------------------------

  void reduction() {
    const int x = any();
    const auto at = static_cast<std::size_t>(x);
    const std::vector<int> axes = some_axes(shape(x).rank());
    const ReduceOptions options{.keepdims = numbers_.chance(0.5)};
    bool empty = false;
    for (int axis : axes) empty = empty || shape(x)[axis] == 0;
    struct Named {
      const char* name;
      Array (*function)(Operand, Axes, ReduceOptions);
    };
    static const Named always[] = {{"sum", sum}, {"prod", prod}, {"any", noyau::any}, {"all", all}};
    static const Named whole[] = {{"sum", sum}, {"min", min}, {"max", max}};
    static const Named real[] = {{"sum", sum},   {"min", min}, {"max", max},
                                 {"mean", mean}, {"var", var}, {"logsumexp", logsumexp}};
    static const Named single[] = {{"argmin", argmin}, {"argmax", argmax}};
    const bool narrow = axes.size() == 1 && !empty && numbers_.chance(0.3);
    const Named chosen = empty || numbers_.chance(0.2) ? numbers_.pick(always)
                         : narrow                      ? numbers_.pick(single)
                         : is_floating(dtype(x))       ? numbers_.pick(real)
                                                       : numbers_.pick(whole);
    add(fmt::format("{}(v{}, std::vector<int>{{{}}}, {{.keepdims = {}}})", chosen.name, x,
                    fmt::join(axes, ", "), options.keepdims),
        {x}, [=](const Values& v) { return chosen.function(v[at], axes, options); });
  }
  void normalised() {
    const auto x = any_with([&](int i) {
      return is_floating(dtype(i)) && shape(i).rank() > 0 && shape(i).elements() > 0;
    });
    if (!x) return;
    const auto at = static_cast<std::size_t>(*x);
    const int axis = some_axis(*x);
    if (numbers_.chance(0.5)) {
      return add(fmt::format("softmax(v{}, {})", *x, axis), {*x},
                 [=](const Values& v) { return softmax(v[at], axis); });
    }
    add(fmt::format("v{0} - mean(v{0}, {1}, {{.keepdims = true}})", *x, axis), {*x},
        [=](const Values& v) { return v[at] - mean(v[at], axis, {.keepdims = true}); });
  }

  // -- movement ----------------------------------------------------------------------------------

  Slice some_slice(std::int64_t extent) {
    const std::int64_t steps[] = {1, 1, 2, 3, -1, -2, -3};
    Slice s = slice(std::nullopt, std::nullopt, numbers_.pick(steps));
    if (numbers_.chance(0.5)) s.start = numbers_.between(-extent - 1, extent + 1);
    if (numbers_.chance(0.5)) s.stop = numbers_.between(-extent - 1, extent + 1);
    return s;
  }
  static std::string text_of_slice(const Slice& s) {
    const auto part = [](const std::optional<std::int64_t>& p) {
      return p ? fmt::format("{}", *p) : "std::nullopt";
    };
    return fmt::format("slice({}, {}, {})", part(s.start), part(s.stop), s.step);
  }
  /// Subscripts for some of the axes of a shape, with their text.
  std::pair<std::vector<Index>, std::string> some_subscripts(const Shape& of, bool with_newaxis) {
    std::vector<Index> list;
    std::vector<std::string> texts;
    for (int axis = 0; axis < of.rank(); ++axis) {
      if (with_newaxis && of.rank() < most_axes && numbers_.chance(0.05)) {
        list.emplace_back(newaxis);
        texts.emplace_back("newaxis");
      }
      if (of[axis] > 0 && numbers_.chance(0.2)) {
        const std::int64_t number = numbers_.between(-of[axis], of[axis] - 1);
        list.emplace_back(number);
        texts.push_back(fmt::format("{}", number));
      } else {
        const Slice s = some_slice(of[axis]);
        list.emplace_back(s);
        texts.push_back(text_of_slice(s));
      }
      if (numbers_.chance(0.3)) break;
    }
    return {list, fmt::format("std::vector<Index>{{{}}}", fmt::join(texts, ", "))};
  }
  void slices() {
    const auto x = any_with([&](int i) { return shape(i).rank() > 0; });
    if (!x) return;
    const auto [list, text] = some_subscripts(shape(*x), true);
    add(fmt::format("v{}[{}]", *x, text), {*x},
        [at = static_cast<std::size_t>(*x), list = list](const Values& v) { return v[at][list]; });
  }
  void arrangement() {
    const int x = any();
    const auto at = static_cast<std::size_t>(x);
    const int rank = shape(x).rank();
    switch (numbers_.between(0, 3)) {
      case 0: {
        std::vector<int> axes;
        for (int axis = 0; axis < rank; ++axis) {
          axes.insert(axes.begin() + static_cast<std::ptrdiff_t>(numbers_.between(0, axis)), axis);
        }
        return add(fmt::format("permute(v{}, {{{}}})", x, fmt::join(axes, ", ")), {x},
                   [=](const Values& v) { return permute(v[at], axes); });
      }
      case 1: {
        const std::vector<int> axes = some_axes(rank);
        return add(fmt::format("flip(v{}, std::vector<int>{{{}}})", x, fmt::join(axes, ", ")), {x},
                   [=](const Values& v) { return flip(v[at], axes); });
      }
      case 2: {
        if (rank >= most_axes) return;
        const auto axis = static_cast<int>(numbers_.between(0, rank));
        return add(fmt::format("expand_dims(v{}, {})", x, axis), {x},
                   [=](const Values& v) { return expand_dims(v[at], axis); });
      }
      default: {
        const Shape to = some_factors(shape(x).elements());
        return add(fmt::format("reshape(v{}, {})", x, text_of(to)), {x},
                   [=](const Values& v) { return reshape(v[at], to); });
      }
    }
  }
  /// A shape of so many elements.
  Shape some_factors(std::int64_t elements) {
    Shape result;
    std::int64_t rest = elements;
    for (std::int64_t factor : {2, 3, 5, 7}) {
      if (rest > 0 && rest % factor == 0 && numbers_.chance(0.5)) {
        result.push_back(factor);
        rest /= factor;
      }
    }
    result.insert(static_cast<int>(numbers_.between(0, result.rank())), rest);
    return result;
  }
  void broadcast() {
    const int x = any();
    Shape to = shape(x);
    for (std::int64_t& extent : to) {
      if (extent == 1 && numbers_.chance(0.6)) extent = some_extent();
    }
    if (to.rank() < most_axes && numbers_.chance(0.5)) to.insert(0, numbers_.between(1, 4));
    if (to.elements() > most_elements) return;
    add(fmt::format("broadcast_to(v{}, {})", x, text_of(to)), {x},
        [=](const Values& v) { return broadcast_to(v[static_cast<std::size_t>(x)], to); });
  }
  void rolled() {
    const auto x = any_with([&](int i) { return shape(i).rank() > 0; });
    if (!x) return;
    const int axis = some_axis(*x);
    const std::int64_t shift = numbers_.between(-20, 20);
    add(fmt::format("roll(v{}, {}, {})", *x, shift, axis), {*x},
        [=, at = static_cast<std::size_t>(*x)](const Values& v) {
          return roll(v[at], shift, axis);
        });
  }
  void padded() {
    const auto x = any_with([&](int i) { return shape(i).elements() < most_elements / 4; });
    if (!x) return;
    const Pad modes[] = {Pad::constant, Pad::edge, Pad::reflect};
    const char* names[] = {"constant", "edge", "reflect"};
    std::int64_t mode = numbers_.between(0, 2);
    if (shape(*x).elements() == 0) mode = 0;
    std::vector<PadWidths::Width> widths;
    std::vector<std::string> texts;
    for (std::int64_t extent : shape(*x)) {
      const std::int64_t most = mode == 2 ? std::min<std::int64_t>(extent - 1, 2) : 2;
      widths.emplace_back(numbers_.between(0, most), numbers_.between(0, most));
      texts.push_back(fmt::format("{{{}, {}}}", widths.back().before, widths.back().after));
    }
    const Pad chosen = modes[mode];
    add(fmt::format("pad(v{}, std::vector<PadWidths::Width>{{{}}}, Pad::{}, 1)", *x,
                    fmt::join(texts, ", "), names[mode]),
        {*x}, [=, at = static_cast<std::size_t>(*x)](const Values& v) {
          return pad(v[at], widths, chosen, 1);
        });
  }
  void joined() {
    const auto x = any_with(
        [&](int i) { return shape(i).rank() > 0 && shape(i).elements() < most_elements / 3; });
    if (!x) return;
    const int axis = some_axis(*x);
    const auto y = any_with([&](int i) {
      Shape a = shape(*x), b = shape(i);
      if (a.rank() != b.rank() || dtype(i) != dtype(*x)) return false;
      a[axis] = b[axis] = 0;
      return a == b;
    });
    const auto a = static_cast<std::size_t>(*x), b = static_cast<std::size_t>(y.value_or(*x));
    add(fmt::format("concatenate({{v{}, v{}}}, {})", a, b, axis), {*x, y.value_or(*x)},
        [=](const Values& v) {
          return concatenate({v[a], v[b]}, axis);
        });
  }
  void replaced() {
    const auto x = any_with([&](int i) { return shape(i).rank() > 0; });
    if (!x) return;
    const auto at = static_cast<std::size_t>(*x);
    const auto [list, text] = some_subscripts(shape(*x), false);
    const Shape region = value(*x)[list].shape();
    const auto y = any_with([&](int i) {
      return broadcasts(region, shape(i)) && broadcast_shapes(region, shape(i), "") == region;
    });
    if (!y) {
      return add(fmt::format("set(v{}, {}, 1)", *x, text), {*x},
                 [at, list = list](const Values& v) { return set(v[at], list, 1); });
    }
    add(fmt::format("set(v{}, {}, v{})", *x, text, *y), {*x, *y},
        [at, list = list, from = static_cast<std::size_t>(*y)](const Values& v) {
          return set(v[at], list, v[from]);
        });
  }

  // -- products ----------------------------------------------------------------------------------

  void product() {
    const auto x = any_with([&](int i) {
      return shape(i).rank() == 2 && dtype(i) != bool_ && shape(i).elements() < 400;
    });
    if (!x) return;
    const auto a = static_cast<std::size_t>(*x);
    const auto y = any_with([&](int i) {
      return shape(i).rank() == 2 && dtype(i) == dtype(*x) && shape(i)[0] == shape(*x)[1];
    });
    if (!y) {
      return add(
          fmt::format("matmul(v{0}, transpose(v{0}))", *x), {*x},
          [=](const Values& v) { return matmul(v[a], transpose(v[a])); }, true);
    }
    add(
        fmt::format("matmul(v{}, v{})", *x, *y), {*x, *y},
        [a, b = static_cast<std::size_t>(*y)](const Values& v) { return matmul(v[a], v[b]); },
        true);
  }
  /// A convolution or a pool of a value that is arranged as an image.
  void images() {
    const auto x = any_with([&](int i) {
      return is_floating(dtype(i)) && shape(i).elements() >= 16 && shape(i).elements() % 4 == 0;
    });
    if (!x) return;
    const auto at = static_cast<std::size_t>(*x);
    std::int64_t pixels = shape(*x).elements() / 2, height = 2;
    for (std::int64_t h = 3; h * h <= pixels; ++h) {
      if (pixels % h == 0) height = h;
    }
    const Shape image{1, 2, height, pixels / height};
    const std::string text = fmt::format("reshape(v{}, {})", *x, text_of(image));
    const std::int64_t stride = numbers_.between(1, 2), window = numbers_.between(1, 2);
    const std::int64_t padding = window == 2 ? numbers_.between(0, 1) : 0;
    const Pool2dOptions options{.stride = stride, .padding = padding};
    switch (numbers_.between(0, 2)) {
      case 0: {
        const DType type = dtype(*x);
        const reference::Value w = random_values(numbers_, type, {3, 2, window, 2}, -1, 1);
        return add(
            fmt::format("conv2d({}, {}, {{.stride = {}, .padding = {}}})", text, text_of(w), stride,
                        padding),
            {*x},
            [=](const Values& v) {
              return conv2d(reshape(v[at], image), array_of(w),
                            {.stride = stride, .padding = padding});
            },
            true);
      }
      case 1:
        return add(fmt::format("max_pool2d({}, {}, {{.stride = {}, .padding = {}}})", text, window,
                               stride, padding),
                   {*x}, [=](const Values& v) {
                     return max_pool2d(reshape(v[at], image), window, options);
                   });
      default:
        return add(fmt::format("avg_pool2d({}, {}, {{.stride = {}, .padding = {}}})", text, window,
                               stride, padding),
                   {*x}, [=](const Values& v) {
                     return avg_pool2d(reshape(v[at], image), window, options);
                   });
    }
  }

  Numbers numbers_;
  RandomProgram program_;
  Values values_;
};

}  // namespace

RandomProgram random_program(std::uint64_t seed) { return Author(seed).write(); }

std::vector<Array> RandomProgram::build(const std::function<void(const Array&)>& after_each) const {
  std::vector<Array> values;
  for (const ProgramStep& step : steps) {
    values.push_back(step.make(values));
    if (after_each) after_each(values.back());
  }
  return values;
}

std::vector<bool> RandomProgram::depends_on_library() const {
  std::vector<bool> result;
  for (const ProgramStep& step : steps) {
    bool depends = step.by_library;
    for (int input : step.inputs) depends = depends || result[static_cast<std::size_t>(input)];
    result.push_back(depends);
  }
  return result;
}

std::string RandomProgram::to_cpp(int result) const {
  std::set<int> needed = {result};
  for (auto place = needed.rbegin(); place != needed.rend(); ++place) {
    const std::vector<int>& inputs = steps[static_cast<std::size_t>(*place)].inputs;
    needed.insert(inputs.begin(), inputs.end());
  }
  std::string text = fmt::format(
      "// random program {}\n#include <cmath>\n#include <iostream>\n#include "
      "\"noyau/noyau.hpp\"\nusing namespace noyau;\nint main() {{\n",
      seed);
  for (int step : needed) {
    text += fmt::format("  Array v{} = {};\n", step, steps[static_cast<std::size_t>(step)].text);
  }
  return text + fmt::format("  std::cout << v{} << \"\\n\";\n}}\n", result);
}

}  // namespace noyau::test
