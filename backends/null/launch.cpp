// The queue of a null device.
// SPDX-License-Identifier: Apache-2.0
#include "backends/null/launch.hpp"

#include <fmt/format.h>

#include "noyau/error.hpp"

namespace noyau::null {

void refuse(std::string_view device) {
  throw DeviceError(
      fmt::format("submit: {}: null devices plan and never run; move the arrays to another device "
                  "with .to(noyau::device(name))",
                  device));
}

}  // namespace noyau::null
