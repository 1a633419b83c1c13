// Registers CLBlast's matmul for OpenCL devices.
// SPDX-License-Identifier: Apache-2.0
#include "core/module.hpp"

#include <clblast.h>
#include <fmt/format.h>

#include "backends/clblast/matmul.hpp"
#include "noyau_build_id.hpp"

extern "C" const char* noyau_module_build_id() { return NOYAU_BUILD_ID; }

extern "C" void noyau_module(noyau::ModuleHost& host) {
  host.report(fmt::format("CLBlast {}.{}.{}, for GPUs: on CPUs generated kernels are faster",
                          CLBLAST_VERSION_MAJOR, CLBLAST_VERSION_MINOR, CLBLAST_VERSION_PATCH));
  host.add_routine("opencl", noyau::clblast::make_matmul());
}
