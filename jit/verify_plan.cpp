// The check of plans: values are made before they are read and kept until then, and memory is not
// shared by what is alive together.
// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <set>

#include "jit/plan.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

constexpr std::int32_t nothing = -1;

class Verifier {
 public:
  explicit Verifier(const Plan& plan) : plan_(plan), held_(plan.buffers.size(), nothing) {}

  void run() {
    for (std::size_t b = 0; b < plan_.buffers.size(); ++b)
      if (plan_.buffers[b].kind == PlanBuffer::Kind::leaf) held_[b] = static_cast<std::int32_t>(b);
    for (std::size_t s = 0; s < plan_.steps.size(); ++s) {
      for (const PlanPointer& p : plan_.steps[s].pointers) check_place(s, p);
      for (const PlanPointer& p : plan_.steps[s].pointers)
        if (p.access == Access::read) read(s, p);
      for (const PlanPointer& p : plan_.steps[s].pointers)
        if (p.access != Access::read) write(s, p);
    }
    check_outputs();
    check_arena();
  }

 private:
  [[noreturn]] void fail(std::size_t step, const char* what, std::int32_t buffer) const {
    throw InternalError(fmt::format("verify_plan: step {} ({}) {}: buffer {}", step,
                                    plan_.steps[step].name, what, buffer));
  }
  const PlanBuffer& buffer(std::int32_t b) const {
    return plan_.buffers[static_cast<std::size_t>(b)];
  }
  std::int32_t& held(std::int32_t b) { return held_[static_cast<std::size_t>(b)]; }

  void check_place(std::size_t s, const PlanPointer& p) const {
    if (p.buffer < 0 || static_cast<std::size_t>(p.buffer) >= plan_.buffers.size())
      fail(s, "names memory that the plan does not have", p.buffer);
    if (p.offset < 0 || p.offset > buffer(p.buffer).bytes)
      fail(s, "points outside of its memory", p.buffer);
  }

  void read(std::size_t s, const PlanPointer& p) {
    if (buffer(p.value).bytes == 0) return;
    if (held(p.buffer) == nothing) fail(s, "reads what nobody has written", p.buffer);
    if (held(p.buffer) != p.value) fail(s, "reads a value that was overwritten", p.buffer);
  }

  void write(std::size_t s, const PlanPointer& p) {
    if (buffer(p.value).kind == PlanBuffer::Kind::leaf) fail(s, "writes to a leaf", p.buffer);
    if (p.access == Access::update) {
      if (held(p.buffer) == nothing) fail(s, "changes what nobody has written", p.buffer);
    } else if (!made_.insert({p.value, p.offset}).second) {
      fail(s, "makes a value a second time", p.value);
    }
    held(p.buffer) = p.value;
  }

  void check_outputs() {
    std::set<std::pair<std::int32_t, std::int32_t>> seen;
    std::vector<char> kept(plan_.buffers.size(), 0);
    for (const PlanOutput& out : plan_.outputs) {
      const PlanBuffer& b = buffer(out.buffer);
      kept[static_cast<std::size_t>(out.buffer)] = 1;
      if (!seen.insert({out.node, out.output}).second)
        throw InternalError(fmt::format("verify_plan: node {} has two results", out.node));
      if (b.kind == PlanBuffer::Kind::temporary)
        throw InternalError(fmt::format("verify_plan: node {} would keep a temporary", out.node));
      if (b.bytes > 0 && held(out.buffer) == nothing)
        throw InternalError(fmt::format("verify_plan: nobody makes node {}", out.node));
    }
    for (std::size_t b = 0; b < plan_.buffers.size(); ++b)
      if (plan_.buffers[b].kind == PlanBuffer::Kind::stored && !kept[b])
        throw InternalError(fmt::format("verify_plan: no node keeps buffer {}", b));
  }

  /// Walks over the steps with the pieces of the arena that are in use, by offset.
  void check_arena() const {
    std::vector<std::vector<std::size_t>> begins(plan_.steps.size() + 1), ends(begins.size());
    for (std::size_t k = 0; k < plan_.buffers.size(); ++k) {
      const PlanBuffer& b = plan_.buffers[k];
      if (b.kind != PlanBuffer::Kind::temporary || b.last < 0 || b.bytes == 0) continue;
      if (b.offset < 0 || b.offset + b.bytes > plan_.arena_bytes)
        throw InternalError(fmt::format("verify_plan: buffer {} lies outside of its arena", k));
      begins[static_cast<std::size_t>(b.first)].push_back(k);
      ends[static_cast<std::size_t>(b.last)].push_back(k);
    }
    std::map<std::int64_t, std::int64_t> used;  // offset -> end
    for (std::size_t s = 0; s < begins.size(); ++s) {
      for (std::size_t k : begins[s]) {
        const PlanBuffer& b = plan_.buffers[k];
        const auto next = used.lower_bound(b.offset);
        if ((next != used.end() && next->first < b.offset + b.bytes) ||
            (next != used.begin() && std::prev(next)->second > b.offset))
          throw InternalError(
              fmt::format("verify_plan: buffer {} overlaps another that is alive", k));
        used.emplace(b.offset, b.offset + b.bytes);
      }
      for (std::size_t k : ends[s]) used.erase(plan_.buffers[k].offset);
    }
  }

  const Plan& plan_;
  std::vector<std::int32_t> held_;                        ///< the value that is in each buffer now
  std::set<std::pair<std::int32_t, std::int64_t>> made_;  ///< values and parts of them
};

}  // namespace

void verify_plan(const Plan& plan) { Verifier(plan).run(); }

}  // namespace noyau::jit
