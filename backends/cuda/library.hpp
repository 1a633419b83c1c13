// Shared libraries of NVIDIA's, opened on first use: whichever of several names is there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace noyau::cuda {

/// A library that stays loaded.
struct Library {
  void* handle = nullptr;
  std::string name;                ///< the name under which it was found: "libnvrtc.so.13"
  std::string path;                ///< where that is
  std::string remedy;              ///< what to do when it does not serve
  std::vector<std::string> tried;  ///< the loader's words for what was looked for before

  /// Sets a pointer to the function `symbol`. DeviceError naming library and symbol, then the
  /// remedy.
  template <class Function>
  void find(Function& function, const char* symbol) const {
    function = reinterpret_cast<std::remove_reference_t<Function>>(address_of(symbol));
  }
  void* address_of(const char* symbol) const;
  /// "libnvrtc.so.13 (/usr/local/cuda/lib64/libnvrtc.so.13)", then what was tried before.
  std::string description() const;
};

/// The first of `names` that opens. DeviceError with the loader's words for each, then `remedy`.
Library open_library(std::span<const std::string> names, std::string remedy);

/// Names of files as the loader finds them, then in the folders of the CUDA toolkit: $CUDA_HOME and
/// /usr/local/cuda.
std::vector<std::string> in_toolkit(std::span<const char* const> files);

}  // namespace noyau::cuda
