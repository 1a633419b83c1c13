// Which architecture a device gets code for: a table.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/architecture.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "noyau/error.hpp"

namespace noyau::cuda {
namespace {

const std::vector<int> cuda_12 = {50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90};
const std::vector<int> cuda_13 = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

std::string chosen(int capability, const std::vector<int>& supported, int nvrtc, int driver) {
  try {
    return choose_architecture(capability, supported, nvrtc, driver).name();
  } catch (const DeviceError& error) {
    return error.what();
  }
}

TEST(Architecture, Table) {
  struct Row {
    int capability;
    const std::vector<int>& supported;
    int nvrtc, driver;
    const char* name;
  };
  const Row rows[] = {
      {75, cuda_13, 13000, 13000, "sm_75"},
      {90, cuda_13, 13000, 13000, "sm_90"},
      {120, cuda_13, 13000, 13010, "sm_120"},
      {90, cuda_13, 13010, 13000, "sm_90"},  // within a major version drivers may be older
      {90, cuda_12, 12080, 13000, "sm_90"},  // a newer driver takes everything
      {61, cuda_12, 12080, 12020, "sm_61"},
      {91, cuda_13, 13000, 13000, "sm_90"},        // runs on later ones of its major number
      {100, cuda_12, 12080, 12080, "compute_90"},  // NVRTC does not know it: PTX
      {120, cuda_12, 12080, 13000, "compute_90"},
  };
  for (const Row& r : rows) {
    EXPECT_EQ(chosen(r.capability, r.supported, r.nvrtc, r.driver), r.name) << r.capability;
  }
}

TEST(Architecture, WhatCannotBe) {
  EXPECT_NE(chosen(61, cuda_13, 13000, 13000).find("6.1, which NVRTC 13.0 no longer"),
            std::string::npos);
  EXPECT_NE(chosen(90, cuda_13, 13000, 12080).find("the driver is for CUDA 12.8"),
            std::string::npos);
  EXPECT_NE(chosen(120, cuda_12, 12080, 12020).find("cannot translate its PTX"), std::string::npos);
  EXPECT_NE(chosen(90, {}, 13000, 13000).find("no longer"), std::string::npos);
}

}  // namespace
}  // namespace noyau::cuda
