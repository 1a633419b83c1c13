// Finding the driver's functions, and its words for what went wrong.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/driver.hpp"

#include <fmt/format.h>

#include "backends/cuda/library.hpp"
#include "noyau/error.hpp"

namespace noyau::cuda {
namespace {

constexpr const char* remedy = "install NVIDIA's driver, or one of CUDA 12 or later";

std::string text_of(const Driver& d, Status status) {
  const char *name = nullptr, *words = nullptr;
  if (d.get_error_name(status, &name) != success || name == nullptr) name = "unknown";
  if (d.get_error_string(status, &words) != success || words == nullptr) words = "no description";
  return fmt::format("{} ({}: {})", status, name, words);
}

Driver load() {
  const std::string names[] = {"libcuda.so.1"};
  const Library library = open_library(names, remedy);
  Driver d;
  d.file = library.name;
  const auto find = [&](auto& function, const char* symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
        find_symbol(library, symbol, remedy));
  };
  find(d.init, "cuInit");
  find(d.driver_get_version, "cuDriverGetVersion");
  find(d.get_error_name, "cuGetErrorName");
  find(d.get_error_string, "cuGetErrorString");
  find(d.device_get_count, "cuDeviceGetCount");
  find(d.device_get, "cuDeviceGet");
  find(d.device_get_name, "cuDeviceGetName");
  find(d.device_get_attribute, "cuDeviceGetAttribute");
  find(d.device_total_mem, "cuDeviceTotalMem_v2");
  find(d.device_primary_ctx_retain, "cuDevicePrimaryCtxRetain");
  find(d.device_can_access_peer, "cuDeviceCanAccessPeer");
  find(d.ctx_enable_peer_access, "cuCtxEnablePeerAccess");
  find(d.ctx_push_current, "cuCtxPushCurrent_v2");
  find(d.ctx_pop_current, "cuCtxPopCurrent_v2");
  find(d.stream_create, "cuStreamCreate");
  find(d.stream_synchronize, "cuStreamSynchronize");
  find(d.stream_wait_event, "cuStreamWaitEvent");
  find(d.event_create, "cuEventCreate");
  find(d.event_destroy, "cuEventDestroy_v2");
  find(d.event_record, "cuEventRecord");
  find(d.event_query, "cuEventQuery");
  find(d.event_synchronize, "cuEventSynchronize");
  find(d.event_elapsed_time, "cuEventElapsedTime");
  find(d.mem_alloc, "cuMemAlloc_v2");
  find(d.mem_free, "cuMemFree_v2");
  find(d.mem_host_alloc, "cuMemHostAlloc");
  find(d.memcpy_htod_async, "cuMemcpyHtoDAsync_v2");
  find(d.memcpy_dtoh_async, "cuMemcpyDtoHAsync_v2");
  find(d.memcpy_dtod_async, "cuMemcpyDtoDAsync_v2");
  find(d.memcpy_peer_async, "cuMemcpyPeerAsync");
  find(d.memset_d8_async, "cuMemsetD8Async");
  find(d.module_load_data, "cuModuleLoadData");
  find(d.module_unload, "cuModuleUnload");
  find(d.module_get_function, "cuModuleGetFunction");
  find(d.func_set_attribute, "cuFuncSetAttribute");
  find(d.launch_kernel, "cuLaunchKernel");
  if (const Status status = d.init(0); status != success) {
    throw DeviceError(fmt::format("cuInit of {} failed: {}", d.file, text_of(d, status)));
  }
  return d;
}

}  // namespace

const Driver& driver() {
  static const Driver& loaded = *new Driver(load());  // leaked: calls come until the very end
  return loaded;
}

std::string status_text(Status status) { return text_of(driver(), status); }

void check(Status status, std::string_view device, std::string_view call) {
  if (status == success) return;
  throw DeviceError(fmt::format("{}: {} failed: {}", device, call, status_text(status)));
}

Context PrimaryContext::get() const {
  std::call_once(once_, [this] {
    check(driver().device_primary_ctx_retain(&context_, number_), device_,
          "cuDevicePrimaryCtxRetain");
  });
  return context_;
}

}  // namespace noyau::cuda
