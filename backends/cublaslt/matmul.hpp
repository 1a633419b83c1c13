// The routine of this module, a candidate of the planner.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/device.hpp"

namespace noyau::cublaslt {

std::unique_ptr<LibraryRoutine> make_matmul();

}  // namespace noyau::cublaslt
