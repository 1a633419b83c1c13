// Opening libraries, with the loader's words when that fails.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include "noyau/error.hpp"

namespace noyau::cuda {

Library open_library(std::span<const std::string> names, const std::string& remedy) {
  std::string words;
  for (const std::string& name : names) {
    if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return {handle, name};
    const char* reason = dlerror();
    words += fmt::format("\n    {}", reason == nullptr ? name : reason);
  }
  throw DeviceError(fmt::format("{} does not load; {}:{}", names.front(), remedy, words));
}

void* find_symbol(const Library& library, const char* symbol, const std::string& remedy) {
  void* found = dlsym(library.handle, symbol);
  if (found != nullptr) return found;
  throw DeviceError(fmt::format("{} has no function {}; {}", library.name, symbol, remedy));
}

}  // namespace noyau::cuda
