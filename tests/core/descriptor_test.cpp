// Files by descriptor: whole reads and writes, and a file size limit without its signal.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include "core/file.hpp"
#include "tests/common/temporary_directory.hpp"

namespace noyau {
namespace {

class Descriptor : public ::testing::Test {
 protected:
  FileDescriptor open(int flags) const {
    return FileDescriptor(::open((directory_.path() / "file").c_str(), flags | O_CLOEXEC, 0600));
  }
  test::TemporaryDirectory directory_;
};
using DescriptorDeathTest = Descriptor;

TEST_F(Descriptor, OwnsItsNumber) {
  FileDescriptor a = open(O_RDWR | O_CREAT);
  ASSERT_TRUE(a);
  const int number = a.number();
  FileDescriptor b = std::move(a);
  EXPECT_FALSE(a);  // NOLINT: it is empty after the move
  EXPECT_EQ(b.number(), number);
  b = FileDescriptor();
  EXPECT_EQ(::fcntl(number, F_GETFD), -1) << "closed";
}

TEST_F(Descriptor, WritesAndReadsWhole) {
  std::vector<std::byte> bytes(3'000'000, std::byte{7}), back(bytes.size());
  EXPECT_EQ(write_all(open(O_WRONLY | O_CREAT).number(), bytes), 0);
  EXPECT_EQ(read_all(open(O_RDONLY).number(), back), 0);
  EXPECT_EQ(back, bytes);
  back.resize(back.size() + 1);
  EXPECT_EQ(read_all(open(O_RDONLY).number(), back), EIO) << "the file ends before";
  EXPECT_EQ(write_all(open(O_RDONLY).number(), bytes), EBADF);
  EXPECT_EQ(read_all(-1, {}), 0);
}

TEST_F(DescriptorDeathTest, PastTheLimitIsAnErrorAndNoSignal) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        (void)::signal(SIGXFSZ, SIG_DFL);  // some parents ignore it, and that is inherited
        rlimit limit;
        limit.rlim_cur = limit.rlim_max = 10'000;
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(1);
        const std::vector<std::byte> bytes(20'000);
        const FileDescriptor file = open(O_WRONLY | O_CREAT);
        const bool refused = write_all(file.number(), bytes) == EFBIG;
        sigset_t pending;
        (void)::sigpending(&pending);
        std::_Exit(refused && !sigismember(&pending, SIGXFSZ) ? 0 : 2);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace noyau
