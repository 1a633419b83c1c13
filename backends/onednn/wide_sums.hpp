// Convolutions with few results from long sums, or of pictures: sums in float64, rounded once.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/onednn/check.hpp"
#include "backends/onednn/common.hpp"
#include "backends/onednn/sequence.hpp"

namespace noyau::onednn {

/// Whether the sums of a convolution are worth float64. Errors of a network's first layer and of
/// layers that gather many channels into few dominate those of its features and gradients, and
/// there is little to compute: twice the time of float32 matters little, and 1x1 windows read and
/// write slices of larger images without a copy. No padding, dilation or groups.
bool has_wide_sums(const Convolution& convolution);

/// Adds the stages that compute y from x, inputs 0 of the call and its output. `weights` is input 1
/// of the call; `turned` exchanges its first two axes (the gradient of a 1x1 window by its input).
void set_wide_sums(const Convolution& convolution, const TensorView& x, const TensorView& weights,
                   bool turned, const TensorView& y, Sequence& sequence);

}  // namespace noyau::onednn
