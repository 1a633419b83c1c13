// Devices: what there is, and which one new arrays are made on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace noyau {

class DeviceBackend;

/// A handle to one device of this process, such as cpu:0. Cheap to copy, equal when it is the same
/// device.
class Device {
 public:
  Device() = default;
  explicit Device(DeviceBackend* backend) : backend_(backend) {}
  std::string name() const;         ///< "cpu:0"
  std::string description() const;  ///< one line: the model, its cores, its memory
  bool can_run() const;             ///< false for a device that plans and never runs (null:0)
  void synchronize()
      const;  ///< waits until everything submitted to it has run; throws what failed there
  DeviceBackend& backend() const { return *backend_; }
  explicit operator bool() const { return backend_ != nullptr; }
  bool operator==(const Device&) const = default;

 private:
  DeviceBackend* backend_ = nullptr;
};

/// Every device found, those that can run first.
std::vector<Device> devices();
/// The device of that name. DeviceError lists what was found, and why the rest was not.
Device device(const std::string& name);
/// The device of new arrays in this thread: the innermost DeviceScope's, else $NOYAU_DEVICE's, else
/// the first that runs.
Device default_device();

/// Makes `device` the default of this thread while it lives. Read when an array is made.
class DeviceScope {
 public:
  explicit DeviceScope(Device device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  Device previous_;
};

/// What `noyau doctor` prints: every backend and library looked for, where, its version or the
/// loader's words.
std::string doctor_report();

}  // namespace noyau
