// Part of every test program: at its end, no plan may have been given up for a plainer one.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "core/plan_counters.hpp"

namespace noyau::test {
namespace {

class PlanCheck : public ::testing::Environment {
  void TearDown() override {
    EXPECT_EQ(plan_counters().made_plain.load(), 0)
        << "plans met an InternalError and were made again without layouts: NOYAU_DEBUG=1 says why";
  }
};

[[maybe_unused]] const auto* const plan_check = ::testing::AddGlobalTestEnvironment(new PlanCheck);

}  // namespace
}  // namespace noyau::test
