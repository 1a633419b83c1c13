// Finding NVRTC: by the loader's ways, then in the toolkit's folder.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/nvrtc.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "backends/cuda/library.hpp"
#include "core/log.hpp"
#include "noyau/error.hpp"

namespace noyau::cuda {
namespace {

constexpr const char* remedy =
    "install NVRTC of CUDA 12 or 13 (of the CUDA toolkit, or the package cuda-nvrtc), and put its "
    "folder on LD_LIBRARY_PATH or name the toolkit's in CUDA_HOME";

std::vector<std::string> names() {
  const char* const files[] = {"libnvrtc.so.13", "libnvrtc.so.12"};
  std::vector<std::string> all(std::begin(files), std::end(files));
  const std::string home = environment::text("CUDA_HOME");
  for (const std::string& toolkit : {home, std::string("/usr/local/cuda")}) {
    if (toolkit.empty()) continue;
    for (const char* file : files) all.push_back(fmt::format("{}/lib64/{}", toolkit, file));
  }
  return all;
}

Nvrtc load() {
  const Library library = open_library(names(), remedy);
  Nvrtc n;
  n.file = library.name;
  const auto find = [&](auto& function, const char* symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
        find_symbol(library, symbol, remedy));
  };
  find(n.version, "nvrtcVersion");
  find(n.get_error_string, "nvrtcGetErrorString");
  find(n.get_num_supported_archs, "nvrtcGetNumSupportedArchs");
  find(n.get_supported_archs, "nvrtcGetSupportedArchs");
  find(n.create_program, "nvrtcCreateProgram");
  find(n.destroy_program, "nvrtcDestroyProgram");
  find(n.compile_program, "nvrtcCompileProgram");
  find(n.get_program_log_size, "nvrtcGetProgramLogSize");
  find(n.get_program_log, "nvrtcGetProgramLog");
  find(n.get_ptx_size, "nvrtcGetPTXSize");
  find(n.get_ptx, "nvrtcGetPTX");
  find(n.get_cubin_size, "nvrtcGetCUBINSize");
  find(n.get_cubin, "nvrtcGetCUBIN");

  int major = 0, minor = 0, count = 0;
  bool answers = n.version(&major, &minor) == 0 && n.get_num_supported_archs(&count) == 0;
  n.number = 1000 * major + 10 * minor;
  n.supported.resize(static_cast<std::size_t>(std::max(count, 0)));
  answers = answers && n.get_supported_archs(n.supported.data()) == 0;
  if (!answers) throw DeviceError(fmt::format("{} does not say what it supports", n.file));
  std::sort(n.supported.begin(), n.supported.end());
  return n;
}

}  // namespace

const Nvrtc& nvrtc() {
  static const Nvrtc& loaded = *new Nvrtc(load());
  return loaded;
}

}  // namespace noyau::cuda
