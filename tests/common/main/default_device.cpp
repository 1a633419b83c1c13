// Part of every test program of a build without a device for the CPU: the interpreter is the
// default.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>

#include "tests/common/interpreter_device.hpp"

namespace noyau::test {
namespace {

class DefaultDevice : public ::testing::Environment {
  // Without asking for others: tests choose when modules are loaded.
  void SetUp() override { scope_.emplace(interpreter_device()); }
  void TearDown() override { scope_.reset(); }

  std::optional<DeviceScope> scope_;
};

[[maybe_unused]] const auto* const default_device_of_tests =
    ::testing::AddGlobalTestEnvironment(new DefaultDevice);

}  // namespace
}  // namespace noyau::test
