// Results in the memory of what they are computed from: dead temporaries, and leaves that nobody
// can read after the eval.
// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <numeric>
#include <unordered_map>

#include "jit/kernel.hpp"
#include "jit/plan.hpp"

namespace noyau::jit {
namespace {

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

class Reuser {
 public:
  explicit Reuser(Plan& plan) : plan_(plan), home_(plan.buffers.size()) {
    std::iota(home_.begin(), home_.end(), 0);
    first_.assign(home_.size(), std::numeric_limits<std::int32_t>::max());
    last_.assign(home_.size(), -1);
    for (std::size_t s = 0; s < plan.steps.size(); ++s)
      for (const PlanPointer& p : plan.steps[s].pointers) {
        auto& first = first_[at(p.buffer)];
        first = std::min(first, static_cast<std::int32_t>(s));
        last_[at(p.buffer)] = static_cast<std::int32_t>(s);
      }
    // An array that shares a leaf's or a temporary's memory keeps it for itself.
    shown_.assign(home_.size(), 0);
    given_.assign(home_.size(), 0);
    for (const PlanOutput& out : plan.outputs) shown_[at(out.buffer)] = 1;
  }

  std::vector<char> run() {
    std::vector<char> needless(plan_.steps.size(), 0);
    for (std::size_t s = 0; s < plan_.steps.size(); ++s) {
      PlanStep& step = plan_.steps[s];
      for (const InPlace& pair : step.in_place)
        if (merge(static_cast<std::int32_t>(s), step.pointers[at(pair.input)].buffer,
                  step.pointers[at(pair.output)].buffer))
          needless[s] = step.copies_whole;
    }
    for (PlanStep& step : plan_.steps)
      for (PlanPointer& p : step.pointers) p.buffer = home_[at(p.buffer)];
    for (PlanOutput& out : plan_.outputs) out.buffer = home_[at(out.buffer)];
    return needless;
  }

 private:
  /// Gives `output` the memory of `input` when step s is the last that reads the one and the first
  /// that writes the other. Homes are final: steps come in order, and an input's is decided before
  /// its last use.
  bool merge(std::int32_t s, std::int32_t input, std::int32_t output) {
    PlanBuffer& to = plan_.buffers[at(output)];
    PlanBuffer& from = plan_.buffers[at(home_[at(input)])];
    const bool taken = home_[at(output)] != output || to.kind == PlanBuffer::Kind::leaf;
    const bool free = from.kind == PlanBuffer::Kind::temporary ||
                      (from.kind == PlanBuffer::Kind::leaf && from.donatable);
    if (taken || !free || given_[at(input)] || shown_[at(input)] != 0 || last_[at(input)] != s ||
        first_[at(output)] != s || from.bytes != to.bytes)
      return false;
    if (to.kind == PlanBuffer::Kind::stored && from.kind == PlanBuffer::Kind::temporary)
      from.kind = PlanBuffer::Kind::stored;
    to.kind = PlanBuffer::Kind::temporary;  // of which nothing is left
    home_[at(output)] = home_[at(input)];
    given_[at(input)] = 1;
    return true;
  }

  Plan& plan_;
  std::vector<std::int32_t> home_;  ///< of each buffer, the one whose memory it has
  std::vector<std::int32_t> first_, last_;
  std::vector<char> shown_, given_;
};

}  // namespace

std::vector<InPlace> in_place_pairs(const Kernel& kernel, std::span<const PlanPointer> pointers) {
  std::vector<InPlace> pairs;
  if (kernel.has_rows()) return pairs;  // rows are read again after others have been written
  std::vector<const KernelOp*> only(kernel.buffers.size(), nullptr);  // that touches the buffer
  std::vector<char> several(kernel.buffers.size(), 0);
  for (const KernelOp& op : kernel.ops) {
    if (op.buffer < 0) continue;
    const KernelOp*& found = only[at(op.buffer)];
    if (found != nullptr && (found->kind != op.kind || found->maps != op.maps))
      several[at(op.buffer)] = 1;
    found = &op;
  }
  std::unordered_map<std::int32_t, int> arguments;  // that lie in the plan's buffer
  for (const PlanPointer& p : pointers) arguments[p.buffer]++;
  const auto alone = [&](std::size_t k, KernelOp::Kind kind) {
    return only[k] != nullptr && !several[k] && only[k]->kind == kind &&
           arguments[pointers[k].buffer] == 1;
  };
  for (std::size_t o = 0; o < kernel.buffers.size(); ++o) {
    if (!alone(o, KernelOp::Kind::store)) continue;
    for (std::size_t i = 0; i < kernel.buffers.size(); ++i)
      if (alone(i, KernelOp::Kind::load) && only[i]->maps == only[o]->maps &&
          pointers[i].offset == pointers[o].offset &&
          size_of(kernel.buffers[i].dtype) == size_of(kernel.buffers[o].dtype))
        pairs.push_back({static_cast<std::int32_t>(i), static_cast<std::int32_t>(o)});
  }
  return pairs;
}

std::vector<char> reuse_in_place(Plan& plan) { return Reuser(plan).run(); }

}  // namespace noyau::jit
