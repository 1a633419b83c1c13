// The cache of executables: in memory, on disk, damaged, full, among threads and processes.
// SPDX-License-Identifier: Apache-2.0
#include "jit/cache.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/build_note.hpp"
#include "core/fault.hpp"
#include "jit/compile_threads.hpp"
#include "noyau/error.hpp"
#include "tests/common/fake_device.hpp"
#include "tests/common/files.hpp"
#include "tests/common/spawn.hpp"

namespace noyau::jit {
namespace {

namespace fs = std::filesystem;
using test::FakeDevice;
using test::FakeExecutable;
using test::read_bytes;
using test::write_bytes;

/// A program that differs from those of other numbers.
Program numbered(std::int64_t number) {
  KernelBuilder b("numbered");
  const int out = b.buffer(int64, false, true);
  b.store(out, b.item(0), b.constant_i64(number));
  return b.finish();
}

/// Every public test has a directory of its own; a new ExecutableCache stands for a new process.
class Cache : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("NOYAU_CACHE_DIR", directory().c_str(), 1);
    ::unsetenv("NOYAU_CACHE");
    ::unsetenv("NOYAU_CACHE_BYTES");
  }
  void TearDown() override {
    fault::disarm();
    ::unsetenv("NOYAU_CACHE_DIR");
    ::unsetenv("NOYAU_CACHE");
    ::unsetenv("NOYAU_CACHE_BYTES");
  }
  fs::path directory() const { return temporary_.path() / "cache"; }
  std::vector<fs::path> files(const std::string& extension = ".kernel") const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(directory())) {
      if (entry.path().extension() == extension) found.push_back(entry.path());
    }
    return found;
  }
  std::vector<fs::path> temporaries() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(directory())) {
      if (entry.path().filename().string().starts_with(".tmp-")) found.push_back(entry.path());
    }
    return found;
  }
  /// How many files there are of any name.
  std::ptrdiff_t entries() const {
    std::error_code missing;
    const fs::directory_iterator all(directory(), missing);
    return missing ? 0 : std::distance(begin(all), end(all));
  }
  void expect_right(const ExecutableRef& executable, const Program& program) const {
    const auto* fake = dynamic_cast<const FakeExecutable*>(executable.get());
    ASSERT_NE(fake, nullptr);
    EXPECT_EQ(fake->text(), device.object_text(program));
  }
  /// Finds the program in a new process; whatever happens the executable is right. Says whence it
  /// came.
  CacheStatistics found_by_new_process(const Program& program) {
    ExecutableCache cache;
    expect_right(cache.find_or_compile(device, program), program);
    return cache.statistics();
  }

  test::TemporaryDirectory temporary_;
  FakeDevice device;
};

constexpr CacheStatistics compiled_one{1, 0, 0}, from_disk{0, 0, 1};

TEST_F(Cache, MemoryThenDiskThenCompiled) {
  const Program p = numbered(1);
  ExecutableCache cache;
  const CacheStatistics before = ExecutableCache::thread_statistics();
  const ExecutableRef first = cache.find_or_compile(device, p);
  expect_right(first, p);
  EXPECT_EQ(cache.find_or_compile(device, numbered(1)), first);
  expect_right(cache.find_or_compile(device, numbered(2)), numbered(2));
  EXPECT_EQ(cache.statistics(), (CacheStatistics{2, 1, 0}));
  EXPECT_EQ(ExecutableCache::thread_statistics() - before, (CacheStatistics{2, 1, 0}));
  EXPECT_EQ(found_by_new_process(p), from_disk);
  EXPECT_EQ(device.compiles, 2);
  EXPECT_EQ(files().size(), 2u);
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Cache, NamesDoNotMatter) {
  Program a = numbered(1), b = numbered(1);
  b.name = "another";
  b.memory[0].name = "y";
  ExecutableCache cache;
  EXPECT_EQ(cache.find_or_compile(device, a), cache.find_or_compile(device, b));
}

TEST_F(Cache, AnotherIdentityIsAnotherKey) {
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  device.identity = "fake 2";
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  device.identity = "fake 1";
  EXPECT_EQ(found_by_new_process(numbered(1)), from_disk);
}

