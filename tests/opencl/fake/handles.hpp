// What the fakes of OpenCL's libraries share: buffers, and the record of calls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <cstddef>
#include <string>
#include <vector>

struct _cl_mem {
  std::vector<std::byte> bytes;
};

namespace noyau::fake_opencl {

/// Notes `words` among the calls; the status that a test wants of the call named so.
int called(const char* name, const std::string& words = {});

}  // namespace noyau::fake_opencl
