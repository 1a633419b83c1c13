// Where a pointer of the pool is, as OpenCL sees it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <cstddef>

namespace noyau::opencl {

/// What the pointers of PreparedCall::enqueue lead to on OpenCL devices.
struct Place {
  cl_mem handle = nullptr;  ///< nullptr: not in memory of ours
  std::size_t offset = 0;   ///< bytes from the handle's start
};

}  // namespace noyau::opencl