TEST_F(Cache, DevicesShareTheDiskButNotExecutables) {
  FakeDevice other;
  ExecutableCache cache;
  const ExecutableRef here = cache.find_or_compile(device, numbered(1));
  EXPECT_NE(cache.find_or_compile(other, numbered(1)), here);
  EXPECT_EQ(cache.statistics(), (CacheStatistics{1, 0, 1}));
}

TEST_F(Cache, FilesArePrivate) {
  (void)found_by_new_process(numbered(1));
  struct stat found {};
  ASSERT_EQ(::stat(files().at(0).c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600u);
}

TEST_F(Cache, TurnedOff) {
  ::setenv("NOYAU_CACHE", "0", 1);
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  EXPECT_FALSE(fs::exists(directory()));
}

TEST_F(Cache, RubbishInTheEnvironmentIsAnError) {
  for (const char* rubbish : {"abc", "-5", "1X"}) {
    ::setenv("NOYAU_CACHE_BYTES", rubbish, 1);
    EXPECT_THROW(ExecutableCache(), ValueError) << rubbish;
  }
  ::unsetenv("NOYAU_CACHE_BYTES");
  ::setenv("NOYAU_CACHE", "yes", 1);
  EXPECT_THROW(ExecutableCache(), ValueError);
}

TEST_F(Cache, EveryTruncationIsCompiledAgainAndReplaced) {
  const Program p = numbered(1);
  (void)found_by_new_process(p);
  const fs::path file = files().at(0);
  const std::string whole = read_bytes(file);
  ASSERT_GT(whole.size(), 64u);
  ::testing::internal::CaptureStderr();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_bytes(file, whole.substr(0, length));
    ASSERT_EQ(found_by_new_process(p), compiled_one) << length;
    ASSERT_EQ(read_bytes(file), whole) << "replaced after " << length;
  }
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  EXPECT_LE(std::count(warnings.begin(), warnings.end(), '\n'), 2) << warnings;
  EXPECT_EQ(device.loads, 0) << "damaged bytes never reach the device";
}

TEST_F(Cache, EveryFlippedBitIsNoticed) {
  const Program p = numbered(1);
  (void)found_by_new_process(p);
  const fs::path file = files().at(0);
  const std::string whole = read_bytes(file);
  ::testing::internal::CaptureStderr();
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    write_bytes(file, damaged);
    ASSERT_EQ(found_by_new_process(p), compiled_one) << bit;
  }
  write_bytes(file, whole + '\0');
  EXPECT_EQ(found_by_new_process(p), compiled_one);
  write_bytes(file, std::string(whole.size(), '\0'));
  EXPECT_EQ(found_by_new_process(p), compiled_one);
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(warnings.begin(), warnings.end(), '\n'), 1) << warnings;
  EXPECT_EQ(device.loads, 0);
  EXPECT_EQ(found_by_new_process(p), from_disk);
}

TEST_F(Cache, AnEntryUnderAnotherNameIsNotTaken) {
  (void)found_by_new_process(numbered(1));
  const fs::path one = files().at(0);
  const std::string content = read_bytes(one);
  (void)found_by_new_process(numbered(2));
  for (const fs::path& file : files()) write_bytes(file, content);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(found_by_new_process(numbered(2)), compiled_one);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("header"), std::string::npos);
  EXPECT_EQ(found_by_new_process(numbered(1)), from_disk);
}

TEST_F(Cache, LinksPipesAndDirectoriesAreNotRead) {
  const Program p = numbered(1);
  (void)found_by_new_process(p);
  const fs::path file = files().at(0), aside = temporary_.path() / "aside";
  fs::rename(file, aside);
  ::testing::internal::CaptureStderr();
  fs::create_symlink(aside, file);
  EXPECT_EQ(found_by_new_process(p), compiled_one);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(file)));
  fs::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_EQ(found_by_new_process(p), compiled_one);
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_EQ(found_by_new_process(p), compiled_one) << "computed, though it cannot be stored";
  EXPECT_TRUE(temporaries().empty());
  EXPECT_NE(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(Cache, WhatTheDeviceRefusesIsCompiledAgain) {
  (void)found_by_new_process(numbered(1));
  device.refuse_loads = true;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("does not take it"), std::string::npos);
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(Cache, FailingReadsAndWrites) {
  ::testing::internal::CaptureStderr();
  fault::arm("cache.write", 1, true);
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  EXPECT_TRUE(files().empty());
  EXPECT_TRUE(temporaries().empty()) << "nothing half-written stays";
  fault::disarm();
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  fault::arm("cache.read", 1, true);
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  EXPECT_EQ(device.loads, 0);
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(warnings.begin(), warnings.end(), '\n'), 2) << warnings;
}

