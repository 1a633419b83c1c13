// How many kernels expressions become, without library calls: for each device and dialect.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "noyau/noyau.hpp"

namespace noyau::test {

struct KernelCount {
  std::string name;
  int kernels;
  std::function<std::vector<Array>()> make;  ///< not evaluated, on the default device
};
const std::vector<KernelCount>& kernel_counts();

}  // namespace noyau::test
