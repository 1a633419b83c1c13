// What tests ask of the fake libcuda.so.1, and what it has seen.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace noyau::fake_cuda {

/// The calls since the last forget(): "launch 2x1x1 of 256x1x1", "to device 12", "record" ...
std::vector<std::string> calls();
void forget();
/// From now on (until 0) the call named so, e.g. "cuLaunchKernel", gives this status.
void fail(const std::string& call, int status);
/// While held, nothing that is enqueued is said to have run.
void hold(bool held);
/// Bytes that all devices together give at most.
void limit(std::size_t bytes);
/// Blocks that are allocated now.
int live_blocks();

}  // namespace noyau::fake_cuda
