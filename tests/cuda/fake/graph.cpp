// The graphs of the fake libcuda.so.1.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/fake/graph.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "backends/cuda/driver.hpp"
#include "tests/cuda/fake/stream.hpp"

namespace noyau::fake_cuda {

void Launch::set(Function* kernel, std::array<unsigned, 3> blocks, std::array<unsigned, 3> threads,
                 void** given) {
  function = kernel;
  grid = blocks;
  block = threads;
  arguments.clear();
  for (const unsigned long* size = kernel->sizes; *size != 0; ++size, ++given) {
    const auto* bytes = static_cast<const std::byte*>(*given);
    arguments.emplace_back(bytes, bytes + *size);
  }
}

int Launch::run() const {
  char words[80];
  snprintf(words, sizeof words, "launch %ux%ux%u of %ux%ux%u", grid[0], grid[1], grid[2], block[0],
           block[1], block[2]);
  if (const int status = called("cuLaunchKernel", words)) return status;
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  int blocks[3], threads[3];
  std::copy(grid.begin(), grid.end(), blocks);
  std::copy(block.begin(), block.end(), threads);
  std::vector<void*> pointers;
  for (const std::vector<std::byte>& value : arguments)
    pointers.push_back(const_cast<std::byte*>(value.data()));
  function->run(blocks, threads, pointers.data());
  return 0;
}

int do_copy(unsigned long long to, unsigned long long from, std::size_t bytes) {
  memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
  return called("cuMemcpyDtoDAsync", "copy " + std::to_string(bytes));
}

int do_fill(unsigned long long to, unsigned value, std::size_t bytes) {
  memset(reinterpret_cast<void*>(to), static_cast<int>(value), bytes);
  return called("cuMemsetD8Async", "fill " + std::to_string(bytes));
}

Node* Graph::add(Node node) {
  return nodes.emplace_back(std::make_unique<Node>(std::move(node))).get();
}

void Graph::add_last(std::function<int()> work) {
  Node node;
  node.work = std::move(work);
  if (!nodes.empty()) node.after.push_back(nodes.back().get());
  add(std::move(node));
}

int Graph::run() const {
  std::set<const Node*> done;
  while (done.size() < nodes.size()) {
    const auto ready = std::find_if(nodes.rbegin(), nodes.rend(), [&](const auto& node) {
      return done.count(node.get()) == 0 &&
             std::all_of(node->after.begin(), node->after.end(),
                         [&](const Node* before) { return done.count(before) != 0; });
    });
    if (ready == nodes.rend()) return 1;
    if (const int status = (*ready)->work()) return status;
    done.insert(ready->get());
  }
  return 0;
}

namespace {

/// An executable graph: a copy whose nodes are known by those that they were made of.
struct Exec {
  Graph graph;
  std::map<const Node*, Node*> nodes;
};

Graph copy_of(const Graph& from, std::map<const Node*, Node*>* nodes) {
  Graph copy;
  std::map<const Node*, Node*> own;
  auto& known = nodes == nullptr ? own : *nodes;
  for (const auto& node : from.nodes) {
    Node same = *node;
    for (const Node*& before : same.after) before = known.at(before);
    known[node.get()] = copy.add(std::move(same));
  }
  return copy;
}

std::function<int()> work_of(const cuda::KernelNode& k) {
  Launch launch;
  launch.set(reinterpret_cast<Function*>(k.function), {k.grid[0], k.grid[1], k.grid[2]},
             {k.block[0], k.block[1], k.block[2]}, k.arguments);
  return [launch] { return launch.run(); };
}
std::function<int()> work_of(const cuda::CopyNode& c) {
  return [c] { return do_copy(c.to.device, c.from.device, c.bytes); };
}
std::function<int()> work_of(const cuda::FillNode& f) {
  return [f] { return do_fill(f.to, f.value, f.width); };
}
std::function<int()> work_of(const Graph& child) {
  auto copy = std::make_shared<Graph>(copy_of(child, nullptr));
  return [copy] { return copy->run(); };
}
bool is_valid(const cuda::KernelNode& k) {
  return k.shared_bytes <= reinterpret_cast<Function*>(k.function)->most_dynamic;
}
bool is_valid(const cuda::CopyNode& c) {
  return c.from.memory_type == 2 && c.to.memory_type == 2 && c.height == 1 && c.depth == 1 &&
         holds(reinterpret_cast<void*>(c.from.device), c.bytes) &&
         holds(reinterpret_cast<void*>(c.to.device), c.bytes);
}
bool is_valid(const cuda::FillNode& f) {
  return f.element_bytes == 1 && f.height == 1 && f.value < 256 &&
         holds(reinterpret_cast<void*>(f.to), f.width);
}

int add(void** made, void* graph, void* const* after, std::size_t count, Node node) {
  auto* to = static_cast<Graph*>(graph);
  for (std::size_t k = 0; k < count; ++k) {
    const bool known = std::any_of(to->nodes.begin(), to->nodes.end(),
                                   [&](const auto& n) { return n.get() == after[k]; });
    if (!known) return 1;
    node.after.push_back(static_cast<Node*>(after[k]));
  }
  *made = to->add(std::move(node));
  return 0;
}

/// The node of an executable graph that was made of `node`, if it is of that kind.
Node* find(void* exec, void* node, Node::Kind kind) {
  auto* e = static_cast<Exec*>(exec);
  const auto found = e->nodes.find(static_cast<Node*>(node));
  return found == e->nodes.end() || found->second->kind != kind ? nullptr : found->second;
}

}  // namespace
}  // namespace noyau::fake_cuda

