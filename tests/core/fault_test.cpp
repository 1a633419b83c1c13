// Fault points: the k-th call, from the k-th on, counting, and $NOYAU_FAULT.
// SPDX-License-Identifier: Apache-2.0
#include "core/fault.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "noyau/error.hpp"

namespace noyau {
namespace {

std::string pattern(std::string_view point, int calls) {
  std::string failed;
  for (int i = 0; i < calls; ++i) failed += fault::should_fail(point) ? 'X' : '.';
  return failed;
}

class Fault : public testing::Test {
 protected:
  void TearDown() override { fault::disarm(); }
};

TEST_F(Fault, OffByDefault) {
  EXPECT_FALSE(fault::armed);
  EXPECT_EQ(pattern("a", 5), ".....");
  EXPECT_EQ(fault::passes("a"), 0);
}

TEST_F(Fault, KthCallOnce) {
  fault::arm("a", 3);
  EXPECT_EQ(pattern("b", 2), "..");
  EXPECT_EQ(pattern("a", 5), "..X..");
  EXPECT_EQ(fault::passes("a"), 5);
  EXPECT_EQ(fault::passes("b"), 2);
  fault::arm("a", 1);
  EXPECT_EQ(pattern("a", 3), "X..") << "arming starts the count again";
  fault::disarm();
  EXPECT_EQ(pattern("a", 3), "...");
}

TEST_F(Fault, FromTheKthOn) {
  fault::arm("a", 2, true);
  fault::arm("b", 1);
  EXPECT_EQ(pattern("a", 5), ".XXXX");
  EXPECT_EQ(pattern("b", 2), "X.");
}

TEST_F(Fault, CountsFromOne) {
  EXPECT_THROW(fault::arm("a", 0), ValueError);
  EXPECT_THROW(fault::arm("a", -1), ValueError);
}

TEST_F(Fault, OneFailureAmongThreads) {
  fault::arm("a", 500);
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) failures += fault::should_fail("a");
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(fault::passes("a"), 4000);
}

class FaultDeathTest : public testing::Test {
 protected:
  FaultDeathTest() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(FaultDeathTest, Environment) {
  ::setenv("NOYAU_FAULT", "a:2,some.thing:1+", 1);
  EXPECT_EXIT(std::_Exit(pattern("a", 4) == ".X.." && pattern("some.thing", 3) == "XXX" ? 0 : 1),
              testing::ExitedWithCode(0), "");
  for (const char* rubbish :
       {"a", "a:", ":1", "a:0", "a:-1", "a:1x", "a:1++", "a:1,", ",a:1", ","}) {
    ::setenv("NOYAU_FAULT", rubbish, 1);
    EXPECT_EXIT(
        {
          try {
            (void)fault::should_fail("a");
          } catch (const ValueError& e) {
            std::_Exit(std::string(e.what()).find("NOYAU_FAULT") == std::string::npos);
          }
          std::_Exit(2);
        },
        testing::ExitedWithCode(0), "")
        << rubbish;
  }
  ::unsetenv("NOYAU_FAULT");
}

}  // namespace
}  // namespace noyau
