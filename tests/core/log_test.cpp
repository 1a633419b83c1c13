// Debug levels, warnings, and environment variables with rubbish in them.
// SPDX-License-Identifier: Apache-2.0
#include "core/log.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "noyau/error.hpp"
#include "tests/common/message_of.hpp"

namespace noyau {
namespace {

constexpr const char* variable = "NOYAU_TEST_NUMBER";

std::int64_t parsed(const char* value, std::int64_t least = 0, std::int64_t most = INT64_MAX) {
  ::setenv(variable, value, 1);
  return environment::number(variable, -7, least, most);
}

TEST(Environment, UnsetAndEmptyMeanTheDefault) {
  ::unsetenv(variable);
  EXPECT_EQ(environment::text(variable), "");
  EXPECT_EQ(environment::number(variable, -7, 0, 5), -7);
  EXPECT_EQ(parsed(""), -7);
}

TEST(Environment, NumbersWithSuffixes) {
  EXPECT_EQ(parsed("0"), 0);
  EXPECT_EQ(parsed("42"), 42);
  EXPECT_EQ(parsed("-3", -5), -3);
  EXPECT_EQ(parsed("3K"), 3 << 10);
  EXPECT_EQ(parsed("512m"), 512 << 20);
  EXPECT_EQ(parsed("2G"), 2ll << 30);
  EXPECT_EQ(parsed("9223372036854775807"), INT64_MAX);
}

TEST(Environment, RubbishIsAnErrorThatNamesTheVariable) {
  for (const char* rubbish : {"abc", "12x", "1.5", " 1", "1 ", "K", "1KK", "1T", "+1", "0x10",
                              "--1", "-1", "1e3", "9223372036854775808", "9999999999G", "-"}) {
    try {
      const std::int64_t value = parsed(rubbish);
      ADD_FAILURE() << "'" << rubbish << "' was taken as " << value;
    } catch (const ValueError& e) {
      const std::string text = e.what();
      EXPECT_NE(text.find(std::string(variable) + "=" + rubbish), std::string::npos) << text;
    }
  }
  EXPECT_THROW(parsed("6", 0, 5), ValueError);
  EXPECT_EQ(parsed("5", 0, 5), 5);
}

TEST(Environment, ListsOfNames) {
  const auto names = [](const char* value) {
    ::setenv(variable, value, 1);
    return environment::names(variable);
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(names(""), List{});
  EXPECT_EQ(names("cuda"), List{"cuda"});
  EXPECT_EQ(names("cuda*2,opencl,a:0*1,cuda"), (List{"cuda", "cuda", "opencl", "a:0", "cuda"}));
  for (const char* rubbish : {",", "a,,b", "*2", "a*", "a*0", "a*-1", "a*65", "a*2*2", "a*x"}) {
    const std::string text = test::message_of<ValueError>([&] { (void)names(rubbish); });
    EXPECT_NE(text.find(std::string(variable) + "=" + rubbish), std::string::npos) << text;
  }
}

TEST(Log, WarnsOncePerText) {
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 10; ++i) logging::warn_once("a warning of the test");
    });
  }
  for (std::thread& t : threads) t.join();
  logging::warn_once("another one");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "noyau: warning: a warning of the test\nnoyau: warning: another one\n");
}

// The level is read once a process, so each value needs a process of its own.
class LogDeathTest : public testing::Test {
 protected:
  LogDeathTest() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(LogDeathTest, LevelComesFromTheEnvironment) {
  EXPECT_EXIT(
      {
        ::setenv("NOYAU_DEBUG", "3", 1);
        logging::write(3, "shown");
        logging::write(4, "hidden");
        std::_Exit(logging::level());
      },
      testing::ExitedWithCode(3), "^noyau: shown\n$");
  EXPECT_EXIT(
      {
        ::unsetenv("NOYAU_DEBUG");
        logging::write(1, "hidden");
        std::_Exit(logging::level() + 10);
      },
      testing::ExitedWithCode(10), "^$");
}

TEST_F(LogDeathTest, RubbishLevelIsAnErrorEachTime) {
  EXPECT_EXIT(
      {
        ::setenv("NOYAU_DEBUG", "loud", 1);
        int errors = 0;
        for (int i = 0; i < 2; ++i) {
          try {
            (void)logging::level();
          } catch (const ValueError& e) {
            errors += std::string(e.what()).find("NOYAU_DEBUG=loud") != std::string::npos;
          }
        }
        std::_Exit(errors);
      },
      testing::ExitedWithCode(2), "");
}

}  // namespace
}  // namespace noyau
