// The queue of a null device, which takes nothing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace noyau::null {

/// DeviceError, always.
[[noreturn]] void refuse(std::string_view device);

}  // namespace noyau::null
