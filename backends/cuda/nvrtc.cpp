// Finding NVRTC: by the loader's ways, then in the toolkit's folder.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/nvrtc.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "backends/cuda/library.hpp"
#include "noyau/error.hpp"

namespace noyau::cuda {
namespace {

constexpr const char* remedy =
    "install NVRTC of CUDA 12 or 13 (of the CUDA toolkit, or the package cuda-nvrtc), and put its "
    "folder on LD_LIBRARY_PATH or name the toolkit's in CUDA_HOME";

Nvrtc load() {
  constexpr const char* files[] = {"libnvrtc.so.13", "libnvrtc.so.12"};
  const Library library = open_library(in_toolkit(files), remedy);
  Nvrtc n;
  n.file = library.name;
  n.description = library.description();
  library.find(n.version, "nvrtcVersion");
  library.find(n.get_error_string, "nvrtcGetErrorString");
  library.find(n.get_num_supported_archs, "nvrtcGetNumSupportedArchs");
  library.find(n.get_supported_archs, "nvrtcGetSupportedArchs");
  library.find(n.create_program, "nvrtcCreateProgram");
  library.find(n.destroy_program, "nvrtcDestroyProgram");
  library.find(n.compile_program, "nvrtcCompileProgram");
  library.find(n.get_program_log_size, "nvrtcGetProgramLogSize");
  library.find(n.get_program_log, "nvrtcGetProgramLog");
  library.find(n.get_ptx_size, "nvrtcGetPTXSize");
  library.find(n.get_ptx, "nvrtcGetPTX");
  library.find(n.get_cubin_size, "nvrtcGetCUBINSize");
  library.find(n.get_cubin, "nvrtcGetCUBIN");

  int major = 0, minor = 0, count = 0;
  bool answers = n.version(&major, &minor) == 0 && n.get_num_supported_archs(&count) == 0;
  n.number = 1000 * major + 10 * minor;
  n.supported.resize(static_cast<std::size_t>(std::max(count, 0)));
  answers = answers && n.get_supported_archs(n.supported.data()) == 0;
  if (!answers) throw DeviceError(fmt::format("{} does not say what it supports", n.file));
  if (major < 12) {
    throw DeviceError(fmt::format("{} is NVRTC {}.{}, which is too old; {}", n.description, major,
                                  minor, remedy));
  }
  std::sort(n.supported.begin(), n.supported.end());
  return n;
}

}  // namespace

const Nvrtc& nvrtc() {
  static const Nvrtc& loaded = *new Nvrtc(load());
  return loaded;
}

}  // namespace noyau::cuda
