// A plan's steps as one CUDA graph, patched from run to run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/cuda/driver.hpp"
#include "core/device.hpp"

namespace noyau::cuda {

/// Everything of one launch of a kernel.
struct KernelCall {
  Function function = nullptr;
  unsigned blocks[3] = {1, 1, 1}, threads[3] = {1, 1, 1};
  unsigned shared_bytes = 0;
  std::vector<std::uint64_t> arguments;  ///< each in a word, at its beginning
  bool operator==(const KernelCall&) const = default;
};

/// A step of a submission, ready: kernels have their call; the others are as they were.
struct ReadyStep {
  const LaunchStep* step = nullptr;
  KernelCall kernel;
};

/// Kept with the plan (Submission::memo). Steps run one after the other: that is what a plan's
/// order is, and its memory shared by. Not thread-safe: used by one queue.
class PlanGraph {
 public:
  PlanGraph(std::string device, Context context) : device_(std::move(device)), context_(context) {}
  ~PlanGraph();
  PlanGraph(const PlanGraph&) = delete;
  PlanGraph& operator=(const PlanGraph&) = delete;

  /// Runs the steps on `stream`: made a graph at first, then what has changed in it is set.
  /// `captures` is a stream on which nothing runs. False when the driver will have none of it: then
  /// nothing has been enqueued, and it is not tried again. RefusedCall, likewise, from a library.
  bool run(const std::vector<ReadyStep>& steps, Stream stream, Stream captures);

 private:
  struct Node {
    GraphNode handle = nullptr;
    LaunchStep::Kind kind = LaunchStep::Kind::kernel;
    KernelCall kernel;
    std::vector<std::byte*> pointers;  ///< of the others
  };
  Status build(const std::vector<ReadyStep>& steps, Stream captures);
  Status add(const ReadyStep& ready, const GraphNode* after, std::size_t count, Stream captures);
  Status patch(const std::vector<ReadyStep>& steps, Stream captures);
  Status set(Node& node, const ReadyStep& ready, Stream captures);
  void drop();

  const std::string device_;
  const Context context_;
  Graph graph_ = nullptr;
  GraphExec exec_ = nullptr;
  std::vector<Node> nodes_;
  bool refused_ = false;
};

/// Enqueues a library call. DeviceError and InternalError from the library.
void enqueue_call(const LaunchStep& step, Stream stream);

}  // namespace noyau::cuda
