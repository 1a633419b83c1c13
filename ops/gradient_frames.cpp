// The registry of open gradient frames: which there are, and which nodes wait for their close.
// SPDX-License-Identifier: Apache-2.0
#include "ops/gradient_frames.hpp"

#include "core/graph.hpp"

namespace noyau {
namespace {

// A frame's number is a counter and, in its low bits, the thread it was opened in: so a thread
// knows its own frames without a lock.
constexpr int thread_bits = 16;
constexpr std::uint64_t thread_mask = (std::uint64_t{1} << thread_bits) - 1;

struct Frame {
  bool open = true;
  std::uint64_t outer = 0;            ///< the frame around it in its thread
  std::vector<NodeRef> kept;          ///< evaluated nodes that still have their inputs
  std::vector<std::uint64_t> inside;  ///< frames opened and closed while it was open
};

struct Registry {
  std::mutex mutex;
  std::uint64_t frames = 0, threads = 0;
  std::unordered_map<std::uint64_t, Frame> all;

  /// The frame itself when it is open, else the next one around it that is.
  std::uint64_t resolve(std::uint64_t frame) const {
    while (frame != 0) {
      const auto found = all.find(frame);
      if (found == all.end()) return 0;
      if (found->second.open) return frame;
      frame = found->second.outer;
    }
    return 0;
  }
};
Registry& registry() {
  static Registry* leaked = new Registry;
  return *leaked;
}

thread_local std::vector<std::uint64_t> open_here;
thread_local std::uint64_t thread_number = 0;

}  // namespace

std::uint64_t open_frame() {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  if (thread_number == 0) thread_number = r.threads++ % thread_mask + 1;
  const std::uint64_t frame = ++r.frames << thread_bits | thread_number;
  open_here.reserve(open_here.size() + 1);
  r.all[frame].outer = open_here.empty() ? 0 : open_here.back();
  open_here.push_back(frame);
  return frame;
}

void close_frame(std::uint64_t frame) {
  std::vector<NodeRef> free;
  {
    Registry& r = registry();
    std::lock_guard lock(r.mutex);
    std::erase(open_here, frame);
    Frame& closing = r.all.at(frame);
    closing.open = false;
    if (const std::uint64_t outer = r.resolve(closing.outer)) {
      // A node of the inner frame may depend on the outer one too.
      Frame& around = r.all.at(outer);
      for (NodeRef& node : closing.kept) around.kept.push_back(std::move(node));
      around.inside.insert(around.inside.end(), closing.inside.begin(), closing.inside.end());
      around.inside.push_back(frame);
      closing.kept.clear();
      closing.inside.clear();
    } else {
      free = std::move(closing.kept);
      for (std::uint64_t inner : closing.inside) r.all.erase(inner);
      r.all.erase(frame);
    }
  }
  for (NodeRef& node : free) drop_inputs(*node.node());
}

std::uint64_t innermost_open_frame(std::uint64_t frame) {
  if (frame == 0) return 0;
  if ((frame & thread_mask) == thread_number) {
    for (auto open = open_here.rbegin(); open != open_here.rend(); ++open) {
      if (*open <= frame) return *open;
    }
    return 0;
  }
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  return r.resolve(frame);
}

bool is_watched(const Node& node) {
  if (node.frame == 0) return false;
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  return r.resolve(node.frame) != 0;
}

void release_inputs(Node& node) {
  if (node.frame != 0) {
    Registry& r = registry();
    std::lock_guard lock(r.mutex);
    if (const std::uint64_t frame = r.resolve(node.frame)) {
      r.all.at(frame).kept.emplace_back(&node, 0);
      return;
    }
  }
  drop_inputs(node);
}

}  // namespace noyau
