// Probes: what this machine can do at best, measured in the same process as the cases.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace bench {

enum class Probe { triad, copy, read, fma };

/// Seconds of one pass, the best of a few, over 2^24 float32 elements with `threads` threads; fma:
/// seconds of 2^33 flops. Triad and copy store past the cache.
double probe_seconds(Probe probe, int threads);

/// Milliseconds that `amount` bytes (or flops) take at the probe's rate.
double limit_ms(Probe probe, double amount, int threads);

}  // namespace bench
