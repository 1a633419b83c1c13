// Making graphs node by node, and patching them.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/graph.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "core/forked.hpp"
#include "core/log.hpp"
#include "core/plan_counters.hpp"
#include "core/refused_call.hpp"

namespace noyau::cuda {
namespace {

Address address(const std::byte* pointer) { return reinterpret_cast<Address>(pointer); }

/// The places of the arguments, which the driver reads while it is called.
std::vector<void*> places(const KernelCall& call) {
  std::vector<void*> all;
  all.reserve(call.arguments.size());
  for (const std::uint64_t& word : call.arguments) all.push_back(const_cast<std::uint64_t*>(&word));
  return all;
}

KernelNode kernel_node(const KernelCall& call, std::vector<void*>& arguments) {
  KernelNode node{};
  node.function = call.function;
  for (int axis = 0; axis < 3; ++axis) {
    node.grid[axis] = call.blocks[axis];
    node.block[axis] = call.threads[axis];
  }
  node.shared_bytes = call.shared_bytes;
  node.arguments = arguments.data();
  return node;
}

CopyNode copy_node(const LaunchStep& step) {
  CopyNode node{};
  node.from.memory_type = node.to.memory_type = device_memory;
  node.from.device = address(step.pointers[0]);
  node.to.device = address(step.pointers[1]);
  node.bytes = static_cast<std::size_t>(step.bytes);
  node.height = node.depth = 1;
  return node;
}

FillNode fill_node(const LaunchStep& step) {
  FillNode node{};
  node.to = address(step.pointers[0]);
  node.value = step.parameters.empty() ? 0 : static_cast<unsigned>(step.parameters[0] & 0xff);
  node.element_bytes = 1;
  node.width = static_cast<std::size_t>(step.bytes);
  node.height = 1;
  return node;
}

/// A graph while it is captured and until it is part of another.
class Captured {
 public:
  Captured(const LaunchStep& step, Stream captures) {
    status_ = driver().stream_begin_capture(captures, capture_relaxed);
    if (status_ != success) return;
    std::exception_ptr failure;
    try {
      enqueue_call(step, captures);
    } catch (...) {
      failure = std::current_exception();
    }
    status_ = driver().stream_end_capture(captures, &graph_);
    if (failure) std::rethrow_exception(failure);
  }
  ~Captured() {
    if (graph_ != nullptr) driver().graph_destroy(graph_);
  }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  Status status() const { return status_; }
  Graph graph() const { return graph_; }

