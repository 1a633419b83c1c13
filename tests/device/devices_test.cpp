// The device tests run on what they were asked to run on.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "tests/common/devices.hpp"

namespace noyau::test {
namespace {

TEST(Devices, DevicesAskedForAreThere) {
  const char* asked = std::getenv("NOYAU_TEST_DEVICES");
  if (asked == nullptr) GTEST_SKIP() << "NOYAU_TEST_DEVICES is unset";
  const std::vector<std::string> running = running_devices();
  std::istringstream list(asked);
  for (std::string name; std::getline(list, name, ',');) {
    if (name.find(':') == std::string::npos) continue;  // all, or a kind
    EXPECT_NE(std::find(running.begin(), running.end(), name), running.end()) << name;
  }
}

}  // namespace
}  // namespace noyau::test
