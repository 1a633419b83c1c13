// Which code a device gets: machine code for its architecture, or PTX that its driver finishes; and
// the options that it is compiled with.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

namespace noyau::cuda {

/// What NVRTC is asked for. Architectures are 10 * major + minor.
struct Architecture {
  bool machine_code = true;  ///< a cubin; else PTX
  int number = 0;            ///< 90
  std::string name() const { return (machine_code ? "sm_" : "compute_") + std::to_string(number); }
  bool operator==(const Architecture&) const = default;
};

/// For a device of `capability`, an NVRTC of version `nvrtc_version` that supports the
/// architectures `supported` (ascending), and a driver for CUDA of `driver_version` (both 1000 *
/// major + 10 * minor). Machine code runs on its architecture and on later ones of the same major
/// number, under a driver of the same major version or a later one; PTX runs on all later
/// architectures, under a driver that is not older than NVRTC. DeviceError when there is no way.
Architecture choose_architecture(int capability, std::span<const int> supported, int nvrtc_version,
                                 int driver_version);

/// The options that every kernel is compiled with, besides the architecture: no contraction,
/// correct rounding, denormals. The last leaves out what kernels without headers do not use; old
/// NVRTCs do not know it, and do without.
std::span<const char* const> compile_options();

}  // namespace noyau::cuda
