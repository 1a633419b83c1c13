// Waiting by looking: only on paths that are rare and slow anyway (trim, foreign memory).
// SPDX-License-Identifier: Apache-2.0
#include "core/wait.hpp"

#include <chrono>
#include <exception>
#include <thread>

#include "core/device.hpp"
#include "core/log.hpp"

namespace noyau {

void wait_until_done(const DeviceBackend& device, std::uint64_t ticket) {
  using namespace std::chrono_literals;
  for (int look = 0; !device.done(ticket); ++look) {
    if (look < 100) std::this_thread::yield();
    else std::this_thread::sleep_for(look < 1000 ? 20us : 500us);
  }
}

void wait_until_idle(DeviceBackend& device) noexcept {
  if (!device.can_run()) return;
  try {
    wait_until_done(device, device.submit({}));  // queues run in order
  } catch (const std::exception&) {
    try {
      device.synchronize();
    } catch (const std::exception&) {
      // A device that can neither take work nor wait has none running.
    }
  }
}

}  // namespace noyau
