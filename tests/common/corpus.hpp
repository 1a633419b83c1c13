// Kernels of every kind, for the tests of emitted text: hand-written, of each instruction,
// generated, and what plans make of random programs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "core/device.hpp"
#include "jit/program.hpp"
#include "tests/common/program_cases.hpp"

namespace noyau::test {

/// Every launch of tests/common/program_cases.hpp, and the hand-written ones.
void visit_all_cases(const jit::testing::Visit& visit);

using VisitProgram = std::function<void(const jit::Program&)>;
/// The programs of generated kernels, and of the plans of random programs and of schedule_cases on
/// a device with these limits; without launches.
void visit_planned_programs(const DeviceLimits& limits, const VisitProgram& visit);

}  // namespace noyau::test