 private:
  Graph graph_ = nullptr;
  Status status_ = success;
};

}  // namespace

void enqueue_call(const LaunchStep& step, Stream stream) {
  const std::size_t inputs = step.pointers.size() - 2;
  const std::vector<const void*> in(step.pointers.begin(),
                                    step.pointers.begin() + static_cast<std::ptrdiff_t>(inputs));
  step.call->enqueue(stream, in, step.pointers[inputs], step.pointers[inputs + 1]);
}

PlanGraph::~PlanGraph() {
  if (is_forked_child()) return;
  const ContextScope scope(context_);
  drop();
}

void PlanGraph::drop() {
  if (exec_ != nullptr) driver().graph_exec_destroy(std::exchange(exec_, nullptr));
  if (graph_ != nullptr) driver().graph_destroy(std::exchange(graph_, nullptr));
  nodes_.clear();
}

Status PlanGraph::add(const ReadyStep& ready, const GraphNode* after, std::size_t count,
                      Stream captures) {
  Node node{nullptr, ready.step->kind, ready.kernel, {}};
  Status status = success;
  switch (node.kind) {
    case LaunchStep::Kind::kernel: {
      std::vector<void*> arguments = places(ready.kernel);
      const KernelNode wanted = kernel_node(ready.kernel, arguments);
      status = driver().graph_add_kernel_node(&node.handle, graph_, after, count, &wanted);
      break;
    }
    case LaunchStep::Kind::copy: {
      const CopyNode wanted = copy_node(*ready.step);
      status =
          driver().graph_add_memcpy_node(&node.handle, graph_, after, count, &wanted, context_);
      break;
    }
    case LaunchStep::Kind::fill: {
      const FillNode wanted = fill_node(*ready.step);
      status =
          driver().graph_add_memset_node(&node.handle, graph_, after, count, &wanted, context_);
      break;
    }
    case LaunchStep::Kind::library: {
      const Captured call(*ready.step, captures);
      status = call.status();
      if (status == success) {
        status =
            driver().graph_add_child_graph_node(&node.handle, graph_, after, count, call.graph());
      }
      break;
    }
  }
  if (node.kind != LaunchStep::Kind::kernel) node.pointers = ready.step->pointers;
  nodes_.push_back(std::move(node));
  return status;
}

Status PlanGraph::build(const std::vector<ReadyStep>& steps, Stream captures) {
  drop();
  Status status = driver().graph_create(&graph_, 0);
  for (std::size_t k = 0; k < steps.size() && status == success; ++k) {
    const GraphNode before = k == 0 ? nullptr : nodes_.back().handle;
    status = add(steps[k], &before, k == 0 ? 0 : 1, captures);
  }
  if (status == success) status = driver().graph_instantiate(&exec_, graph_, 0);
  return status;
}

Status PlanGraph::set(Node& node, const ReadyStep& ready, Stream captures) {
  if (node.kind == LaunchStep::Kind::kernel) {
    if (node.kernel == ready.kernel) return success;
    node.kernel = ready.kernel;
  } else {
    if (node.pointers == ready.step->pointers) return success;
    node.pointers = ready.step->pointers;
  }
  plan_counters().graph_patches.fetch_add(1, std::memory_order_relaxed);
  switch (node.kind) {
    case LaunchStep::Kind::kernel: {
      std::vector<void*> arguments = places(ready.kernel);
      const KernelNode wanted = kernel_node(ready.kernel, arguments);
      return driver().graph_exec_kernel_node_set_params(exec_, node.handle, &wanted);
    }
    case LaunchStep::Kind::copy: {
      const CopyNode wanted = copy_node(*ready.step);
      return driver().graph_exec_memcpy_node_set_params(exec_, node.handle, &wanted, context_);
    }
    case LaunchStep::Kind::fill: {
      const FillNode wanted = fill_node(*ready.step);
      return driver().graph_exec_memset_node_set_params(exec_, node.handle, &wanted, context_);
    }
    case LaunchStep::Kind::library:
      break;
  }
  const Captured call(*ready.step, captures);
  if (call.status() != success) return call.status();
  return driver().graph_exec_child_graph_node_set_params(exec_, node.handle, call.graph());
}

Status PlanGraph::patch(const std::vector<ReadyStep>& steps, Stream captures) {
  for (std::size_t k = 0; k < steps.size(); ++k) {
    if (const Status status = set(nodes_[k], steps[k], captures); status != success) return status;
  }
  return success;
}

bool PlanGraph::run(const std::vector<ReadyStep>& steps, Stream stream, Stream captures) {
  if (refused_) return false;
  std::string words;
  try {
    Status status = success;
    // A library may run other kernels for other addresses: that is another graph.
    const bool patched =
        exec_ != nullptr && nodes_.size() == steps.size() && patch(steps, captures) == success;
    if (!patched) status = build(steps, captures);
    if (status == success) status = driver().graph_launch(exec_, stream);
    if (status == success) {
      plan_counters().graph_runs.fetch_add(1, std::memory_order_relaxed);
      return true;
    }
    words = status_text(status);
  } catch (const RefusedCall&) {
    drop();
    throw;
  } catch (const std::exception& error) {
    words = error.what();
  }
  refused_ = true;
  drop();
  plan_counters().graph_failures.fetch_add(1, std::memory_order_relaxed);
  logging::write(1, fmt::format("{}: a plan runs without a graph: {}", device_, words));
  return false;
}

}  // namespace noyau::cuda
