// Finds and loads the modules, and keeps what they registered.
// SPDX-License-Identifier: Apache-2.0
#include "core/module.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <mutex>
#include <string_view>
#include <utility>

#include "core/log.hpp"
#include "core/repeated_device.hpp"
#include "noyau/error.hpp"
#include "noyau_build_id.hpp"

namespace noyau {

ModuleHost::~ModuleHost() = default;

const char* build_id() { return NOYAU_BUILD_ID; }

namespace {

struct KnownModule {
  const char* name;
  const char* device;  ///< of which devices, "cpu" of "cpu:0"
  const char* description;
};
/// In this order: the first device that can run is the default one. The modules of a kind of device
/// stand together.
constexpr KnownModule known_modules[] = {
    {"llvm", "cpu", "the CPU: kernels compiled by LLVM"},
    {"onednn", "cpu", "the CPU: matmul, convolution and pooling by oneDNN"},
    {"cuda", "cuda", "NVIDIA's GPUs: kernels compiled by NVRTC"},
    {"cublaslt", "cuda", "NVIDIA's GPUs: matmul by cuBLASLt"},
    {"cudnn", "cuda", "NVIDIA's GPUs: convolution by cuDNN"},
    {"opencl", "opencl", "every OpenCL device: kernels compiled by its driver"},
    {"clblast", "opencl", "OpenCL's GPUs: matmul by CLBlast"},
    {"null", "null", "plans and emits for a device that never runs"},
};
constexpr std::size_t module_count = std::size(known_modules);

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
  void report_when_asked(std::function<std::string()> line) override {
    asked.push_back(std::move(line));
  }

