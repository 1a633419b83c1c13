// The functions of NVRTC, CUDA's run-time compiler, found in libnvrtc when it is there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace noyau::cuda {

using NvrtcProgram = struct NvrtcProgramHandle*;
inline constexpr int nvrtc_invalid_option = 5;

/// Each member is the function `nvrtc` + its name; 0 means success.
struct Nvrtc {
  int (*version)(int* major, int* minor);
  const char* (*get_error_string)(int status);
  int (*get_num_supported_archs)(int* count);
  int (*get_supported_archs)(int* archs);
  int (*create_program)(NvrtcProgram*, const char* text, const char* name, int headers,
                        const char* const* header_texts, const char* const* header_names);
  int (*destroy_program)(NvrtcProgram*);
  int (*compile_program)(NvrtcProgram, int count, const char* const* options);
  int (*get_program_log_size)(NvrtcProgram, std::size_t*);
  int (*get_program_log)(NvrtcProgram, char*);
  int (*get_ptx_size)(NvrtcProgram, std::size_t*);
  int (*get_ptx)(NvrtcProgram, char*);
  int (*get_cubin_size)(NvrtcProgram, std::size_t*);
  int (*get_cubin)(NvrtcProgram, char*);

  std::string file;            ///< "libnvrtc.so.13"
  std::string description;     ///< with its path
  int number = 0;              ///< 1000 * major + 10 * minor, as the driver's version
  std::vector<int> supported;  ///< architectures, 10 * major + minor, ascending
};

/// Loads it once. DeviceError that says what is wrong.
const Nvrtc& nvrtc();

}  // namespace noyau::cuda
