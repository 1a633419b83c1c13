// The choice of architecture, a pure function, and the options.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/architecture.hpp"

#include <fmt/format.h>

#include "noyau/error.hpp"

namespace noyau::cuda {
namespace {

std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

constexpr const char* options[] = {"--fmad=false", "--prec-div=true", "--prec-sqrt=true",
                                   "--ftz=false",  "--std=c++17",     "--minimal"};

}  // namespace

std::span<const char* const> compile_options() { return options; }

Architecture choose_architecture(int capability, std::span<const int> supported, int nvrtc_version,
                                 int driver_version) {
  int below = 0;  // the latest that the device can run or translate
  for (const int a : supported) {
    if (a <= capability) below = a;
  }
  if (below == 0) {
    throw DeviceError(fmt::format(
        "the device has compute capability {}.{}, which NVRTC {} no longer compiles for; use NVRTC "
        "of an older CUDA",
        capability / 10, capability % 10, version(nvrtc_version)));
  }
  if (below / 10 == capability / 10) {
    if (driver_version / 1000 >= nvrtc_version / 1000) return {true, below};
    throw DeviceError(fmt::format(
        "the driver is for CUDA {} and cannot load what NVRTC {} makes; install a newer driver, or "
        "NVRTC of CUDA {}",
        version(driver_version), version(nvrtc_version), driver_version / 1000));
  }
  if (driver_version >= nvrtc_version) return {false, below};
  throw DeviceError(fmt::format(
      "NVRTC {} does not know compute capability {}.{}, and the driver, for CUDA {}, cannot "
      "translate its PTX; install a newer NVRTC or a newer driver",
      version(nvrtc_version), capability / 10, capability % 10, version(driver_version)));
}

}  // namespace noyau::cuda