using namespace noyau::fake_cuda;  // NOLINT: a file of C functions
using Handle = void*;
namespace cuda = noyau::cuda;

extern "C" {

int cuStreamBeginCapture_v2(Handle stream, int) {
  auto* s = static_cast<Stream*>(stream);
  if (s->captured != nullptr) return 900;
  s->captured = new Graph;
  return called("cuStreamBeginCapture");
}
int cuStreamEndCapture(Handle stream, Handle* graph) {
  auto* s = static_cast<Stream*>(stream);
  *graph = s->captured;
  s->captured = nullptr;
  return *graph == nullptr ? 901 : 0;
}
int cuGraphCreate(Handle* graph, unsigned) {
  *graph = new Graph;
  return called("cuGraphCreate");
}
int cuGraphDestroy(Handle graph) {
  delete static_cast<Graph*>(graph);
  return 0;
}
int cuGraphAddKernelNode_v2(Handle* made, Handle graph, Handle const* after, std::size_t count,
                            const cuda::KernelNode* k) {
  if (k->kernel != nullptr || k->extra != nullptr || !is_valid(*k)) return 1;
  return add(made, graph, after, count,
             {Node::Kind::kernel, work_of(*k), {}, reinterpret_cast<Function*>(k->function), 0});
}
int cuGraphAddMemcpyNode(Handle* made, Handle graph, Handle const* after, std::size_t count,
                         const cuda::CopyNode* c, Handle context) {
  if (!is_valid(*c) || context != current_context()) return 1;
  return add(made, graph, after, count, {Node::Kind::copy, work_of(*c), {}, nullptr, 0});
}
int cuGraphAddMemsetNode(Handle* made, Handle graph, Handle const* after, std::size_t count,
                         const cuda::FillNode* f, Handle context) {
  if (!is_valid(*f) || context != current_context()) return 1;
  return add(made, graph, after, count, {Node::Kind::fill, work_of(*f), {}, nullptr, 0});
}
int cuGraphAddChildGraphNode(Handle* made, Handle graph, Handle const* after, std::size_t count,
                             Handle child) {
  const auto* c = static_cast<Graph*>(child);
  return add(made, graph, after, count,
             {Node::Kind::child, work_of(*c), {}, nullptr, c->nodes.size()});
}
int cuGraphInstantiateWithFlags(Handle* exec, Handle graph, unsigned long long) {
  if (const int status = called("cuGraphInstantiate", "instantiate")) return status;
  auto made = std::make_unique<Exec>();
  made->graph = copy_of(*static_cast<Graph*>(graph), &made->nodes);
  *exec = made.release();
  return 0;
}
int cuGraphLaunch(Handle exec, Handle stream) {
  if (const int status = called("cuGraphLaunch", "graph")) return status;
  return on_stream(stream, [exec] { return static_cast<Exec*>(exec)->graph.run(); });
}
int cuGraphExecDestroy(Handle exec) {
  delete static_cast<Exec*>(exec);
  return 0;
}
int cuGraphExecKernelNodeSetParams_v2(Handle exec, Handle node, const cuda::KernelNode* k) {
  Node* found = find(exec, node, Node::Kind::kernel);
  if (found == nullptr || reinterpret_cast<Function*>(k->function) != found->function ||
      !is_valid(*k))
    return 1;
  found->work = work_of(*k);
  return called("cuGraphExecKernelNodeSetParams", "patch kernel");
}
int cuGraphExecMemcpyNodeSetParams(Handle exec, Handle node, const cuda::CopyNode* c, Handle) {
  Node* found = find(exec, node, Node::Kind::copy);
  if (found == nullptr || !is_valid(*c)) return 1;
  found->work = work_of(*c);
  return called("cuGraphExecMemcpyNodeSetParams", "patch copy");
}
int cuGraphExecMemsetNodeSetParams(Handle exec, Handle node, const cuda::FillNode* f, Handle) {
  Node* found = find(exec, node, Node::Kind::fill);
  if (found == nullptr || !is_valid(*f)) return 1;
  found->work = work_of(*f);
  return called("cuGraphExecMemsetNodeSetParams", "patch fill");
}
int cuGraphExecChildGraphNodeSetParams(Handle exec, Handle node, Handle child) {
  Node* found = find(exec, node, Node::Kind::child);
  const auto* c = static_cast<Graph*>(child);
  if (found == nullptr || found->size != c->nodes.size()) return 1;
  found->work = work_of(*c);
  return called("cuGraphExecChildGraphNodeSetParams", "patch call");
}

}  // extern "C"
