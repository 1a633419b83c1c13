// Part of every test program of a build without a device for the CPU: where no other device runs,
// the interpreter is the default.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>

#include "core/module.hpp"
#include "tests/common/interpreter_device.hpp"

namespace noyau::test {
namespace {

class DefaultDevice : public ::testing::Environment {
  void SetUp() override {
    if (find_running_device() == nullptr) scope_.emplace(interpreter_device());
  }
  void TearDown() override { scope_.reset(); }

  std::optional<DeviceScope> scope_;
};

[[maybe_unused]] const auto* const default_device_of_tests =
    ::testing::AddGlobalTestEnvironment(new DefaultDevice);

}  // namespace
}  // namespace noyau::test