  std::vector<std::unique_ptr<DeviceBackend>> devices;
  std::vector<Routine> routines;
  std::vector<std::string> lines;
  std::vector<std::function<std::string()>> asked;
};

/// Modules are loaded when a device of theirs is first asked for. A process that uses one device
/// has no other driver in it.
struct Registry {
  std::mutex mutex;
  bool tried[module_count] = {};
  ModuleReport reports[module_count];
  std::vector<std::unique_ptr<DeviceBackend>> devices[module_count];  ///< until all are loaded
  std::vector<Routine> routines;
  std::vector<std::unique_ptr<DeviceBackend>> all_devices;  ///< filled once, by load_all
  std::vector<ModuleReport> all_reports;
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

std::string_view kind_of(std::string_view device) { return device.substr(0, device.find(':')); }

/// $NOYAU_DEVICES: names of devices; those that stand in it several times are listed that often.
const std::vector<std::string>& listed_devices() {
  static const std::vector<std::string> listed = [] {
    std::vector<std::string> names = environment::names("NOYAU_DEVICES");
    for (const std::string& name : names) {
      const auto same = [&](const KnownModule& m) { return m.device == kind_of(name); };
      if (std::none_of(std::begin(known_modules), std::end(known_modules), same)) {
        throw ValueError(fmt::format(
            "[environment] NOYAU_DEVICES names \"{}\": there are no devices of that kind; "
            "`noyau devices` lists those that there are",
            name));
      }
    }
    return names;
  }();
  return listed;
}

/// Adds the devices of one kind that are to be listed again, under the next free numbers.
void repeat_devices(std::vector<std::unique_ptr<DeviceBackend>>& devices) {
  const std::vector<std::string>& listed = listed_devices();
  const std::size_t found = devices.size();
  for (std::size_t k = 0; k < found; ++k) {
    DeviceBackend& device = *devices[k];
    const auto times = std::count(listed.begin(), listed.end(), device.name());
    for (std::ptrdiff_t again = 1; again < times; ++again) {
      std::string name = fmt::format("{}:{}", kind_of(device.name()), devices.size());
      devices.push_back(std::make_unique<RepeatedDevice>(device, std::move(name)));
    }
  }
}

void load(Registry& registry, std::size_t number) {
  const KnownModule& module = known_modules[number];
  ModuleReport& report = registry.reports[number];
  report = {module.name, module.description, false, {}, {}};
  for (const std::string& folder : module_folders()) {
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
    report.asked = std::move(host.asked);
    registry.devices[number] = std::move(host.devices);
    repeat_devices(registry.devices[number]);
    for (auto& routine : host.routines) registry.routines.push_back(std::move(routine));
    break;
  }
  logging::write(1, fmt::format("module {}: {}", report.name,
                                report.loaded ? "loaded" : "not loaded: " + report.lines.back()));
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
Registry& registry() {
  static Registry* const made = [] {
    prepare_openmp();
    return new Registry;
  }();
  return *made;
}

/// The first device of all that are loaded for which `wanted` holds.
template <class Wanted>
DeviceBackend* find_loaded(const Registry& r, Wanted wanted) {
  for (const auto& device : r.all_devices) {
    if (wanted(*device)) return device.get();
  }
  for (const auto& devices : r.devices) {
    for (const auto& device : devices) {
      if (wanted(*device)) return device.get();
    }
  }
  return nullptr;
}

/// Loads the modules of one kind of device, once.
void load_kind(Registry& r, std::string_view kind) {
  const std::vector<std::string>& listed = listed_devices();
  for (std::size_t k = 0; k < module_count; ++k) {
    if (kind != known_modules[k].device || std::exchange(r.tried[k], true)) continue;
    load(r, k);
  }
  for (const std::string& name : listed) {
    if (kind_of(name) != kind) continue;
    if (find_loaded(r, [&](const DeviceBackend& d) { return d.name() == name; }) == nullptr) {
      throw DeviceError(fmt::format(
          "NOYAU_DEVICES names \"{}\", which is not there: `noyau doctor` says which are and why "
          "the rest is not, once the variable is unset",
          name));
    }
  }
}

/// Devices in the order of the modules, those that cannot run last.
void load_all(Registry& r) {
  const std::lock_guard lock(r.mutex);
  if (!r.all_reports.empty()) return;
  for (const KnownModule& module : known_modules) load_kind(r, module.device);
  std::vector<std::unique_ptr<DeviceBackend>> all;
  for (auto& devices : r.devices) {
    for (auto& device : devices) all.push_back(std::move(device));
    devices.clear();
  }
  std::stable_partition(all.begin(), all.end(),
                        [](const auto& device) { return device->can_run(); });
  r.all_devices = std::move(all);
  r.all_reports.assign(std::begin(r.reports), std::end(r.reports));
}

}  // namespace

const std::vector<ModuleReport>& module_reports() {
  load_all(registry());
  return registry().all_reports;
}

std::vector<const LibraryRoutine*> routines_for(const DeviceBackend& device) {
  static const bool used = environment::number("NOYAU_LIBRARIES", 1, 0, 1) != 0;
  if (!used) return {};
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  const std::string name = device.name();
  std::vector<const LibraryRoutine*> found;
  for (const Routine& routine : r.routines) {
    if (name.starts_with(routine.device_prefix)) found.push_back(routine.routine.get());
  }
  return found;
}

const std::vector<std::unique_ptr<DeviceBackend>>& all_devices() {
  load_all(registry());
  return registry().all_devices;
}

DeviceBackend* find_device(std::string_view name) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  load_kind(r, kind_of(name));
  return find_loaded(r, [&](const DeviceBackend& device) { return device.name() == name; });
}

DeviceBackend* find_running_device() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  for (const KnownModule& module : known_modules) {
    load_kind(r, module.device);
    const auto runs = [](const DeviceBackend& device) { return device.can_run(); };
    if (DeviceBackend* found = find_loaded(r, runs)) return found;
  }
  return nullptr;
}

std::vector<DeviceBackend*> loaded_devices() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  std::vector<DeviceBackend*> found;
  find_loaded(r, [&](DeviceBackend& device) {
    found.push_back(&device);
    return false;
  });
  return found;
}

}  // namespace noyau
