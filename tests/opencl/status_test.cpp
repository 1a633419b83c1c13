// What statuses mean, and every way in which OpenCL may be missing.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/status.hpp"

#include <gtest/gtest.h>
#include <stdio.h>

#include <string>

#include "noyau/error.hpp"
#include "tests/common/message_of.hpp"

namespace noyau::test {
namespace {

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

enum class Is { memory, device };

TEST(Status, EachHasItsErrorAndItsRemedy) {
  struct Row {
    cl_int status;
    Is is;
    const char *name, *remedy;
  };
  constexpr Row rows[] = {
      {CL_DEVICE_NOT_AVAILABLE, Is::device, "-2 (CL_DEVICE_NOT_AVAILABLE)", "start another"},
      {CL_COMPILER_NOT_AVAILABLE, Is::device, "CL_COMPILER_NOT_AVAILABLE", "install all of"},
      {CL_MEM_OBJECT_ALLOCATION_FAILURE, Is::memory, "(CL_MEM_OBJECT", "let go of arrays"},
      {CL_OUT_OF_RESOURCES, Is::memory, "-5 (CL_OUT_OF_RESOURCES)", "local memory"},
      {CL_OUT_OF_HOST_MEMORY, Is::memory, "-6 (CL_OUT_OF_HOST_MEMORY)", "smaller pieces"},
      {CL_INVALID_COMMAND_QUEUE, Is::device, "(CL_INVALID_COMMAND_QUEUE)", "is lost"},
      {CL_INVALID_WORK_GROUP_SIZE, Is::device, "CL_INVALID_WORK_GROUP_SIZE", "smaller blocks"},
      {CL_INVALID_BUFFER_SIZE, Is::memory, "CL_INVALID_BUFFER_SIZE", "smaller pieces"},
      {-9999, Is::device, "-9999", "is lost"},
      {-12345, Is::device, "-12345", ""},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(opencl::is_out_of_memory(row.status), row.is == Is::memory) << row.name;
    const auto fails = [&] { opencl::check(row.status, "opencl:3", "a call"); };
    const auto launch_fails = [&] { opencl::check_launch(row.status, "opencl:3", "a call"); };
    const bool memory = row.is == Is::memory;
    for (const std::string& words :
         {memory ? message_of<OutOfMemory>(fails) : message_of<DeviceError>(fails),
          memory ? message_of<OutOfMemory>(launch_fails) : message_of<LaunchError>(launch_fails)}) {
      EXPECT_SAYS(words, "opencl:3: a call failed: ");
      EXPECT_SAYS(words, row.name);
      EXPECT_SAYS(words, row.remedy);
    }
  }
  EXPECT_NO_THROW(opencl::check(CL_SUCCESS, "opencl:3", "a call"));
}

/// What the doctor prints when the fake driver fails in this way.
std::string doctor(const std::string& way) {
  const std::string command = "env LD_LIBRARY_PATH=" NOYAU_FAKES " NOYAU_FAKE_OPENCL=" + way +
                              " " NOYAU_COMMAND " doctor 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::string text;
  char part[4096];
  for (std::size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  pclose(pipe);
  return text;
}

TEST(Loading, Found) {
  const std::string text = doctor("no");
  EXPECT_SAYS(text, "platform Fake platform, OpenCL 1.2 fake");
  EXPECT_SAYS(text, "opencl:0 Fake GPU, 2 units, 1024 MiB of its own, OpenCL 1.2 fake");
}
TEST(Loading, NoPlatform) {
  const std::string text = doctor("none");
  EXPECT_SAYS(text, "libOpenCL finds no platform (-1001 (CL_PLATFORM_NOT_FOUND_KHR))");
  EXPECT_SAYS(text, "/etc/OpenCL/vendors");
}
TEST(Loading, APlatformWithoutDevices) {
  const std::string text = doctor("empty");
  EXPECT_SAYS(text, "OpenCL finds no device that can be used:");
  EXPECT_SAYS(text, "platform Fake platform, OpenCL 1.2 fake: has no device; is the hardware");
}
TEST(Loading, ADeviceWithoutCompiler) {
  EXPECT_SAYS(doctor("compiler"), "Fake GPU: not used, it is not available or has no compiler");
}
TEST(Loading, ADeviceWithoutContext) {
  const std::string text = doctor("context");
  EXPECT_SAYS(text, "Fake GPU: not used: opencl:0: clCreateContext failed: -6");
  EXPECT_SAYS(text, "the driver got no memory from the host");
}

}  // namespace
}  // namespace noyau::test
