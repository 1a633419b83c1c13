// Registers cuBLASLt's matmul for CUDA devices.
// SPDX-License-Identifier: Apache-2.0
#include "core/module.hpp"

#include "backends/cublaslt/functions.hpp"
#include "backends/cublaslt/matmul.hpp"
#include "backends/cuda/driver.hpp"
#include "noyau_build_id.hpp"

extern "C" const char* noyau_module_build_id() { return NOYAU_BUILD_ID; }

extern "C" void noyau_module(noyau::ModuleHost& host) {
  using namespace noyau::cublaslt;
  host.report(functions().description);
  host.add_routine("cuda", make_matmul());
  host.report_when_asked([] {
    const noyau::cuda::PrimaryContext first("cuda:0", noyau::cuda::first_device());
    handle_of(first.get());
    return std::string("works on cuda:0");
  });
}
