// Shared libraries of NVIDIA's, opened on first use: whichever of several names is there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

namespace noyau::cuda {

/// A library that stays loaded.
struct Library {
  void* handle = nullptr;
  std::string name;  ///< the name under which it was found
};

/// The first of `names` that opens. DeviceError with the loader's words for each, then `remedy`.
Library open_library(std::span<const std::string> names, const std::string& remedy);

/// DeviceError naming library and symbol, then `remedy`.
void* find_symbol(const Library& library, const char* symbol, const std::string& remedy);

}  // namespace noyau::cuda
