// The registry of backends and vendor libraries: modules loaded on first use from <libdir>/noyau/.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.hpp"

namespace noyau {

/// What a module gets to register itself with.
class ModuleHost {
 public:
  virtual ~ModuleHost();
  virtual void add_device(std::unique_ptr<DeviceBackend> device) = 0;
  /// Candidates for every device whose name begins with `device_prefix` ("cpu").
  virtual void add_routine(std::string device_prefix, std::unique_ptr<LibraryRoutine> routine) = 0;
  /// One line for the doctor, e.g. "oneDNN 2.6.3".
  virtual void report(std::string line) = 0;
  /// A line that takes trouble to find out: whether a library that was loaded also works. The
  /// doctor alone asks; what `line` throws is shown, too.
  virtual void report_when_asked(std::function<std::string()> line) = 0;
};

/// What a module exports: `extern "C" const char* noyau_module_build_id()` and
/// `extern "C" void noyau_module(noyau::ModuleHost&)`; the latter throws when the module cannot
/// work here.
using ModuleEntry = void (*)(ModuleHost&);

/// How each module fared.
struct ModuleReport {
  std::string name;         ///< "llvm"
  std::string description;  ///< "CPU code generation"
  bool loaded = false;
  std::vector<std::string>
      lines;  ///< paths tried with the loader's words; what the module said of itself
  std::vector<std::function<std::string()>> asked;  ///< lines for the doctor
};
const std::vector<ModuleReport>& module_reports();

/// The routines registered for a device; none with NOYAU_LIBRARIES=0.
std::vector<const LibraryRoutine*> routines_for(const DeviceBackend& device);

/// All devices; loads every module.
const std::vector<std::unique_ptr<DeviceBackend>>& all_devices();
/// The device of that name, or nullptr; loads the modules of its kind alone ("cpu" of "cpu:0").
DeviceBackend* find_device(std::string_view name);
/// The first device that can run, or nullptr; loads modules until there is one.
DeviceBackend* find_running_device();
/// The devices of the modules that are loaded by now.
std::vector<DeviceBackend*> loaded_devices();

/// Which build this is; modules of another build are refused.
const char* build_id();

}  // namespace noyau
