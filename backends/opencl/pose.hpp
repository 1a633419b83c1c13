// For tests without a GPU: which lack a device is to be taken to have.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include "core/log.hpp"
#include "noyau/error.hpp"

namespace noyau::opencl {

/// $NOYAU_OPENCL_POSE: each device as if it had memory of its own, were a GPU, or had no float64.
struct Pose {
  bool memory = false;
  bool gpu = false;
  bool float32 = false;
};

inline Pose pose() {
  Pose pose;
  for (const std::string& name : environment::names("NOYAU_OPENCL_POSE")) {
    if (name == "memory") pose.memory = true;
    else if (name == "gpu") pose.gpu = pose.memory = true;
    else if (name == "float32") pose.float32 = true;
    else
      throw ValueError(fmt::format(
          "[environment] NOYAU_OPENCL_POSE names \"{}\": it is a list of memory, gpu and float32",
          name));
  }
  return pose;
}

}  // namespace noyau::opencl
