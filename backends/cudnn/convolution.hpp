// Convolutions by cuDNN, each a candidate of the planner.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "core/device.hpp"

namespace noyau::cudnn {

/// Forward, and its gradients for the images and for the weights.
std::vector<std::unique_ptr<LibraryRoutine>> make_convolutions();

}  // namespace noyau::cudnn
