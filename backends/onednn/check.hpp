// What the three convolution routines check alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "backends/onednn/common.hpp"
#include "core/device.hpp"

namespace noyau::onednn {

/// The convolution that a call of this kind asks for, when its arrays are float32, ordinary (no
/// zero or negative strides), of shapes that fit and below 2 GiB each: kernels of oneDNN 2.6 use
/// 32-bit byte offsets.
std::optional<Convolution> check_convolution(const LibraryCall& call, LibraryCall::Kind kind);
/// The weights of a call as they lie, with an axis of groups when there are several.
Layout weights_layout(const TensorView& weights, const Convolution& convolution);

}  // namespace noyau::onednn
