// Copies and fills by a device's own queue: the probe of devices whose memory is not the host's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/cases.hpp"
#include "core/device.hpp"

namespace bench {

/// A copy or a fill of so many float32 elements as the only step.
Run queue_case(noyau::LaunchStep::Kind kind, std::int64_t elements);

/// Milliseconds that the default device takes to move `bytes`, read and written counted, at the
/// rate of its copies of 2^28 elements: or fewer, where its memory has no room, and where the cases
/// are tiny (`elements`).
double device_limit_ms(double bytes, std::int64_t elements);

}  // namespace bench
