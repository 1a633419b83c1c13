// The public face of devices: finding one by name, the default one, what the doctor says.
// SPDX-License-Identifier: Apache-2.0
#include "core/device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/log.hpp"
#include "core/module.hpp"
#include "noyau/error.hpp"

namespace noyau {

// The key functions of the classes that modules implement: one type_info each, in libnoyau.
Executable::~Executable() = default;
PreparedCall::~PreparedCall() = default;
LibraryRoutine::~LibraryRoutine() = default;
DeviceBackend::~DeviceBackend() = default;

void DeviceBackend::copy_to_host(const std::byte* from, void* to, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
void DeviceBackend::copy_from_host(const void* from, std::byte* to, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
bool DeviceBackend::copy_from_device(DeviceBackend&, const std::byte*, std::byte*, std::size_t) {
  return false;
}

namespace {

thread_local Device scope_device;

/// The text's lines, each behind so many spaces and with an end.
std::string indented(std::string_view text, std::size_t spaces) {
  std::string result;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    result += fmt::format("{:{}}{}\n", "", spaces, line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return result;
}

/// "Devices found: cpu:0, null:0." and why each module that is absent is so.
std::string what_there_is() {
  std::string text = "Devices found:";
  for (const auto& device : all_devices()) text += fmt::format(" {}", device->name());
  if (all_devices().empty()) text += " none";
  text += '.';
  for (const ModuleReport& report : module_reports()) {
    if (report.loaded) continue;
    text += fmt::format("\n  module {} ({}) is not loaded:\n", report.name, report.description);
    for (const std::string& line : report.lines) text += indented(line, 4);
    text.pop_back();
  }
  return text;
}

std::string answer(const std::function<std::string()>& line) {
  try {
    return line();
  } catch (const std::exception& error) {
    return error.what();
  }
}

Device find_default() {
  const std::string wanted = environment::text("NOYAU_DEVICE");
  if (!wanted.empty()) {
    if (DeviceBackend* found = find_device(wanted)) return Device(found);
    throw DeviceError(
        fmt::format("default device: NOYAU_DEVICE asks for \"{}\", which is not there. {}", wanted,
                    what_there_is()));
  }
  if (DeviceBackend* found = find_running_device()) return Device(found);
  throw DeviceError("default device: no device can run kernels. " + what_there_is());
}

}  // namespace

std::string Device::name() const { return backend_ == nullptr ? "none" : backend_->name(); }
std::string Device::description() const {
  return backend_ == nullptr ? "no device" : backend_->description();
}
bool Device::can_run() const { return backend_ != nullptr && backend_->can_run(); }
void Device::synchronize() const {
  if (backend_ != nullptr) backend_->synchronize();
}

std::vector<Device> devices() {
  std::vector<Device> found;
  for (const auto& backend : all_devices()) found.emplace_back(backend.get());
  return found;
}

Device device(const std::string& name) {
  if (DeviceBackend* found = find_device(name)) return Device(found);
  throw DeviceError(fmt::format("device: there is no device \"{}\". {}", name, what_there_is()));
}

Device default_device() {
  if (scope_device) return scope_device;
  static const Device chosen = find_default();
  return chosen;
}

DeviceScope::DeviceScope(Device device) : previous_(scope_device) {
  if (!device) {
    throw DeviceError(
        "DeviceScope: given no device; take one from noyau::device(name) or noyau::devices()");
  }
  scope_device = device;
}
DeviceScope::~DeviceScope() { scope_device = previous_; }

std::string doctor_report() {
  std::string text = fmt::format("build {}\n\ndevices\n", build_id());
  for (const auto& found : all_devices()) {
    text += fmt::format("  {:<8} {}\n", found->name(), found->description());
  }
  if (all_devices().empty()) text += "  none\n";
  text += "\nmodules\n";
  for (const ModuleReport& report : module_reports()) {
    text += fmt::format("  {:<8} {}: {}\n", report.name, report.description,
                        report.loaded ? "loaded" : "absent");
    for (const std::string& line : report.lines) text += indented(line, 13);
    for (const auto& line : report.asked) text += indented(answer(line), 13);
  }
  return text;
}

}  // namespace noyau
