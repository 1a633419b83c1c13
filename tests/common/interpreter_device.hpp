// A device that runs programs in the interpreter: the same plans and kernels, no code generation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "noyau/device.hpp"

namespace noyau::test {

/// interpreter:0. Not among devices(); arrays are made on it inside a DeviceScope.
Device interpreter_device();
/// remote:0, the same with memory that the host cannot touch: its addresses are not readable.
Device remote_device();

}  // namespace noyau::test
