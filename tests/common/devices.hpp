// The fixture of tests that run once for every device of this machine that can run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "noyau/device.hpp"

namespace noyau::test {

/// The names of the devices that can run; the others are skipped, and printed once.
std::vector<std::string> running_devices();

/// How many random programs are evaluated: all on devices whose compilers take a millisecond for a
/// kernel; fewer on OpenCL, where PoCL takes 40 milliseconds and more. $NOYAU_TEST_PROGRAMS asks
/// for another number: ctest does, for all of them in parts.
inline constexpr std::int64_t all_random_programs = 1000, random_programs_on_opencl = 60;

/// A test whose parameter is the name of a device, the default one while the test runs.
class DeviceTest : public ::testing::TestWithParam<std::string> {
 protected:
  Device device_ = noyau::device(GetParam());
  DeviceScope scope_{device_};
};

std::string test_name(const ::testing::TestParamInfo<std::string>& info);

}  // namespace noyau::test

/// One instance of the fixture's tests for each device.
#define NOYAU_FOR_EACH_DEVICE(fixture)                                                           \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(fixture);                                        \
  INSTANTIATE_TEST_SUITE_P(device, fixture, ::testing::ValuesIn(noyau::test::running_devices()), \
                           noyau::test::test_name)
