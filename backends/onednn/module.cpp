// Registers oneDNN's routines for the CPU.
// SPDX-License-Identifier: Apache-2.0
#include "core/module.hpp"

#include <fmt/format.h>

#include "backends/onednn/common.hpp"
#include "backends/onednn/routines.hpp"
#include "noyau_build_id.hpp"

extern "C" const char* noyau_module_build_id() { return NOYAU_BUILD_ID; }

extern "C" void noyau_module(noyau::ModuleHost& host) {
  using namespace noyau::onednn;
  translate_errors("onednn", [] { engine(); });
  host.add_routine("cpu", make_matmul());
  host.add_routine("cpu", make_convolution());
  host.add_routine("cpu", make_convolution_input_gradient());
  host.add_routine("cpu", make_convolution_weight_gradient());
  host.report(fmt::format("oneDNN {}", library_version()));
}
