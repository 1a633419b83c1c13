// Devices: the registry of modules, finding by name, the default device and its scopes.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/device.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>

#include "core/device.hpp"
#include "core/module.hpp"
#include "noyau/error.hpp"

namespace noyau {
namespace {

std::string message_of_missing(const std::string& name) {
  try {
    device(name);
  } catch (const DeviceError& error) {
    return error.what();
  }
  return {};
}

TEST(Device, EveryModuleIsReportedInOrder) {
  std::vector<std::string> names;
  for (const ModuleReport& report : module_reports()) {
    names.push_back(report.name);
    EXPECT_FALSE(report.lines.empty()) << report.name;  // a path, or the loader's words
  }
  EXPECT_EQ(names, (std::vector<std::string>{"llvm", "onednn", "cuda", "cublaslt", "cudnn",
                                             "opencl", "clblast", "null"}));
}

TEST(Device, MissingDeviceSaysWhatWasFoundAndWhyNotTheRest) {
  const std::string message = message_of_missing("cuda:97");
  EXPECT_NE(message.find("cuda:97"), std::string::npos) << message;
  EXPECT_NE(message.find("null:0"), std::string::npos) << message;
  for (const ModuleReport& report : module_reports()) {
    if (!report.loaded) {
      const std::string& line = report.lines.front();
      EXPECT_NE(message.find(line.substr(0, line.find('\n'))), std::string::npos) << message;
    }
  }
}

TEST(Device, ThoseThatRunComeFirst) {
  bool all_running = true;
  for (const Device& found : devices()) {
    EXPECT_TRUE(all_running || !found.can_run()) << found.name();
    all_running = found.can_run();
  }
}

TEST(Device, ScopeIsOfThisThreadAndNests) {
  DeviceBackend* const first = find_running_device();
  if (first == nullptr || default_device() != Device(first))
    GTEST_SKIP() << "no device runs here by default";
  const Device null_device = device("null:0");
  const Device before = default_device();
  EXPECT_TRUE(before.can_run());
  {
    DeviceScope scope(null_device);
    EXPECT_EQ(default_device(), null_device);
    std::thread([&] { EXPECT_EQ(default_device(), before); }).join();
    {
      DeviceScope inner(before);
      EXPECT_EQ(default_device(), before);
    }
    EXPECT_EQ(default_device(), null_device);
  }
  EXPECT_EQ(default_device(), before);
  EXPECT_THROW(DeviceScope{Device{}}, DeviceError);
}

TEST(Device, NullPlansAndNeverRuns) {
  const Device null_device = device("null:0");
  EXPECT_FALSE(null_device.can_run());
  try {
    null_device.backend().submit({});
    FAIL() << "submit did not throw";
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("plan and never run"), std::string::npos);
  }
}

TEST(Device, DoctorNamesEveryModuleAndDevice) {
  const std::string report = doctor_report();
  for (const ModuleReport& module : module_reports()) {
    EXPECT_NE(report.find(module.name), std::string::npos);
    for (const std::string& said : module.lines) {
      std::istringstream lines(said);
      for (std::string line; std::getline(lines, line);)
        EXPECT_NE(report.find("\n             " + line + '\n'), std::string::npos) << report;
    }
  }
  for (const Device& found : devices()) {
    EXPECT_NE(report.find(found.name()), std::string::npos);
    EXPECT_NE(report.find(found.description()), std::string::npos);
  }
}

/// What a process says whose environment names devices that are not there.
class DeviceDeathTest : public ::testing::Test {
 protected:
  DeviceDeathTest() { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
  static void say(const char* variable, const char* value) {
    ::setenv(variable, value, 1);
    try {
      (void)devices();
    } catch (const Error& error) {
      std::fputs(error.what(), stderr);
    }
    std::_Exit(7);
  }
};

TEST_F(DeviceDeathTest, ListsOfDevicesThatMakeNoSense) {
  using ::testing::ExitedWithCode;
  EXPECT_EXIT(say("NOYAU_DEVICES", "cpu:97*2"), ExitedWithCode(7), "NOYAU_DEVICES.*cpu:97");
  EXPECT_EXIT(say("NOYAU_DEVICES", "gpu:0"), ExitedWithCode(7), "NOYAU_DEVICES.*gpu:0");
  EXPECT_EXIT(say("NOYAU_DEVICES", "null:0*x"), ExitedWithCode(7), "NOYAU_DEVICES=null:0");
}

TEST(Backends, HaveTheSameFiles) {
  namespace fs = std::filesystem;
  int backends = 0;
  for (const fs::directory_entry& folder : fs::directory_iterator(NOYAU_SOURCE_DIR "/backends")) {
    if (!fs::exists(folder.path() / "device.cpp")) continue;  // a vendor library's
    ++backends;
    for (const char* file : {"memory", "compiler", "launch"}) {
      for (const char* ending : {".hpp", ".cpp"})
        EXPECT_TRUE(fs::exists(folder.path() / (std::string(file) + ending)))
            << folder.path() << " has no " << file << ending;
    }
  }
  EXPECT_GE(backends, 4);
}

}  // namespace
}  // namespace noyau
