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
  d.description = library.description();
  library.find(d.init, "cuInit");
  library.find(d.driver_get_version, "cuDriverGetVersion");
  library.find(d.get_error_name, "cuGetErrorName");
  library.find(d.get_error_string, "cuGetErrorString");
  library.find(d.device_get_count, "cuDeviceGetCount");
  library.find(d.device_get, "cuDeviceGet");
  library.find(d.device_get_name, "cuDeviceGetName");
  library.find(d.device_get_attribute, "cuDeviceGetAttribute");
  library.find(d.device_total_mem, "cuDeviceTotalMem_v2");
  library.find(d.device_primary_ctx_retain, "cuDevicePrimaryCtxRetain");
  library.find(d.device_can_access_peer, "cuDeviceCanAccessPeer");
  library.find(d.ctx_enable_peer_access, "cuCtxEnablePeerAccess");
  library.find(d.ctx_push_current, "cuCtxPushCurrent_v2");
  library.find(d.ctx_pop_current, "cuCtxPopCurrent_v2");
  library.find(d.stream_create, "cuStreamCreate");
  library.find(d.stream_synchronize, "cuStreamSynchronize");
  library.find(d.stream_wait_event, "cuStreamWaitEvent");
  library.find(d.event_create, "cuEventCreate");
  library.find(d.event_destroy, "cuEventDestroy_v2");
  library.find(d.event_record, "cuEventRecord");
  library.find(d.event_query, "cuEventQuery");
  library.find(d.event_synchronize, "cuEventSynchronize");
  library.find(d.event_elapsed_time, "cuEventElapsedTime");
  library.find(d.mem_alloc, "cuMemAlloc_v2");
  library.find(d.mem_free, "cuMemFree_v2");
  library.find(d.mem_host_alloc, "cuMemHostAlloc");
  library.find(d.memcpy_htod_async, "cuMemcpyHtoDAsync_v2");
  library.find(d.memcpy_dtoh_async, "cuMemcpyDtoHAsync_v2");
  library.find(d.memcpy_dtod_async, "cuMemcpyDtoDAsync_v2");
  library.find(d.memcpy_peer_async, "cuMemcpyPeerAsync");
  library.find(d.memset_d8_async, "cuMemsetD8Async");
  library.find(d.module_load_data, "cuModuleLoadData");
  library.find(d.module_unload, "cuModuleUnload");
  library.find(d.module_get_function, "cuModuleGetFunction");
  library.find(d.func_set_attribute, "cuFuncSetAttribute");
  library.find(d.launch_kernel, "cuLaunchKernel");
  library.find(d.stream_begin_capture, "cuStreamBeginCapture_v2");
  library.find(d.stream_end_capture, "cuStreamEndCapture");
  library.find(d.graph_create, "cuGraphCreate");
  library.find(d.graph_destroy, "cuGraphDestroy");
  library.find(d.graph_add_kernel_node, "cuGraphAddKernelNode_v2");
  library.find(d.graph_add_memcpy_node, "cuGraphAddMemcpyNode");
  library.find(d.graph_add_memset_node, "cuGraphAddMemsetNode");
  library.find(d.graph_add_child_graph_node, "cuGraphAddChildGraphNode");
  library.find(d.graph_instantiate, "cuGraphInstantiateWithFlags");
  library.find(d.graph_launch, "cuGraphLaunch");
  library.find(d.graph_exec_destroy, "cuGraphExecDestroy");
  library.find(d.graph_exec_kernel_node_set_params, "cuGraphExecKernelNodeSetParams_v2");
  library.find(d.graph_exec_memcpy_node_set_params, "cuGraphExecMemcpyNodeSetParams");
  library.find(d.graph_exec_memset_node_set_params, "cuGraphExecMemsetNodeSetParams");
  library.find(d.graph_exec_child_graph_node_set_params, "cuGraphExecChildGraphNodeSetParams");
  int version = 0;
  if (d.driver_get_version(&version) == success && version < 12000) {
    throw DeviceError(fmt::format("{} is of a driver for CUDA {}.{}, which is too old; {}",
                                  d.description, version / 1000, version % 1000 / 10, remedy));
  }
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

DeviceNumber first_device() {
  DeviceNumber number = 0;
  check(driver().device_get(&number, 0), "cuda:0", "cuDeviceGet");
  return number;
}

Context PrimaryContext::get() const {
  std::call_once(once_, [this] {
    check(driver().device_primary_ctx_retain(&context_, number_), device_,
          "cuDevicePrimaryCtxRetain");
  });
  return context_;
}

}  // namespace noyau::cuda
