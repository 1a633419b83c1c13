// Graphs of the fake driver: nodes with the nodes that they come after.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace noyau::fake_cuda {

/// A kernel in a module of the fake compiler.
struct Function {
  using Run = void (*)(const int* grid, const int* block, void** arguments);
  Run run;
  const unsigned long* sizes;  ///< of its arguments; the last is 0
  std::size_t shared;          ///< bytes that its text declares
  std::size_t most_dynamic;    ///< bytes that a launch may ask for besides
};
/// Of declared and dynamic shared memory together: by default, and where more is asked for.
constexpr std::size_t usual_shared = 48 << 10, most_shared = 101376;

/// A launch with its arguments copied, as the driver does at the call.
struct Launch {
  Function* function = nullptr;
  std::array<unsigned, 3> grid{}, block{};
  std::vector<std::vector<std::byte>> arguments;
  void set(Function* kernel, std::array<unsigned, 3> blocks, std::array<unsigned, 3> threads,
           void** given);
  int run() const;
};
int do_copy(unsigned long long to, unsigned long long from, std::size_t bytes);
int do_fill(unsigned long long to, unsigned value, std::size_t bytes);

struct Node {
  enum class Kind { kernel, copy, fill, child } kind = Kind::kernel;
  std::function<int()> work;
  std::vector<const Node*> after;
  Function* function = nullptr;  ///< kernel
  std::size_t size = 0;          ///< child: its number of nodes
};

struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;
  Node* add(Node node);
  /// Of a captured stream: after the node before.
  void add_last(std::function<int()> work);
  /// Each node after those that it names, otherwise the last first: what is not said is not so.
  int run() const;
};

}  // namespace noyau::fake_cuda
