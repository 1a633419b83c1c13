// Every way in which CUDA may be missing has its own words, in what `noyau doctor` prints.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdio.h>

#include <fstream>
#include <string>

#include "tests/common/temporary_directory.hpp"

namespace noyau::test {
namespace {

/// What the doctor prints with these settings before its command.
std::string doctor(const std::string& settings) {
  FILE* pipe = popen(("env " + settings + " " NOYAU_COMMAND " doctor 2>&1").c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::string text;
  char part[4096];
  for (std::size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  pclose(pipe);
  return text;
}
std::string with(const std::string& folders) { return "LD_LIBRARY_PATH=" + folders; }

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(Loading, Found) {
  const std::string text = doctor(with(NOYAU_FAKES));
  EXPECT_SAYS(text, "libcuda.so.1 (" NOYAU_FAKES "/libcuda.so.1), for CUDA 13.0");
  EXPECT_SAYS(text, "libnvrtc.so.13 (" NOYAU_FAKES "/libnvrtc.so.13), NVRTC 13.0, for sm_75 sm_90");
  EXPECT_SAYS(text, "libcublasLt.so.13 (" NOYAU_FAKES "/libcublasLt.so.13), cuBLASLt 13.1.2");
  EXPECT_SAYS(text, "cuda:1   Fake GPU, compute capability 9.0 (sm_90), 2 units, 8192 MiB");
}

TEST(Loading, Absent) {
  const std::string text = doctor(with("/nonexistent"));
  if (text.find("cuda:0") != std::string::npos) GTEST_SKIP() << "there is a real driver";
  EXPECT_SAYS(text, "libcuda.so.1 does not load; install NVIDIA's driver");
  EXPECT_SAYS(text, "libcuda.so.1: cannot open shared object file");
}

TEST(Loading, NotALibrary) {
  const test::TemporaryDirectory folder;
  std::ofstream(folder.path() / "libcuda.so.1") << "not a library\n";
  const std::string text = doctor(with(folder.path().string()));
  EXPECT_SAYS(text, "libcuda.so.1 does not load; install NVIDIA's driver");
  EXPECT_SAYS(text, "libcuda.so.1: file too short");
}

TEST(Loading, MissingFunction) {
  EXPECT_SAYS(doctor(with(NOYAU_FAKES "/old:" NOYAU_FAKES)),
              "libcuda.so.1 has no function cuLaunchKernel; install NVIDIA's driver");
  EXPECT_SAYS(doctor(with(NOYAU_FAKES "/old_nvrtc:" NOYAU_FAKES)),
              "libnvrtc.so.13 has no function nvrtcGetCUBINSize; install NVRTC");
}

TEST(Loading, InitialisationFails) {
  EXPECT_SAYS(doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_CUDA=init"),
              "cuInit of libcuda.so.1 failed: 999 (CUDA_ERROR_UNKNOWN: words of the fake driver)");
}

TEST(Loading, NoDevice) {
  EXPECT_SAYS(doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_CUDA=none"),
              "the driver (libcuda.so.1, for CUDA 13.0) lists no device");
}

}  // namespace
}  // namespace noyau::test
