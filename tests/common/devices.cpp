// Which devices the device tests run on.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/devices.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace noyau::test {
namespace {

/// $NOYAU_TEST_DEVICES: names and kinds of devices, separated by commas, or all. Unset: all but
/// OpenCL's, whose drivers take up to a second for a kernel.
bool is_asked_for(const std::string& device) {
  const char* variable = std::getenv("NOYAU_TEST_DEVICES");
  if (variable == nullptr) return !device.starts_with("opencl");
  const std::string list = std::string(",") + variable + ",";
  const std::string kind = device.substr(0, device.find(':'));
  for (const std::string& name : {std::string("all"), device, kind}) {
    if (list.find("," + name + ",") != std::string::npos) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> running_devices() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> running;
    for (const Device& device : devices()) {
      const bool asked = is_asked_for(device.name());
      if (device.can_run() && asked) running.push_back(device.name());
      else
        std::fprintf(stderr, "# %s: its device tests are skipped, %s\n", device.name().c_str(),
                     asked ? "it cannot run" : "NOYAU_TEST_DEVICES does not name it");
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
