// The cache directory: where it is, how it is made, and what is refused.
// SPDX-License-Identifier: Apache-2.0
#include "core/cache_dir.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/common/temporary_directory.hpp"

namespace noyau {
namespace {

namespace fs = std::filesystem;

class CacheDir : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"NOYAU_CACHE_DIR", "XDG_CACHE_HOME"}) ::unsetenv(name);
    ::setenv("HOME", root().c_str(), 1);
  }
  void TearDown() override {
    for (const char* name : {"NOYAU_CACHE_DIR", "XDG_CACHE_HOME"}) ::unsetenv(name);
    if (!home_.empty()) ::setenv("HOME", home_.c_str(), 1);
  }
  const fs::path& root() const { return directory_.path(); }
  void use(const fs::path& path) { ::setenv("NOYAU_CACHE_DIR", path.c_str(), 1); }

  void expect_opened_at(const fs::path& path) {
    const std::optional<CacheDirectory> opened = open_cache_directory();
    ASSERT_TRUE(opened);
    struct stat by_descriptor {
    }, by_path{};
    ASSERT_EQ(::fstat(opened->descriptor.number(), &by_descriptor), 0);
    ASSERT_EQ(::stat(path.c_str(), &by_path), 0);
    EXPECT_EQ(by_descriptor.st_ino, by_path.st_ino);
    EXPECT_EQ(by_path.st_mode & 07777, 0700u);
  }
  /// One warning with `words` in it, and the same path only once.
  void expect_refused(const std::string& words) {
    ::testing::internal::CaptureStderr();
    EXPECT_FALSE(open_cache_directory());
    EXPECT_FALSE(open_cache_directory());
    const std::string warning = ::testing::internal::GetCapturedStderr();
    EXPECT_NE(warning.find("the kernel cache is off"), std::string::npos) << warning;
    EXPECT_NE(warning.find(words), std::string::npos) << warning;
    EXPECT_EQ(std::count(warning.begin(), warning.end(), '\n'), 1) << warning;
  }

 private:
  test::TemporaryDirectory directory_;
  std::string home_ = std::getenv("HOME") ? std::getenv("HOME") : "";
};

TEST_F(CacheDir, InHome) {
  expect_opened_at(root() / ".cache/noyau");
  expect_opened_at(root() / ".cache/noyau");
}

TEST_F(CacheDir, XdgBeforeHome) {
  ::setenv("XDG_CACHE_HOME", (root() / "a/b").c_str(), 1);
  expect_opened_at(root() / "a/b/noyau");
  ::setenv("XDG_CACHE_HOME", "relative/paths/are/void", 1);
  expect_opened_at(root() / ".cache/noyau");
}

TEST_F(CacheDir, OwnVariableBeforeAll) {
  ::setenv("XDG_CACHE_HOME", (root() / "xdg").c_str(), 1);
  use(root() / "one//two/./three/");
  expect_opened_at(root() / "one/two/three");
  EXPECT_FALSE(fs::exists(root() / "xdg"));
}

TEST_F(CacheDir, ParentsMayBeLinksButItIsNot) {
  fs::create_directory(root() / "real");
  fs::create_directory_symlink(root() / "real", root() / "link");
  use(root() / "link/cache");
  expect_opened_at(root() / "real/cache");
  fs::create_directory_symlink(root() / "real/cache", root() / "planted");
  use(root() / "planted");
  expect_refused("symbolic link");
  fs::create_directory_symlink(root() / "nowhere", root() / "dangling");
  use(root() / "dangling");
  expect_refused("symbolic link");
}

TEST_F(CacheDir, AFileIsRefused) {
  std::ofstream(root() / "file") << "x";
  use(root() / "file");
  expect_refused("Not a directory");
  use(root() / "file/below");
  expect_refused("Not a directory");
}

TEST_F(CacheDir, WritableByOthersIsRefused) {
  for (mode_t mode : {0777u, 0770u, 0702u}) {
    const fs::path path = root() / std::to_string(mode);
    fs::create_directory(path);
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    use(path);
    expect_refused("others may write to it");
  }
}

TEST_F(CacheDir, ForeignIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  const fs::path path = root() / "foreign";
  fs::create_directory(path);
  ASSERT_EQ(::chown(path.c_str(), 4321, 4321), 0);
  use(path);
  expect_refused("belongs to user 4321");
}

TEST_F(CacheDir, NotWritableIsRefused) {
  if (::geteuid() == 0) {
    use("/proc/self");  // even root cannot write there
    ::testing::internal::CaptureStderr();
    EXPECT_FALSE(open_cache_directory());
    EXPECT_NE(::testing::internal::GetCapturedStderr(), "");
    return;
  }
  fs::create_directory(root() / "closed");
  fs::permissions(root() / "closed", fs::perms::owner_read | fs::perms::owner_exec);
  use(root() / "closed");
  expect_refused("Permission denied");
}

TEST_F(CacheDir, HomeMissing) {
  ::unsetenv("HOME");
  expect_refused("HOME is not set");
  ::setenv("HOME", (root() / "nonexistent").c_str(), 1);
  expect_refused("No such file or directory");
  EXPECT_FALSE(fs::exists(root() / "nonexistent")) << "a home is never made";
}

}  // namespace
}  // namespace noyau