TEST_F(Cache, DirectoryThatIsAFile) {
  std::ofstream(directory()) << "x";
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(warnings.begin(), warnings.end(), '\n'), 1) << warnings;
}

TEST_F(Cache, DirectoryRemovedMeanwhile) {
  ::testing::internal::CaptureStderr();
  ExecutableCache cache;
  fs::remove_all(directory());
  for (int n = 0; n < 3; ++n) {
    expect_right(cache.find_or_compile(device, numbered(n)), numbered(n));
  }
  (void)::testing::internal::GetCapturedStderr();
  EXPECT_EQ(cache.statistics().compiled, 3);
}

TEST_F(Cache, LeastRecentlyUsedGoFirst) {
  device.padding = 10000;
  {
    ExecutableCache cache;
    for (int n = 0; n < 10; ++n) (void)cache.find_or_compile(device, numbered(n));
  }
  // Ages: the n-th was used n hours after the first; then 0 is used again, now.
  for (const fs::path& file : files()) {
    for (int n = 0; n < 10; ++n) {
      if (read_bytes(file).find(device.object_text(numbered(n))) == std::string::npos) continue;
      fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(100 - n));
    }
  }
  EXPECT_EQ(found_by_new_process(numbered(0)), from_disk);
  ::setenv("NOYAU_CACHE_BYTES", "90K", 1);
  (void)found_by_new_process(numbered(10));  // 11 entries pass the cap; 7/8 of it holds 7
  EXPECT_EQ(files().size(), 7u);
  EXPECT_EQ(found_by_new_process(numbered(0)), from_disk);
  for (int n = 5; n <= 10; ++n) EXPECT_EQ(found_by_new_process(numbered(n)), from_disk) << n;
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
}

TEST_F(Cache, TooLargeForTheCapIsNotStored) {
  ::setenv("NOYAU_CACHE_BYTES", "1K", 1);
  device.padding = 2000;
  EXPECT_EQ(found_by_new_process(numbered(1)), compiled_one);
  EXPECT_TRUE(files().empty());
}

TEST_F(Cache, AbandonedTemporariesAreCollectedAndLiveOnesKept) {
  fs::create_directory(directory());
  fs::permissions(directory(), fs::perms::owner_all);
  write_bytes(directory() / ".tmp-1-2-3", "left by a dead process");
  write_bytes(directory() / ".tmp-4-5-6", "being written");
  write_bytes(directory() / "README", "somebody's own file");
  const FileDescriptor live(::open((directory() / ".tmp-4-5-6").c_str(), O_WRONLY));
  ASSERT_EQ(::flock(live.number(), LOCK_EX), 0);
  (void)found_by_new_process(numbered(1));
  EXPECT_EQ(temporaries(), std::vector<fs::path>{directory() / ".tmp-4-5-6"});
  EXPECT_TRUE(fs::exists(directory() / "README"));
}

