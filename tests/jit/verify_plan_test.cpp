// Damaged plans are found out.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>

#include "jit/plan.hpp"
#include "noyau/noyau.hpp"

namespace noyau::jit {
namespace {

using Kind = PlanBuffer::Kind;

class VerifyPlan : public ::testing::Test {
 protected:
  /// Two products, what lies between them, a set and a concatenation.
  static Plan sound_plan() {
    const DeviceScope scope(device("null:0"));
    const Array x = reshape(arange(0.0f, 64.0f), {8, 8}), y = matmul(x, x + 1.0),
                z = matmul(exp(y), y);
    const Array root = concatenate({set(z, slice(0, 2), 1.0), sum(y, 1, {.keepdims = true}) + z});
    PlanOptions options;
    options.compile = false;
    return make_plan(linearise(std::vector<Array>{root, z}), options);
  }
  /// The message about a plan damaged by `damage`.
  static std::string found(const std::function<void(Plan&)>& damage) {
    Plan plan = sound_plan();
    damage(plan);
    try {
      verify_plan(plan);
    } catch (const InternalError& error) {
      return error.what();
    }
    return "nothing";
  }
  static void expect(const std::string& message, const std::function<void(Plan&)>& damage) {
    EXPECT_NE(found(damage).find(message), std::string::npos) << found(damage);
  }
  static PlanBuffer& first_of(Plan& plan, Kind kind) {
    for (PlanBuffer& b : plan.buffers)
      if (b.kind == kind && b.bytes > 0 && (kind != Kind::temporary || b.last > b.first)) return b;
    throw std::logic_error("the plan has no such buffer");
  }
};

TEST_F(VerifyPlan, ASoundPlanPasses) {
  EXPECT_GE(sound_plan().steps.size(), 5u);
  EXPECT_EQ(found([](Plan&) {}), "nothing");
}

TEST_F(VerifyPlan, StepsOutOfOrder) {
  expect("reads what nobody has written",
         [](Plan& plan) { std::reverse(plan.steps.begin(), plan.steps.end()); });
}

TEST_F(VerifyPlan, AMissingStep) {
  expect("nobody makes", [](Plan& plan) { plan.steps.clear(); });
  expect("reads what nobody has written", [](Plan& plan) { plan.steps.erase(plan.steps.begin()); });
}

TEST_F(VerifyPlan, AStepTwice) {
  expect("a second time", [](Plan& plan) { plan.steps.push_back(plan.steps.front()); });
}

TEST_F(VerifyPlan, AValueOverwrittenBeforeItIsRead) {
  expect("overwritten", [](Plan& plan) {
    // The second value that is written goes where the first is.
    PlanPointer* first = nullptr;
    for (PlanStep& step : plan.steps)
      for (PlanPointer& p : step.pointers) {
        if (p.access != Access::write || plan.buffers[static_cast<std::size_t>(p.buffer)].node < 0)
          continue;
        if (first == nullptr) {
          first = &p;
        } else {
          p.buffer = first->buffer;
          return;
        }
      }
  });
}

TEST_F(VerifyPlan, MemoryThatOverlaps) {
  expect("overlaps", [](Plan& plan) {
    for (PlanBuffer& b : plan.buffers) {
      if (b.kind != Kind::temporary || b.last < 0) continue;
      b.offset = 0;
      b.first = 0;
      b.last = static_cast<std::int32_t>(plan.steps.size()) - 1;
    }
  });
  expect("outside of its arena",
         [](Plan& plan) { first_of(plan, Kind::temporary).offset = plan.arena_bytes; });
  expect("outside of its memory", [](Plan& plan) { plan.steps[0].pointers[0].offset = -4; });
}

TEST_F(VerifyPlan, Outputs) {
  expect("two results", [](Plan& plan) { plan.outputs.push_back(plan.outputs.front()); });
  expect("no node keeps", [](Plan& plan) { plan.outputs.pop_back(); });
  expect("keep a temporary", [](Plan& plan) {
    plan.outputs.front().buffer =
        static_cast<std::int32_t>(&first_of(plan, Kind::temporary) - plan.buffers.data());
  });
}

TEST_F(VerifyPlan, ALeafIsNeverWritten) {
  expect("writes to a leaf", [](Plan& plan) {
    for (PlanStep& step : plan.steps)
      for (PlanPointer& p : step.pointers)
        if (p.access == Access::write) {
          plan.buffers[static_cast<std::size_t>(p.value)].kind = Kind::leaf;
          return;
        }
  });
}

}  // namespace
}  // namespace noyau::jit
