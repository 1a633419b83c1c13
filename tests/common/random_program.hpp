// Random programs: typed sequences of the library's operations that can be run again and printed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "noyau/array.hpp"

namespace noyau::test {

/// One statement `Array vN = ...;`.
struct ProgramStep {
  std::string text;         ///< the right-hand side as C++
  std::vector<int> inputs;  ///< the earlier values that it names
  std::function<Array(const std::vector<Array>& values)> make;
  bool by_library = false;  ///< a device may hand it to a library, whose bits depend on layouts
};

/// 1 to 40 steps. The same seed gives the same program everywhere.
struct RandomProgram {
  std::uint64_t seed = 0;
  std::vector<ProgramStep> steps;
  std::vector<int> results;  ///< values that no later step uses, and a few others

  /// Builds the graph; `after_each` is called with each new value.
  std::vector<Array> build(const std::function<void(const Array&)>& after_each = {}) const;
  /// For each value whether it depends on a step that a library may run.
  std::vector<bool> depends_on_library() const;
  /// A C++ program that computes value `result` from the steps it needs, and prints it.
  std::string to_cpp(int result) const;
};
RandomProgram random_program(std::uint64_t seed);

}  // namespace noyau::test
