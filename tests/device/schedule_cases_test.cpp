// Every schedule at odd extents: the bits of the interpreter.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/schedule_cases.hpp"

#include <gtest/gtest.h>

#include "noyau/noyau.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/interpreter_device.hpp"

namespace noyau::test {
namespace {

class ScheduleCases : public DeviceTest {
 protected:
  void check(std::string_view kind) {
    visit_schedule_cases(
        [](const ScheduleCase& c) {
          const reference::Value got = reference::computed(c.make());
          const DeviceScope scope(interpreter_device());
          EXPECT_TRUE(same_bits(got, reference::computed(c.make()))) << c.name;
        },
        kind);
  }
};

TEST_P(ScheduleCases, Maps) { check("maps"); }
TEST_P(ScheduleCases, Transposes) { check("transposes"); }
TEST_P(ScheduleCases, Rows) { check("rows"); }
TEST_P(ScheduleCases, Columns) { check("columns"); }
TEST_P(ScheduleCases, LongSums) { check("chunks"); }

NOYAU_FOR_EACH_DEVICE(ScheduleCases);

}  // namespace
}  // namespace noyau::test
