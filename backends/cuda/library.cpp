// Opening libraries, with the loader's words when that fails.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include "core/log.hpp"
#include "noyau/error.hpp"

namespace noyau::cuda {

void* Library::address_of(const char* symbol) const {
  void* found = dlsym(handle, symbol);
  if (found != nullptr) return found;
  throw DeviceError(fmt::format("{} has no function {}; {}", name, symbol, remedy));
}

std::string Library::description() const {
  std::string text = path.empty() || path == name ? name : fmt::format("{} ({})", name, path);
  for (const std::string& words : tried) text += fmt::format("; before it: {}", words);
  return text;
}

Library open_library(std::span<const std::string> names, std::string remedy) {
  Library library;
  for (const std::string& name : names) {
    library.handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library.handle == nullptr) {
      const char* reason = dlerror();
      library.tried.emplace_back(reason == nullptr ? name : reason);
      continue;
    }
    library.name = name;
    library.remedy = std::move(remedy);
    link_map* map = nullptr;
    if (dlinfo(library.handle, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr)
      library.path = map->l_name;
    return library;
  }
  throw DeviceError(fmt::format("{} does not load; {}:\n    {}", names.front(), remedy,
                                fmt::join(library.tried, "\n    ")));
}

std::vector<std::string> in_toolkit(std::span<const char* const> files) {
  std::vector<std::string> all(files.begin(), files.end());
  const std::string home = environment::text("CUDA_HOME");
  for (const std::string& toolkit : {home, std::string("/usr/local/cuda")}) {
    if (toolkit.empty()) continue;
    for (const char* folder : {"lib64", "lib"}) {
      for (const char* file : files) all.push_back(fmt::format("{}/{}/{}", toolkit, folder, file));
    }
  }
  return all;
}

}  // namespace noyau::cuda
