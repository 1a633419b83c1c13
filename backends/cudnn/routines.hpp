// The routines of this module, each a candidate of the planner.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/device.hpp"

namespace noyau::cudnn {

std::unique_ptr<LibraryRoutine> make_convolution();
std::unique_ptr<LibraryRoutine> make_convolution_input_gradient();
std::unique_ptr<LibraryRoutine> make_convolution_weight_gradient();

}  // namespace noyau::cudnn
