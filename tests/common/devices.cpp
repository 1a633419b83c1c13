// Which devices the device tests run on.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/devices.hpp"

#include <algorithm>
#include <cstdio>

namespace noyau::test {

std::vector<std::string> running_devices() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> running;
    for (const Device& device : devices()) {
      if (device.can_run()) running.push_back(device.name());
      else
        std::fprintf(stderr, "# %s cannot run: its device tests are skipped\n",
                     device.name().c_str());
    }
    return running;
  }();
  return names;
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); },
      '_');
  return name;
}

}  // namespace noyau::test
