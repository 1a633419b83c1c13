// Every way in which CUDA may be missing has its own words, in what `noyau doctor` prints.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdio.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "backends/cuda/library.hpp"
#include "noyau/error.hpp"
#include "tests/common/temporary_directory.hpp"

namespace noyau::test {
namespace {

std::string output(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::string text;
  char part[4096];
  for (std::size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  pclose(pipe);
  return text;
}
/// What the doctor prints with these settings before its command.
std::string doctor(const std::string& settings) {
  return output("env " + settings + " " NOYAU_COMMAND " doctor");
}
std::string with(const std::string& folders) { return "LD_LIBRARY_PATH=" + folders; }

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(Loading, Found) {
  const std::string text = doctor(with(NOYAU_FAKES));
  EXPECT_SAYS(text, "libcuda.so.1 (" NOYAU_FAKES "/libcuda.so.1), for CUDA 13.0");
  EXPECT_SAYS(text, "libnvrtc.so.13 (" NOYAU_FAKES "/libnvrtc.so.13), NVRTC 13.0, for sm_75 sm_90");
  EXPECT_SAYS(text, "libcublasLt.so.13 (" NOYAU_FAKES
                    "/libcublasLt.so.13), cuBLASLt 13.1.2\n             works on cuda:0");
  EXPECT_SAYS(text, "libcudnn.so.9 (" NOYAU_FAKES
                    "/libcudnn.so.9), cuDNN 9.13.1\n             works on cuda:0");
  EXPECT_SAYS(text, "cuda:1   Fake GPU, compute capability 9.0 (sm_90), 2 units, 8192 MiB");
}

TEST(Loading, NoDriver) {
  const std::string text = doctor(with("/nonexistent"));
  if (text.find("cuda:0   ") != std::string::npos) GTEST_SKIP() << "there is a real driver";
  EXPECT_SAYS(text, "libcuda.so.1 does not load; install NVIDIA's driver");
  EXPECT_SAYS(text, "libcuda.so.1: cannot open shared object file");
}

TEST(Loading, AbsentLibrariesAreListedWithTheLoadersWords) {
  const std::string names[] = {"libnoyau-none.so.13", "/nonexistent/libnoyau-none.so.13"};
  try {
    (void)cuda::open_library(names, "install it");
    FAIL() << "found what is not there";
  } catch (const DeviceError& error) {
    const std::string text = error.what();
    EXPECT_SAYS(text, "libnoyau-none.so.13 does not load; install it:");
    EXPECT_SAYS(text, "\n    libnoyau-none.so.13: cannot open shared object file");
    EXPECT_SAYS(text, "\n    /nonexistent/libnoyau-none.so.13: cannot open shared object file");
  }
  // Found later: what was tried before is told.
  const std::string again[] = {"libnoyau-none.so.13", NOYAU_FAKES "/libcudnn.so.9"};
  const std::string text = cuda::open_library(again, "install it").description();
  EXPECT_SAYS(text, NOYAU_FAKES "/libcudnn.so.9; before it: libnoyau-none.so.13: cannot open");
}

TEST(Loading, NotALibrary) {
  for (const char* name :
       {"libcuda.so.1", "libnvrtc.so.13", "libcublasLt.so.13", "libcudnn.so.9"}) {
    const test::TemporaryDirectory folder;
    std::ofstream(folder.path() / name) << "not a library\n";
    EXPECT_SAYS(doctor(with(folder.path().string() + ":" NOYAU_FAKES)),
                std::string(name) + ": file too short");
  }
}

TEST(Loading, MissingFunction) {
  EXPECT_SAYS(doctor(with(NOYAU_FAKES "/old:" NOYAU_FAKES)),
              "libcuda.so.1 has no function cuLaunchKernel; install NVIDIA's driver");
  EXPECT_SAYS(doctor(with(NOYAU_FAKES "/old_nvrtc:" NOYAU_FAKES)),
              "libnvrtc.so.13 has no function nvrtcGetCUBINSize; install NVRTC");
  EXPECT_SAYS(doctor(with(NOYAU_FAKES "/old_cublaslt:" NOYAU_FAKES)),
              "libcublasLt.so.13 has no function cublasLtMatmulAlgoGetHeuristic; install cuBLAS");
  EXPECT_SAYS(doctor(with(NOYAU_FAKES "/old_cudnn:" NOYAU_FAKES)),
              "libcudnn.so.9 has no function cudnnSetConvolutionMathType; install cuDNN 9");
}

TEST(Loading, WrongVersion) {
  EXPECT_SAYS(doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_CUDA=old"),
              "is of a driver for CUDA 11.8, which is too old; install NVIDIA's driver");
  EXPECT_SAYS(doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_NVRTC=old"),
              "is NVRTC 11.0, which is too old; install NVRTC of CUDA 12 or 13");
  EXPECT_SAYS(doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_CUBLASLT=old"),
              "cuBLASLt 11.9.0: of another version than is known; install cuBLAS of CUDA 12 or 13");
  EXPECT_SAYS(doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_CUDNN=old"),
              "cuDNN 8.9.7: of another version than is known; install cuDNN 9");
}

TEST(Loading, InitialisationFails) {
  EXPECT_SAYS(doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_CUDA=init"),
              "cuInit of libcuda.so.1 failed: 999 (CUDA_ERROR_UNKNOWN: words of the fake driver)");
  EXPECT_SAYS(
      doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_CUBLASLT=init"),
      "cublasLtCreate failed: 1 (CUBLAS_STATUS_NOT_INITIALIZED: words of the fake cuBLASLt); "
      "install cuBLAS");
  EXPECT_SAYS(doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_CUDNN=init"),
              "cudnnCreate failed: 1001 (CUDNN_STATUS_NOT_INITIALIZED); install cuDNN 9");
}

TEST(Loading, NoDevice) {
  EXPECT_SAYS(doctor(with(NOYAU_FAKES) + " NOYAU_FAKE_CUDA=none"),
              "the driver (libcuda.so.1, for CUDA 13.0) lists no device");
}

TEST(Loading, NothingIsLinkedToNvidia) {
  const std::filesystem::path folder =
      std::filesystem::path(NOYAU_COMMAND).parent_path().parent_path() / "lib";
  std::vector<std::string> files = {folder / "libnoyau.so"};
  for (const auto& entry : std::filesystem::directory_iterator(folder / "noyau"))
    files.push_back(entry.path().string());
  EXPECT_GE(files.size(), 5u);
  for (const std::string& file : files) {
    const std::string libraries = output("readelf -d " + file + " | grep NEEDED");
    EXPECT_SAYS(libraries, "libstdc++.so.6");
    for (const char* vendor : {"libcuda", "libnvrtc", "libcublas", "libcudnn", "libcudart"})
      EXPECT_EQ(libraries.find(vendor), std::string::npos) << file << "\n" << libraries;
    if (!file.ends_with("libnoyau.so")) continue;
    for (const char* vendor : {"libLLVM", "libdnnl", "libOpenCL"})
      EXPECT_EQ(libraries.find(vendor), std::string::npos) << libraries;
  }
}

}  // namespace
}  // namespace noyau::test
