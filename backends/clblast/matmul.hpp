// Matrix products by CLBlast, a candidate of the planner on OpenCL's GPUs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/device.hpp"

namespace noyau::clblast {

std::unique_ptr<LibraryRoutine> make_matmul();

}  // namespace noyau::clblast
