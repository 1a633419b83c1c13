// A device that runs programs in the interpreter: the same plans and kernels, no code generation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "jit/program.hpp"
#include "noyau/device.hpp"
#include "tests/common/program_cases.hpp"

namespace noyau::test {

/// interpreter:0. Not among devices(); arrays are made on it inside a DeviceScope.
Device interpreter_device();
/// remote:0, the same with memory that the host cannot touch: its addresses are not readable.
Device remote_device();
/// The same, with the schedules of a device whose blocks have many threads. So many: 64 or 256.
Device blocks_device(int threads);

/// Shows every launch of such devices before it runs, while it lives: one at a time.
class LaunchWatch {
 public:
  explicit LaunchWatch(jit::testing::Visit visit);
  ~LaunchWatch();
  LaunchWatch(const LaunchWatch&) = delete;
  LaunchWatch& operator=(const LaunchWatch&) = delete;
};

}  // namespace noyau::test
