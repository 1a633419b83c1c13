// The words of a refused call.
// SPDX-License-Identifier: Apache-2.0
#include "core/refused_call.hpp"

#include <fmt/format.h>

namespace noyau {

RefusedCall::RefusedCall(std::string_view routine, std::string_view call, std::string_view status)
    : DeviceError(fmt::format(
          "{}: the library refused, when it was launched, {}: {}. From now on another algorithm or "
          "a generated kernel does this: evaluate again what failed of it, or set "
          "NOYAU_LIBRARIES=0 "
          "to do without vendors' libraries",
          routine, call, status)) {}
RefusedCall::~RefusedCall() = default;

}  // namespace noyau
