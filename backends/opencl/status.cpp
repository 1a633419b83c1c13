// One row a status that drivers give: its name, what it is about, what to do.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/status.hpp"

#include <fmt/format.h>

#include "noyau/error.hpp"

namespace noyau::opencl {
namespace {

struct Known {
  cl_int status;
  const char* name;
  bool memory = false;       ///< there is none left
  const char* meaning = "";  ///< and the remedy
};

constexpr const char* lost =
    "the device is lost, often because of a kernel that ran too long or read outside of its "
    "memory; this process cannot use it any more, start another";
constexpr const char* full =
    "the device has no memory left; let go of arrays or work in smaller pieces";

constexpr Known known[] = {
    {CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND", false,
     "the platform has no device; is the hardware there, and may this user open it?"},
    {CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE", false, lost},
    {CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE", false,
     "the driver has no compiler; install all of the driver, not its runtime alone"},
    {CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE", true, full},
    {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES", true,
     "the device has no memory, registers or local memory left for this; or a kernel read outside "
     "of its memory, and then everything fails until another process is started"},
    {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY", true,
     "the driver got no memory from the host; end something or work in smaller pieces"},
    {CL_PROFILING_INFO_NOT_AVAILABLE, "CL_PROFILING_INFO_NOT_AVAILABLE"},
    {CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE"},
    {CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
     false, "something that was queued before has failed"},
    {CL_INVALID_VALUE, "CL_INVALID_VALUE"},
    {CL_INVALID_CONTEXT, "CL_INVALID_CONTEXT", false, lost},
    {CL_INVALID_COMMAND_QUEUE, "CL_INVALID_COMMAND_QUEUE", false, lost},
    {CL_INVALID_MEM_OBJECT, "CL_INVALID_MEM_OBJECT"},
    {CL_INVALID_BINARY, "CL_INVALID_BINARY"},
    {CL_INVALID_BUILD_OPTIONS, "CL_INVALID_BUILD_OPTIONS"},
    {CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS"},
    {CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE", false,
     "the device runs fewer threads a block than this kernel wants; use smaller blocks"},
    {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE", true,
     "the device has no buffers of that size; work in smaller pieces"},
    {-1001, "CL_PLATFORM_NOT_FOUND_KHR", false,
     "no driver is installed, or its file in /etc/OpenCL/vendors names a library that does not "
     "load"},
    {-9999, "NVIDIA's driver", false, lost}};

const Known* find(cl_int status) {
  for (const Known& k : known) {
    if (k.status == status) return &k;
  }
  return nullptr;
}

template <class OtherError>
void check_as(cl_int status, std::string_view device, std::string_view call) {
  if (status == CL_SUCCESS) return;
  const std::string text = fmt::format("{}: {} failed: {}", device, call, explained(status));
  if (is_out_of_memory(status)) throw OutOfMemory(text);
  throw OtherError(text);
}

}  // namespace

std::string status_text(cl_int status) {
  const Known* row = find(status);
  return row == nullptr ? std::to_string(status) : fmt::format("{} ({})", status, row->name);
}

std::string explained(cl_int status) {
  const Known* row = find(status);
  const std::string text = status_text(status);
  return row == nullptr || *row->meaning == '\0' ? text : text + ": " + row->meaning;
}

bool is_out_of_memory(cl_int status) {
  const Known* row = find(status);
  return row != nullptr && row->memory;
}

bool is_lost(cl_int status) {
  const Known* row = find(status);
  return row != nullptr && row->meaning == lost;
}

void check(cl_int status, std::string_view device, std::string_view call) {
  check_as<DeviceError>(status, device, call);
}
void check_launch(cl_int status, std::string_view device, std::string_view call) {
  check_as<LaunchError>(status, device, call);
}

}  // namespace noyau::opencl
