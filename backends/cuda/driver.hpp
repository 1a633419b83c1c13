// The functions of NVIDIA's driver that Noyau calls, found in libcuda.so.1 when it is there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace noyau::cuda {

// The types and numbers of the driver's binary interface, which has no header on most machines.
using Status = int;
using DeviceNumber = int;
using Address = unsigned long long;
using Context = struct ContextHandle*;
using Stream = struct StreamHandle*;
using Event = struct EventHandle*;
using Module = struct ModuleHandle*;
using Function = struct FunctionHandle*;
using Graph = struct GraphHandle*;
using GraphNode = struct GraphNodeHandle*;
using GraphExec = struct GraphExecHandle*;

inline constexpr Status success = 0, out_of_memory = 2, not_ready = 600;
inline constexpr int shared_memory_per_block = 8, multiprocessor_count = 16, l2_cache_size = 38,
                     capability_major = 75, capability_minor = 76,
                     shared_memory_per_block_opt_in = 97;  // attributes of a device
inline constexpr int max_dynamic_shared_size = 8;          // attribute of a function
inline constexpr Status peer_access_already_enabled = 704;
inline constexpr unsigned stream_non_blocking = 1, event_disable_timing = 2, host_portable = 1,
                          host_mapped = 2;

inline constexpr int capture_relaxed = 2;  // what other threads call meanwhile is allowed

/// CUDA_KERNEL_NODE_PARAMS_v2
struct KernelNode {
  Function function;
  unsigned grid[3], block[3];
  unsigned shared_bytes;
  void** arguments;
  void** extra;
  void* kernel;
  Context context;
};
/// CUDA_MEMSET_NODE_PARAMS_v1
struct FillNode {
  Address to;
  std::size_t pitch;
  unsigned value, element_bytes;
  std::size_t width, height;
};
/// CUDA_MEMCPY3D_v2
struct CopyNode {
  struct End {
    std::size_t x, y, z, lod;
    int memory_type;
    const void* host;
    Address device;
    void* array;
    void* reserved;
    std::size_t pitch, height;
  };
  End from, to;
  std::size_t bytes, height, depth;
};
inline constexpr int device_memory = 2;

/// Each member is the function `cu` + its name, of the version that its comment's symbol has.
struct Driver {
  Status (*init)(unsigned flags);
  Status (*driver_get_version)(int* version);
  Status (*get_error_name)(Status, const char** name);
  Status (*get_error_string)(Status, const char** words);
  Status (*device_get_count)(int* count);
  Status (*device_get)(DeviceNumber*, int ordinal);
  Status (*device_get_name)(char* name, int length, DeviceNumber);
  Status (*device_get_attribute)(int* value, int attribute, DeviceNumber);
  Status (*device_total_mem)(std::size_t* bytes, DeviceNumber);
  Status (*device_primary_ctx_retain)(Context*, DeviceNumber);
  Status (*device_can_access_peer)(int* can, DeviceNumber, DeviceNumber peer);
  Status (*ctx_enable_peer_access)(Context peer, unsigned flags);
  Status (*ctx_push_current)(Context);
  Status (*ctx_pop_current)(Context*);
  Status (*stream_create)(Stream*, unsigned flags);
  Status (*stream_synchronize)(Stream);
  Status (*stream_wait_event)(Stream, Event, unsigned flags);
  Status (*event_create)(Event*, unsigned flags);
  Status (*event_destroy)(Event);
  Status (*event_record)(Event, Stream);
  Status (*event_query)(Event);
  Status (*event_synchronize)(Event);
  Status (*event_elapsed_time)(float* milliseconds, Event begin, Event end);
  Status (*mem_alloc)(Address*, std::size_t bytes);
  Status (*mem_free)(Address);
  Status (*mem_host_alloc)(void**, std::size_t bytes, unsigned flags);
  Status (*memcpy_htod_async)(Address to, const void* from, std::size_t bytes, Stream);
  Status (*memcpy_dtoh_async)(void* to, Address from, std::size_t bytes, Stream);
  Status (*memcpy_dtod_async)(Address to, Address from, std::size_t bytes, Stream);
  Status (*memcpy_peer_async)(Address to, Context there, Address from, Context here,
                              std::size_t bytes, Stream);
  Status (*memset_d8_async)(Address to, unsigned char value, std::size_t bytes, Stream);
  Status (*module_load_data)(Module*, const void* image);
  Status (*module_unload)(Module);
  Status (*module_get_function)(Function*, Module, const char* name);
  Status (*func_set_attribute)(Function, int attribute, int value);
  Status (*launch_kernel)(Function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                          unsigned block_x, unsigned block_y, unsigned block_z,
                          unsigned shared_bytes, Stream, void** arguments, void** extra);
  Status (*stream_begin_capture)(Stream, int mode);
  Status (*stream_end_capture)(Stream, Graph*);
  Status (*graph_create)(Graph*, unsigned flags);
  Status (*graph_destroy)(Graph);
  Status (*graph_add_kernel_node)(GraphNode*, Graph, const GraphNode* after, std::size_t count,
                                  const KernelNode*);
  Status (*graph_add_memcpy_node)(GraphNode*, Graph, const GraphNode* after, std::size_t count,
                                  const CopyNode*, Context);
  Status (*graph_add_memset_node)(GraphNode*, Graph, const GraphNode* after, std::size_t count,
                                  const FillNode*, Context);
  Status (*graph_add_child_graph_node)(GraphNode*, Graph, const GraphNode* after, std::size_t count,
                                       Graph child);
  Status (*graph_instantiate)(GraphExec*, Graph, unsigned long long flags);
  Status (*graph_launch)(GraphExec, Stream);
  Status (*graph_exec_destroy)(GraphExec);
  Status (*graph_exec_kernel_node_set_params)(GraphExec, GraphNode, const KernelNode*);
  Status (*graph_exec_memcpy_node_set_params)(GraphExec, GraphNode, const CopyNode*, Context);
  Status (*graph_exec_memset_node_set_params)(GraphExec, GraphNode, const FillNode*, Context);
  Status (*graph_exec_child_graph_node_set_params)(GraphExec, GraphNode, Graph child);
  std::string file;         ///< "libcuda.so.1"
  std::string description;  ///< with its path
};

/// Loads and initialises it once. DeviceError that says what is wrong: no library, a library
/// without some function, or what cuInit said.
const Driver& driver();

/// "700 (CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered)", for messages.
std::string status_text(Status status);
/// DeviceError naming device and call unless `status` is success.
void check(Status status, std::string_view device, std::string_view call);

/// The device that the driver lists first. DeviceError when there is none.
DeviceNumber first_device();

/// The context of a device that all users of a process share, made when it is first asked for: a
/// process that uses one of eight devices has one, which takes time and some 500 MiB of memory.
class PrimaryContext {
 public:
  /// `device`: its name, for messages.
  PrimaryContext(std::string device, DeviceNumber number)
      : device_(std::move(device)), number_(number) {}
  /// DeviceError when it cannot be made.
  Context get() const;
  DeviceNumber number() const { return number_; }

 private:
  const std::string device_;
  const DeviceNumber number_;
  mutable std::once_flag once_;
  mutable Context context_ = nullptr;
};

/// Makes a context the thread's current one while it lives; leaves the caller's as it was.
class ContextScope {
 public:
  explicit ContextScope(Context context) : pushed_(driver().ctx_push_current(context) == success) {}
  ~ContextScope() {
    Context ours = nullptr;
    if (pushed_) driver().ctx_pop_current(&ours);
  }
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  bool pushed_;
};

}  // namespace noyau::cuda
