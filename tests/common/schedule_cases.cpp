// Expressions that meet every schedule for blocks of many threads.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/schedule_cases.hpp"

#include <fmt/format.h>

#include "noyau/noyau.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

using Visit = std::function<void(const ScheduleCase&)>;

Array filled(const Shape& shape, DType dtype = float32) {
  Numbers numbers(static_cast<std::uint64_t>(shape.elements()) + 7);
  return random_array(numbers, dtype, shape, -2, 2);
}

void visit_maps(const Visit& visit) {
  for (const std::int64_t n : {0, 1, 31, 32, 33, 255, 1025, 4096, 5000, 8192}) {
    visit({fmt::format("saxpy {}", n), [n] { return filled({n}) * 2.5 + filled({n}); }});
    visit({fmt::format("dear {}", n), [n] { return sin(exp(filled({n})) + 1.0) / 3.0; }});
    visit({fmt::format("compared {}", n), [n] { return filled({n}) > 0.5; }});
    visit({fmt::format("float64 {}", n), [n] { return abs(filled({n}, float64)); }});
    visit({fmt::format("numbers {}", n), [n] { return arange(n) * 3 + filled({n}, int64); }});
  }
  for (const std::int64_t n : {64, 66, 67}) {
    visit({fmt::format("broadcast {}", n), [n] {
             return filled({33, n}) + filled({n}) * filled({33, 1});
           }});
    visit({fmt::format("inside {}", n), [n] {
             return filled({40, n + 8})[{slice(2, 36), slice(4, 4 + n)}] * 2.0;
           }});
    visit({fmt::format("one off {}", n), [n] {
             return filled({40, n + 8})[{slice(), slice(1, 1 + n)}] + 1.0;
           }});
  }
}

void visit_transposes(const Visit& visit) {
  for (const auto& [rows, columns] :
       {std::pair{16, 16}, {31, 33}, {32, 64}, {100, 17}, {1, 40}, {130, 145}}) {
    const Shape shape{rows, columns}, turned{columns, rows};
    visit({fmt::format("transpose {}x{}", rows, columns),
           [=] { return transpose(filled(shape)) + 1.0; }});
    visit({fmt::format("transpose {}x{} and more", rows, columns), [=] {
             return transpose(filled(shape)) * filled(turned) - filled({1, rows});
           }});
  }
  visit({"permute", [] { return permute(filled({3, 20, 2, 35}), {2, 3, 0, 1}) * 2.0; }});
  visit({"permute int8", [] { return permute(filled({5, 33, 40}, int8), {0, 2, 1}) + 1; }});
}

void visit_rows(const Visit& visit) {
  for (const std::int64_t n : {0, 1, 5, 6, 12, 31, 32, 33, 65, 255, 1024, 1025, 3000}) {
    for (const std::int64_t rows : {1, 9}) {
      const Shape shape{rows, n};
      const auto add = [&](const char* name, auto make) {
        visit({fmt::format("{} {}x{}", name, rows, n), make});
      };
      add("sum", [=] { return sum(filled(shape), 1); });
      add("sum of exp", [=] { return sum(exp(filled(shape)), 1) * 2.0; });
      add("float64", [=] { return sum(filled(shape, float64), 1); });
      if (n == 0) continue;
      add("max", [=] { return max(filled(shape), 1); });
      add("argmin", [=] { return argmin(filled(shape), 1); });
      add("softmax", [=] { return softmax(filled(shape), 1); });
      add("centred", [=] {
        const Array x = filled(shape);
        return (x - mean(x, 1, {.keepdims = true})) / sqrt(var(x, 1, {.keepdims = true}) + 1e-5);
      });
    }
  }
  visit({"int8", [] { return sum(filled({3, 1500}, int8), 1); }});
  visit({"two axes", [] { return sum(filled({4, 3, 60, 50}), {0, 2, 3}); }});
}

void visit_columns(const Visit& visit) {
  for (const std::int64_t n : {1, 20, 33, 300}) {
    for (const std::int64_t columns : {3, 31, 33, 70}) {
      const Shape shape{n, columns};
      const auto add = [&](const char* name, auto make) {
        visit({fmt::format("columns: {} {}x{}", name, n, columns), make});
      };
      add("sum", [=] { return sum(filled(shape), 0); });
      add("argmax", [=] { return argmax(filled(shape), 0); });
      add("softmax", [=] { return softmax(filled(shape), 0); });
    }
  }
}

/// In chunks; the last block combines.
void visit_chunks(const Visit& visit) {
  for (const std::int64_t n : {16385, 40000}) {
    visit({fmt::format("chunks: sum {}", n), [=] { return sum(filled({n})) * 2.0; }});
    visit({fmt::format("chunks: max {}", n), [=] { return max(filled({2, n}), 1); }});
    visit({fmt::format("chunks: argmax {}", n), [=] { return argmax(filled({n})); }});
    visit({fmt::format("chunks: columns {}", n), [=] { return sum(filled({n, 17}), 0) + 1.0; }});
  }
}

}  // namespace

void visit_schedule_cases(const Visit& visit, std::string_view kind) {
  const auto is = [&](std::string_view one) { return kind.empty() || kind == one; };
  if (is("maps")) visit_maps(visit);
  if (is("transposes")) visit_transposes(visit);
  if (is("rows")) visit_rows(visit);
  if (is("columns")) visit_columns(visit);
  if (is("chunks")) visit_chunks(visit);
}

}  // namespace noyau::test
