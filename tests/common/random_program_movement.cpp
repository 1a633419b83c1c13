// Movement in random programs: slices, arrangements, padding, parts that are joined or replaced.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "tests/common/random_program_author.hpp"

namespace noyau::test {
namespace {

using Values = std::vector<Array>;

}  // namespace

Slice Author::some_slice(std::int64_t extent) {
  const std::int64_t steps[] = {1, 1, 2, 3, -1, -2, -3};
  Slice s = slice(std::nullopt, std::nullopt, numbers_.pick(steps));
  if (numbers_.chance(0.5)) s.start = numbers_.between(-extent - 1, extent + 1);
  if (numbers_.chance(0.5)) s.stop = numbers_.between(-extent - 1, extent + 1);
  return s;
}

std::string Author::text_of_slice(const Slice& s) {
  const auto part = [](const std::optional<std::int64_t>& p) {
    return p ? fmt::format("{}", *p) : "std::nullopt";
  };
  return fmt::format("slice({}, {}, {})", part(s.start), part(s.stop), s.step);
}

std::pair<std::vector<Index>, std::string> Author::some_subscripts(const Shape& of,
                                                                   bool with_newaxis) {
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

void Author::slices() {
  const auto x = any_with([&](int i) { return shape(i).rank() > 0; });
  if (!x) return;
  const auto [list, text] = some_subscripts(shape(*x), true);
  add(fmt::format("v{}[{}]", *x, text), {*x},
      [at = static_cast<std::size_t>(*x), list = list](const Values& v) { return v[at][list]; });
}

void Author::arrangement() {
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

Shape Author::some_factors(std::int64_t elements) {
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

void Author::broadcast() {
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

void Author::rolled() {
  const auto x = any_with([&](int i) { return shape(i).rank() > 0; });
  if (!x) return;
  const int axis = some_axis(*x);
  const std::int64_t shift = numbers_.between(-20, 20);
  add(fmt::format("roll(v{}, {}, {})", *x, shift, axis), {*x},
      [=, at = static_cast<std::size_t>(*x)](const Values& v) { return roll(v[at], shift, axis); });
}

void Author::padded() {
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

void Author::joined() {
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

void Author::replaced() {
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

}  // namespace noyau::test
