// Registers cuDNN's convolutions for CUDA devices.
// SPDX-License-Identifier: Apache-2.0
#include "core/module.hpp"

#include <utility>

#include "backends/cuda/driver.hpp"
#include "backends/cudnn/convolution.hpp"
#include "backends/cudnn/functions.hpp"
#include "noyau_build_id.hpp"

extern "C" const char* noyau_module_build_id() { return NOYAU_BUILD_ID; }

extern "C" void noyau_module(noyau::ModuleHost& host) {
  using namespace noyau::cudnn;
  host.report(functions().description);
  for (auto& routine : make_convolutions()) host.add_routine("cuda", std::move(routine));
  host.report_when_asked([] {
    const noyau::cuda::PrimaryContext first("cuda:0", noyau::cuda::first_device());
    const HandleScope handle(first.get());
    return std::string("works on cuda:0");
  });
}
