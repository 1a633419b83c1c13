// What OpenCL's calls return, in words, and as exceptions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <string>
#include <string_view>

namespace noyau::opencl {

/// "-11 (CL_BUILD_PROGRAM_FAILURE)", for messages.
std::string status_text(cl_int status);
/// The same, then what it means here and what to do, where there is something to say.
std::string explained(cl_int status);
/// True for statuses of a device, or a driver, that has no memory left: trimming may help.
bool is_out_of_memory(cl_int status);
/// True for statuses after which this process cannot use the device any more.
bool is_lost(cl_int status);

/// Unless `status` is CL_SUCCESS, OutOfMemory or else DeviceError that names the call.
void check(cl_int status, std::string_view device, std::string_view call);
/// The same for launches: OutOfMemory or else LaunchError.
void check_launch(cl_int status, std::string_view device, std::string_view call);

}  // namespace noyau::opencl
