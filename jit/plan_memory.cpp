// Memory of plans: temporaries share one arena by their lifetimes.
// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "jit/plan.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

constexpr std::int64_t alignment = 64;
std::int64_t aligned(std::int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// Free pieces by offset; best fit, merged with their neighbours when given back.
class Arena {
 public:
  std::int64_t take(std::int64_t bytes) {
    auto best = free_.end();
    for (auto piece = free_.begin(); piece != free_.end(); ++piece)
      if (piece->second >= bytes && (best == free_.end() || piece->second < best->second))
        best = piece;
    if (best == free_.end()) {
      // Grow, from the last free piece when it touches the end.
      std::int64_t start = size_;
      if (!free_.empty()) {
        auto last = std::prev(free_.end());
        if (last->first + last->second == size_) {
          start = last->first;
          free_.erase(last);
        }
      }
      size_ = start + bytes;
      return start;
    }
    const auto [offset, length] = *best;
    free_.erase(best);
    if (length > bytes) free_[offset + bytes] = length - bytes;
    return offset;
  }
  void give(std::int64_t offset, std::int64_t bytes) {
    auto next = free_.lower_bound(offset);
    if (next != free_.end() && offset + bytes == next->first) {
      bytes += next->second;
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      auto before = std::prev(next);
      if (before->first + before->second == offset) {
        before->second += bytes;
        return;
      }
    }
    free_[offset] = bytes;
  }
  std::int64_t size() const { return size_; }

 private:
  std::map<std::int64_t, std::int64_t> free_;
  std::int64_t size_ = 0;
};

}  // namespace

void plan_memory(Plan& plan) {
  const auto steps = static_cast<std::int32_t>(plan.steps.size());
  for (PlanBuffer& b : plan.buffers) {
    b.first = steps;
    b.last = -1;
  }
  for (std::int32_t s = 0; s < steps; ++s)
    for (const PlanPointer& p : plan.steps[static_cast<std::size_t>(s)].pointers) {
      PlanBuffer& b = plan.buffers[static_cast<std::size_t>(p.buffer)];
      b.first = std::min(b.first, s);
      b.last = std::max(b.last, s);
    }
  std::vector<std::vector<std::size_t>> begins(static_cast<std::size_t>(steps)),
      ends(static_cast<std::size_t>(steps));
  for (std::size_t k = 0; k < plan.buffers.size(); ++k) {
    const PlanBuffer& b = plan.buffers[k];
    if (b.kind != PlanBuffer::Kind::temporary || b.last < 0) continue;
    begins[static_cast<std::size_t>(b.first)].push_back(k);
    ends[static_cast<std::size_t>(b.last)].push_back(k);
  }
  Arena arena;
  for (std::size_t s = 0; s < static_cast<std::size_t>(steps); ++s) {
    for (std::size_t k : begins[s])
      plan.buffers[k].offset =
          arena.take(aligned(std::max<std::int64_t>(plan.buffers[k].bytes, 1)));
    for (std::size_t k : ends[s])
      arena.give(plan.buffers[k].offset, aligned(std::max<std::int64_t>(plan.buffers[k].bytes, 1)));
  }
  plan.arena_bytes = arena.size();
}

}  // namespace noyau::jit
