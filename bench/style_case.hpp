// The cases that need more than the public headers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/cases.hpp"

namespace bench {

/// Loss and gradient of style transfer of a square picture, with seeded random weights: SqueezeNet
/// to fire7.
Run squeeze_case(std::int64_t side);
/// VGG-19 (Simonyan, Zisserman 2014) to relu5_1.
Run vgg_case(std::int64_t side);

/// 2048 x 2048 pixels, 256 iterations at most; its yardstick is a scalar loop on as many threads.
Run mandelbrot_case();
/// A kernel of twenty operations that is on disk and not in memory: from asked for to callable.
Run disk_hit_case();
/// The same in processes that have just begun: the first kernel of each, or the median of the next
/// twenty.
Run disk_process_case(bool first);
/// What 21 kernels take here, each after the other.
std::vector<double> disk_kernels_ms();

/// Milliseconds to compile and run a kernel with nothing in it but a load and a store, never seen
/// before.
double empty_kernel_ms(unsigned number);

}  // namespace bench
