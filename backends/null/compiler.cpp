// The languages of null devices: the text, and limits of a device that would run it.
// SPDX-License-Identifier: Apache-2.0
#include "backends/null/compiler.hpp"

#include <fmt/format.h>

#include "jit/emit_c.hpp"
#include "noyau/error.hpp"

namespace noyau::null {
namespace {

void gpu_limits(DeviceLimits& limits) {
  limits.compute_units = 108;
  limits.fast_memory_bytes = 48 << 10;
  limits.cache_bytes = 40 << 20;
  limits.memory_bytes = std::int64_t{40} << 30;
  limits.vector_bytes = 16;
  limits.block_threads = 256;
  limits.argument_bytes = 4096;
  limits.host_memory = false;
}

constexpr Language languages[] = {
    {"program", "programs", [](const jit::Program& p) { return jit::print(p); },
     [](DeviceLimits&) {}},
    {"cuda", "CUDA C++",
     [](const jit::Program& p) { return jit::emit_c(p, jit::cuda_dialect(), {}).text; },
     gpu_limits},
    {"opencl", "OpenCL C",
     [](const jit::Program& p) { return jit::emit_c(p, jit::opencl_dialect(), {}).text; },
     [](DeviceLimits& limits) {
       gpu_limits(limits);
       limits.gangs = false;
       limits.argument_bytes = 1024;  // what OpenCL 1.2 promises
     }},
};

}  // namespace

const Language& language(std::string_view name) {
  for (const Language& known : languages) {
    if (known.name == name) return known;
  }
  throw ValueError(fmt::format(
      "NOYAU_NULL_DEVICES asks for \"{}\": a null device prints program, cuda or opencl", name));
}

}  // namespace noyau::null
