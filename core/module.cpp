// Finds and loads the modules, and keeps what they registered.
// SPDX-License-Identifier: Apache-2.0
#include "core/module.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <utility>

#include "core/log.hpp"
#include "noyau_build_id.hpp"

namespace noyau {

ModuleHost::~ModuleHost() = default;

const char* build_id() { return NOYAU_BUILD_ID; }

namespace {

struct KnownModule {
  const char* name;
  const char* description;
};
/// In this order: the first device that can run is the default one.
constexpr KnownModule known_modules[] = {
    {"llvm", "the CPU: kernels compiled by LLVM"},
    {"onednn", "the CPU: matmul, convolution and pooling by oneDNN"},
    {"cuda", "NVIDIA's GPUs: kernels compiled by NVRTC"},
    {"opencl", "every OpenCL device: kernels compiled by its driver"},
    {"null", "plans and emits for a device that never runs"},
};

struct Routine {
  std::string device_prefix;
  std::unique_ptr<LibraryRoutine> routine;
};

/// What one module says while it loads; kept only when it finishes.
class Host final : public ModuleHost {
 public:
  void add_device(std::unique_ptr<DeviceBackend> device) override {
    devices.push_back(std::move(device));
  }
  void add_routine(std::string device_prefix, std::unique_ptr<LibraryRoutine> routine) override {
    routines.push_back({std::move(device_prefix), std::move(routine)});
  }
  void report(std::string line) override { lines.push_back(std::move(line)); }

  std::vector<std::unique_ptr<DeviceBackend>> devices;
  std::vector<Routine> routines;
  std::vector<std::string> lines;
};

struct Registry {
  std::vector<std::unique_ptr<DeviceBackend>> devices;
  std::vector<Routine> routines;
  std::vector<ModuleReport> reports;
};

/// $NOYAU_MODULE_PATH's folders, then noyau/ beside libnoyau itself, wherever it was moved to.
std::vector<std::string> module_folders() {
  std::vector<std::string> folders;
  const std::string path = environment::text("NOYAU_MODULE_PATH");
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    if (end > begin) folders.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&build_id), &info) != 0 && info.dli_fname != nullptr) {
    const std::string library = info.dli_fname;
    const std::size_t slash = library.rfind('/');
    folders.push_back((slash == std::string::npos ? "." : library.substr(0, slash)) + "/noyau");
  }
  return folders;
}

/// Calls the module's entry; says in `lines` why not when it does not work here.
bool enter(void* handle, const std::string& file, Host& host, std::vector<std::string>& lines) {
  using BuildId = const char* (*)();
  const auto id = reinterpret_cast<BuildId>(dlsym(handle, "noyau_module_build_id"));
  const auto entry = reinterpret_cast<ModuleEntry>(dlsym(handle, "noyau_module"));
  if (id == nullptr || entry == nullptr) {
    lines.push_back(fmt::format("{}: is not a module of Noyau", file));
    return false;
  }
  if (std::string_view(id()) != build_id()) {
    lines.push_back(
        fmt::format("{}: is of another build ({}, the library is {}); install both from one build",
                    file, id(), build_id()));
    return false;
  }
  try {
    entry(host);
    return true;
  } catch (const std::exception& error) {
    lines.push_back(fmt::format("{}: {}", file, error.what()));
  } catch (...) {
    lines.push_back(fmt::format("{}: failed for an unknown reason", file));
  }
  return false;
}

ModuleReport load(const KnownModule& module, const std::vector<std::string>& folders,
                  Registry& registry) {
  ModuleReport report{module.name, module.description, false, {}};
  for (const std::string& folder : folders) {
    const std::string file = fmt::format("{}/noyau_{}.so", folder, module.name);
    // Never closed: drivers and code generators keep threads and thread-local state.
    void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* words = dlerror();
      report.lines.push_back(words == nullptr ? file : std::string(words));
      continue;
    }
    Host host;
    if (!enter(handle, file, host, report.lines)) continue;
    report.loaded = true;
    report.lines.push_back(file);
    for (auto& line : host.lines) report.lines.push_back(std::move(line));
    for (auto& device : host.devices) registry.devices.push_back(std::move(device));
    for (auto& routine : host.routines) registry.routines.push_back(std::move(routine));
    break;
  }
  return report;
}

/// Modules share one OpenMP team. Its library reads these once, when the first module brings it in:
/// stacks large enough for a compiler, and workers that spin for some 100 us, not for milliseconds.
void prepare_openmp() {
  constexpr int keep = 0;
  setenv("OMP_STACKSIZE", "8M", keep);
  setenv("GOMP_SPINCOUNT", "4000", keep);
  const std::string threads = environment::text("NOYAU_THREADS");
  if (!threads.empty()) setenv("OMP_NUM_THREADS", threads.c_str(), keep);
}

/// Leaked on purpose: arrays of static storage outlive every destructor.
const Registry& registry() {
  static const Registry* const loaded = [] {
    auto* made = new Registry;
    const std::vector<std::string> folders = module_folders();
    prepare_openmp();
    for (const KnownModule& module : known_modules) {
      made->reports.push_back(load(module, folders, *made));
      const ModuleReport& report = made->reports.back();
      logging::write(1,
                     fmt::format("module {}: {}", report.name,
                                 report.loaded ? "loaded" : "not loaded: " + report.lines.back()));
    }
    std::stable_partition(made->devices.begin(), made->devices.end(),
                          [](const auto& device) { return device->can_run(); });
    return made;
  }();
  return *loaded;
}

}  // namespace

const std::vector<ModuleReport>& module_reports() { return registry().reports; }

std::vector<const LibraryRoutine*> routines_for(const DeviceBackend& device) {
  const std::string name = device.name();
  std::vector<const LibraryRoutine*> found;
  for (const Routine& routine : registry().routines) {
    if (name.starts_with(routine.device_prefix)) found.push_back(routine.routine.get());
  }
  return found;
}

const std::vector<std::unique_ptr<DeviceBackend>>& all_devices() { return registry().devices; }

}  // namespace noyau
