// Random programs: drawn step by step, built, printed.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/random_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tests/common/random_program_author.hpp"

namespace noyau::test {

RandomProgram Author::write() {
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

void Author::add(std::string text, std::vector<int> inputs,
                 std::function<Array(const std::vector<Array>&)> make, bool by_library) {
  values_.push_back(make(values_));
  program_.steps.push_back({std::move(text), std::move(inputs), std::move(make), by_library});
}

int Author::any() {
  const auto last = static_cast<std::int64_t>(values_.size()) - 1;
  return static_cast<int>(std::max(numbers_.between(0, last), numbers_.between(0, last)));
}

std::vector<int> Author::some_axes(int rank) {
  std::vector<int> axes;
  for (int axis = 0; axis < rank; ++axis) {
    if (numbers_.chance(0.5)) axes.push_back(axis);
  }
  return axes;
}

void Author::step() {
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

bool broadcasts(const Shape& a, const Shape& b) {
  for (int back = 1; back <= std::min(a.rank(), b.rank()); ++back) {
    const std::int64_t x = a[a.rank() - back], y = b[b.rank() - back];
    if (x != y && x != 1 && y != 1) return false;
  }
  return broadcast_shapes(a, b, "").elements() <= most_elements;
}

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
