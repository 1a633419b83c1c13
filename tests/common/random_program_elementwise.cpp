// Elementwise steps of random programs.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/common/random_program_author.hpp"

namespace noyau::test {
namespace {

using ops::ElementwiseOp;
using ops::TypeRule;
using Values = std::vector<Array>;

bool takes(TypeRule rule, DType dtype) {
  const std::vector<DType> dtypes = dtypes_of(rule);
  return std::find(dtypes.begin(), dtypes.end(), dtype) != dtypes.end();
}

}  // namespace

ElementwiseOp Author::some_operation(int inputs, DType dtype) {
  for (;;) {
    const auto code = static_cast<std::uint8_t>(numbers_.between(0, ops::op_count - 1));
    const ops::OpRow& row = ops::row(code);
    if (row.inputs == inputs && takes(row.rule, dtype)) return static_cast<ElementwiseOp>(code);
  }
}

void Author::unary() {
  const int x = any();
  const ElementwiseOp op = some_operation(1, dtype(x));
  add(fmt::format("{}(v{})", ops::row(op).name, x), {x},
      [=](const Values& v) { return call(op, {v[static_cast<std::size_t>(x)]}); });
}

void Author::binary() {
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

void Author::with_scalar() {
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

void Author::ternary() {
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

void Author::cast() {
  const int x = any();
  const DType to = some_dtype();
  add(fmt::format("astype(v{}, {})", x, text_of(to)), {x},
      [=](const Values& v) { return astype(v[static_cast<std::size_t>(x)], to); });
}

}  // namespace noyau::test