TEST_F(Cache, OneKernelIsCompiledOnceByManyThreads) {
  device.on_compile = [](const Program&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  ExecutableCache cache;
  std::vector<ExecutableRef> found(8);
  std::vector<std::thread> threads;
  for (ExecutableRef& slot : found) {
    threads.emplace_back([&] { slot = cache.find_or_compile(device, numbered(1)); });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(device.compiles, 1);
  for (const ExecutableRef& executable : found) EXPECT_EQ(executable, found[0]);
  EXPECT_EQ(cache.statistics(), (CacheStatistics{1, 7, 0}));
}

TEST_F(Cache, ThreadsAndManyKernels) {
  ExecutableCache cache;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 100; ++i) {
        const Program p = numbered(random() % 30);
        expect_right(cache.find_or_compile(device, p), p);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(device.compiles, 30);
  EXPECT_EQ(files().size(), 30u);
}

TEST_F(Cache, ManyAtOnce) {
  std::vector<Program> programs;
  for (int n = 0; n < 20; ++n) programs.push_back(numbered(n % 15));  // some twice
  std::vector<const Program*> pointers;
  for (const Program& p : programs) pointers.push_back(&p);
  ExecutableCache cache;
  (void)cache.find_or_compile(device, programs[3]);
  const std::vector<ExecutableRef> found = cache.find_or_compile_all(device, pointers);
  ASSERT_EQ(found.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i) expect_right(found[i], programs[i]);
  EXPECT_EQ(cache.statistics(), (CacheStatistics{15, 6, 0}));
  EXPECT_TRUE(cache.find_or_compile_all(device, {}).empty());
}

TEST_F(Cache, FailuresReachTheCallerAndAreTriedAgain) {
  std::atomic<bool> broken{true};
  device.on_compile = [&](const Program& p) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (broken && p == numbered(1)) throw CompileError("the log of the compiler");
  };
  const Program one = numbered(1), two = numbered(2), three = numbered(3);
  const std::vector<const Program*> all = {&two, &one, &three};
  ExecutableCache cache;
  std::vector<std::thread> threads;
  std::atomic<int> caught{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      try {
        (void)cache.find_or_compile_all(device, all);
      } catch (const CompileError& e) {
        caught += std::string(e.what()) == "the log of the compiler";
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(caught, 4);
  broken = false;
  const CacheStatistics before = cache.statistics();
  EXPECT_EQ(cache.find_or_compile_all(device, all).size(), 3u);
  EXPECT_EQ(cache.statistics() - before, (CacheStatistics{1, 2, 0})) << "the others were kept";
}

TEST_F(Cache, EveryKthCompileFailing) {
  std::vector<Program> programs;
  std::vector<const Program*> pointers;
  for (int n = 0; n < 5; ++n) programs.push_back(numbered(n));
  for (const Program& p : programs) pointers.push_back(&p);
  ::setenv("NOYAU_CACHE", "0", 1);
  for (std::int64_t k = 1; k <= 5; ++k) {
    ExecutableCache cache;
    fault::arm("compile", k);
    EXPECT_THROW((void)cache.find_or_compile_all(device, pointers), CompileError);
    EXPECT_EQ(cache.find_or_compile_all(device, pointers).size(), 5u);
    EXPECT_EQ(cache.statistics().compiled, 5);
  }
}

TEST(CompileThreads, HaveDeepStacksWhateverTheCallerHas) {
  std::size_t bytes = 0;
  const std::function<void()> measure[] = {[&] {
    pthread_attr_t attributes;
    ASSERT_EQ(::pthread_getattr_np(::pthread_self(), &attributes), 0);
    ASSERT_EQ(::pthread_attr_getstacksize(&attributes, &bytes), 0);
    ::pthread_attr_destroy(&attributes);
  }};
  run_on_compile_threads(measure);
  EXPECT_EQ(bytes, std::size_t{8} << 20);
}

TEST(CompileThreads, RunAllThenThrowTheFirst) {
  std::atomic<int> ran{0};
  std::vector<std::function<void()>> tasks;
  for (int i = 0; i < 50; ++i) {
    tasks.emplace_back([&, i] {
      ++ran;
      if (i % 10 == 3) throw ValueError(std::to_string(i));
    });
  }
  try {
    run_on_compile_threads(tasks);
    ADD_FAILURE() << "no exception";
  } catch (const ValueError& e) {
    EXPECT_STREQ(e.what(), "3");
  }
  EXPECT_EQ(ran, 50);
}

TEST(BuildNote, TellsObjectsApart) {
  const std::string library = build_note_of(reinterpret_cast<const void*>(&executable_cache));
  const std::string test = build_note_of(reinterpret_cast<const void*>(&numbered));
  EXPECT_EQ(library.size(), 40u) << "linked with --build-id, as the compiler does by default";
  EXPECT_NE(library, test);
  int on_the_stack = 0;
  EXPECT_EQ(build_note_of(&on_the_stack), "");
}

// Other processes. Each is this test program, running one of the disabled tests below.

constexpr const char* worker_role = "NOYAU_TEST_WORKER";
constexpr int worker_kernels = 12;

test::Process start_worker(const std::string& role) {
  return test::Process({"/proc/self/exe", "--gtest_filter=CacheWorker.DISABLED_Run",
                        "--gtest_also_run_disabled_tests"},
                       {{worker_role, role}});
}

TEST(CacheWorker, DISABLED_Run) {
  const std::string role = std::getenv(worker_role) ? std::getenv(worker_role) : "";
  FakeDevice device;
  device.padding = 300'000;
  auto use = [&](std::int64_t number) {
    static ExecutableCache cache;
    const auto executable = cache.find_or_compile(device, numbered(number));
    if (static_cast<const FakeExecutable&>(*executable).text() !=
        device.object_text(numbered(number))) {
      std::_Exit(3);
    }
  };
  if (role == "small files") {
    (void)::signal(SIGXFSZ, SIG_DFL);  // some parents ignore it, and that is inherited
    const rlimit limit{10'000, 10'000};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  if (role == "no threads") fault::arm("thread.start", 1, true);
  const std::int64_t last = role == "forever" ? INT64_MAX : worker_kernels;
  for (std::int64_t n = 0; n < last; ++n) use(n);
  std::_Exit(0);
}

TEST_F(Cache, EightProcessesAtOnce) {
  for (int round = 0; round < 2; ++round) {
    fs::remove_all(directory());
    std::vector<test::Process> workers;
    for (int w = 0; w < 8; ++w) workers.push_back(start_worker("share"));
    for (test::Process& worker : workers) {
      EXPECT_EQ(worker.wait(), 0);
      EXPECT_EQ(worker.errors(), "") << "no warning either";
    }
    EXPECT_EQ(files().size(), static_cast<std::size_t>(worker_kernels));
    EXPECT_TRUE(temporaries().empty());
  }
}

TEST_F(Cache, KilledInTheMiddleOfWrites) {
  std::mt19937 random(1);
  std::size_t interrupted = 0;
  for (int round = 0; round < 100; ++round) {
    if (round % 5 == 0) fs::remove_all(directory());
    const std::ptrdiff_t before = entries();
    test::Process worker = start_worker("forever");
    while (entries() == before) std::this_thread::sleep_for(std::chrono::microseconds(100));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    worker.kill();
    interrupted += !temporaries().empty();
  }
  ::testing::internal::CaptureStderr();
  (void)found_by_new_process(numbered(-1));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_TRUE(temporaries().empty()) << "collected by the next one that writes";
  test::Process after = start_worker("share");
  EXPECT_EQ(after.wait(), 0);
  EXPECT_EQ(after.errors(), "") << "no published entry is damaged";
  EXPECT_GT(interrupted, 0u) << "no kill hit a write: the test shows nothing";
}

TEST_F(Cache, DiskLimitIsNoSignal) {
  test::Process worker = start_worker("small files");
  EXPECT_EQ(worker.wait(), 0);
  const std::string warnings = worker.errors();
  EXPECT_NE(warnings.find("File too large"), std::string::npos) << warnings;
  EXPECT_EQ(std::count(warnings.begin(), warnings.end(), '\n'), 1) << warnings;
  EXPECT_TRUE(files().empty());
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Cache, WithoutThreadsTheCallerCompiles) {
  test::Process worker = start_worker("no threads");
  EXPECT_EQ(worker.wait(), 0);
  EXPECT_EQ(files().size(), static_cast<std::size_t>(worker_kernels));
}

class CacheDeathTest : public Cache {
 protected:
  CacheDeathTest() { ::testing::FLAGS_gtest_death_test_style = "fast"; }
};

TEST_F(CacheDeathTest, ForkedProcessIsToldSo) {
  ExecutableCache cache;
  (void)cache.find_or_compile(device, numbered(1));
  EXPECT_EXIT(
      {
        try {
          (void)cache.find_or_compile(device, numbered(2));
        } catch (const DeviceError& e) {
          std::_Exit(std::string(e.what()).find("forked") != std::string::npos ? 0 : 1);
        }
        std::_Exit(2);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace noyau::jit
