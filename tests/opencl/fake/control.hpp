// What tests ask of the fake libOpenCL.so.1, and what it has seen.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace noyau::fake_opencl {

/// The calls since the last forget(): "write 12", "read 12", "copy 12", "launch 256x1x1 of 64x1x1",
/// "argument 2: buffer", "argument 3: 17" (of eight bytes)...
std::vector<std::string> calls();
void forget();
/// From now on (until 0) the call named so gives this status: "clBuildProgram"; "run": what is
/// enqueued fails when it runs.
void fail(const std::string& call, int status);
/// Bytes that the device gives. More is noticed when a buffer is first used, as by real drivers.
void limit(std::size_t bytes);
/// Buffers that there are now.
int live_buffers();

}  // namespace noyau::fake_opencl
