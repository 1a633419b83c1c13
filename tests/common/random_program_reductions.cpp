// Reductions and row-wise steps of random programs.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/common/random_program_author.hpp"

namespace noyau::test {
namespace {

using Values = std::vector<Array>;

}  // namespace

void Author::reduction() {
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

void Author::normalised() {
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

}  // namespace noyau::test
