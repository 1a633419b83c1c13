// A libOpenCL.so.1 for tests: a GPU with memory of its own and without float64, whose kernels do
// nothing. $NOYAU_FAKE_OPENCL makes it fail from the start: "none" (no platform), "empty" (a
// platform without devices), "context", "compiler" (there is none).
// SPDX-License-Identifier: Apache-2.0
#include <CL/cl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "tests/common/fake_calls.hpp"
#include "tests/opencl/fake/control.hpp"
#include "tests/opencl/fake/handles.hpp"

// The handles. One of each is enough of those that hold nothing.
struct _cl_platform_id {};
struct _cl_device_id {};
struct _cl_context {};
struct _cl_command_queue {};
struct _cl_program {};
struct _cl_kernel {};
struct _cl_event {
  cl_int status;
};

namespace noyau::fake_opencl {
namespace {

struct State {
  std::mutex mutex;
  test::FakeCalls calls;
  std::set<cl_mem> buffers;
  std::size_t limit = std::size_t{1} << 30;
};
State& state() {
  static auto* const made = new State;
  return *made;
}

_cl_platform_id platform;
_cl_device_id device;
_cl_context context;
_cl_command_queue queue;
_cl_program program;
_cl_kernel kernel;

bool wants(const char* mode) { return test::fake_mode_is("NOYAU_FAKE_OPENCL", mode); }

cl_int answer(const void* value, std::size_t bytes, std::size_t room, void* out,
              std::size_t* needed) {
  if (needed != nullptr) *needed = bytes;
  if (out != nullptr) std::memcpy(out, value, std::min(bytes, room));
  return CL_SUCCESS;
}
cl_int answer(const char* text, std::size_t room, void* out, std::size_t* needed) {
  return answer(text, std::strlen(text) + 1, room, out, needed);
}
template <class T>
cl_int answer_number(T value, std::size_t room, void* out, std::size_t* needed) {
  return answer(&value, sizeof value, room, out, needed);
}

cl_int finished(cl_event* event) {
  const int status = called("run");
  if (event != nullptr) *event = new _cl_event{status < 0 ? status : CL_COMPLETE};
  return CL_SUCCESS;
}

/// What using a buffer gives: memory is found at that time.
cl_int memory_status() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  std::size_t bytes = 0;
  for (const cl_mem buffer : s.buffers) bytes += buffer->bytes.size();
  return bytes > s.limit ? CL_MEM_OBJECT_ALLOCATION_FAILURE : CL_SUCCESS;
}

}  // namespace

int called(const char* name, const std::string& words) { return state().calls.called(name, words); }
std::vector<std::string> calls() { return state().calls.all(); }
void forget() { state().calls.forget(); }
void fail(const std::string& call, int status) { state().calls.fail(call, status); }
void limit(std::size_t bytes) {
  const std::lock_guard lock(state().mutex);
  state().limit = bytes;
}
int live_buffers() {
  const std::lock_guard lock(state().mutex);
  return static_cast<int>(state().buffers.size());
}

}  // namespace noyau::fake_opencl

using namespace noyau::fake_opencl;

extern "C" {

cl_int clGetPlatformIDs(cl_uint room, cl_platform_id* out, cl_uint* count) {
  if (wants("none")) return -1001;
  if (count != nullptr) *count = 1;
  if (room > 0 && out != nullptr) *out = &platform;
  return CL_SUCCESS;
}
cl_int clGetPlatformInfo(cl_platform_id, cl_platform_info what, size_t room, void* out,
                         size_t* needed) {
  return answer(what == CL_PLATFORM_NAME ? "Fake platform" : "OpenCL 1.2 fake", room, out, needed);
}
cl_int clGetDeviceIDs(cl_platform_id, cl_device_type, cl_uint room, cl_device_id* out,
                      cl_uint* count) {
  if (wants("empty")) return CL_DEVICE_NOT_FOUND;
  if (count != nullptr) *count = 1;
  if (room > 0 && out != nullptr) *out = &device;
  return CL_SUCCESS;
}
cl_int clGetDeviceInfo(cl_device_id, cl_device_info what, size_t room, void* out, size_t* needed) {
  switch (what) {
    case CL_DEVICE_NAME:
      return answer("Fake GPU", room, out, needed);
    case CL_DEVICE_VERSION:
    case CL_DRIVER_VERSION:
      return answer("OpenCL 1.2 fake", room, out, needed);
    case CL_DEVICE_TYPE:
      return answer_number<cl_device_type>(CL_DEVICE_TYPE_GPU, room, out, needed);
    case CL_DEVICE_MAX_COMPUTE_UNITS:
      return answer_number<cl_uint>(2, room, out, needed);
    case CL_DEVICE_MAX_WORK_GROUP_SIZE:
      return answer_number<size_t>(96, room, out, needed);
    case CL_DEVICE_AVAILABLE:
      return answer_number<cl_bool>(CL_TRUE, room, out, needed);
    case CL_DEVICE_COMPILER_AVAILABLE:
      return answer_number<cl_bool>(!wants("compiler"), room, out, needed);
    case CL_DEVICE_LOCAL_MEM_SIZE:
      return answer_number<cl_ulong>(48 << 10, room, out, needed);
    case CL_DEVICE_GLOBAL_MEM_CACHE_SIZE:
      return answer_number<cl_ulong>(4 << 20, room, out, needed);
    case CL_DEVICE_GLOBAL_MEM_SIZE:
      return answer_number<cl_ulong>(cl_ulong{1} << 30, room, out, needed);
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
      return answer_number<cl_ulong>(cl_ulong{1} << 28, room, out, needed);
    case CL_DEVICE_MAX_PARAMETER_SIZE:
      return answer_number<size_t>(1024, room, out, needed);
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT:
      return answer_number<cl_uint>(4, room, out, needed);
    default:
      return answer_number<cl_ulong>(0, room, out, needed);
  }
}

cl_context clCreateContext(const cl_context_properties*, cl_uint, const cl_device_id*,
                           void (*)(const char*, const void*, size_t, void*), void*,
                           cl_int* status) {
  *status = wants("context") ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;
  return &context;
}
cl_command_queue clCreateCommandQueue(cl_context, cl_device_id, cl_command_queue_properties,
                                      cl_int* status) {
  *status = CL_SUCCESS;
  return &queue;
}
cl_int clGetCommandQueueInfo(cl_command_queue, cl_command_queue_info what, size_t room, void* out,
                             size_t* needed) {
  if (what == CL_QUEUE_DEVICE) return answer_number<cl_device_id>(&device, room, out, needed);
  return answer_number<cl_context>(&context, room, out, needed);
}
cl_int clFinish(cl_command_queue) { return CL_SUCCESS; }
cl_int clFlush(cl_command_queue) { return CL_SUCCESS; }

// ---- memory

cl_mem clCreateBuffer(cl_context, cl_mem_flags flags, size_t bytes, void* host, cl_int* status) {
  *status = called("clCreateBuffer");
  if (*status != CL_SUCCESS) return nullptr;
  auto* made = new _cl_mem{std::vector<std::byte>(bytes)};
  if ((flags & (CL_MEM_COPY_HOST_PTR | CL_MEM_USE_HOST_PTR)) != 0)
    std::memcpy(made->bytes.data(), host, bytes);
  const std::lock_guard lock(state().mutex);
  state().buffers.insert(made);
  return made;
}
cl_int clGetMemObjectInfo(cl_mem buffer, cl_mem_info, size_t room, void* out, size_t* needed) {
  return answer_number<size_t>(buffer->bytes.size(), room, out, needed);
}
/// For operands beyond 2^30 elements alone: there is none here.
cl_mem clCreateSubBuffer(cl_mem, cl_mem_flags, cl_buffer_create_type, const void*, cl_int* status) {
  *status = CL_INVALID_VALUE;
  return nullptr;
}
cl_int clReleaseMemObject(cl_mem buffer) {
  const std::lock_guard lock(state().mutex);
  state().buffers.erase(buffer);
  delete buffer;
  return CL_SUCCESS;
}
cl_int clEnqueueReadBuffer(cl_command_queue, cl_mem from, cl_bool, size_t at, size_t bytes,
                           void* to, cl_uint, const cl_event*, cl_event* event) {
  if (const cl_int status = called("clEnqueueReadBuffer", "read " + std::to_string(bytes)))
    return status;
  std::memcpy(to, from->bytes.data() + at, bytes);
  return finished(event);
}
cl_int clEnqueueWriteBuffer(cl_command_queue, cl_mem to, cl_bool, size_t at, size_t bytes,
                            const void* from, cl_uint, const cl_event*, cl_event* event) {
  if (const cl_int status = memory_status()) return status;
  if (const cl_int status = called("clEnqueueWriteBuffer", "write " + std::to_string(bytes)))
    return status;
  std::memcpy(to->bytes.data() + at, from, bytes);
  return finished(event);
}
cl_int clEnqueueCopyBuffer(cl_command_queue, cl_mem from, cl_mem to, size_t from_at, size_t to_at,
                           size_t bytes, cl_uint, const cl_event*, cl_event* event) {
  if (const cl_int status = called("clEnqueueCopyBuffer", "copy " + std::to_string(bytes)))
    return status;
  std::memcpy(to->bytes.data() + to_at, from->bytes.data() + from_at, bytes);
  return finished(event);
}
cl_int clEnqueueFillBuffer(cl_command_queue, cl_mem to, const void* pattern, size_t, size_t at,
                           size_t bytes, cl_uint, const cl_event*, cl_event* event) {
  std::memset(to->bytes.data() + at, *static_cast<const unsigned char*>(pattern), bytes);
  return finished(event);
}

// ---- programs

cl_program clCreateProgramWithSource(cl_context, cl_uint, const char**, const size_t*,
                                     cl_int* status) {
  *status = CL_SUCCESS;
  return &program;
}
cl_program clCreateProgramWithBinary(cl_context, cl_uint, const cl_device_id*, const size_t*,
                                     const unsigned char**, cl_int*, cl_int* status) {
  *status = CL_INVALID_BINARY;
  return nullptr;
}
cl_int clBuildProgram(cl_program, cl_uint, const cl_device_id*, const char*,
                      void (*)(cl_program, void*), void*) {
  return called("clBuildProgram");
}
cl_int clGetProgramBuildInfo(cl_program, cl_device_id, cl_program_build_info, size_t room,
                             void* out, size_t* needed) {
  return answer("line 3: the fake compiler does not like this", room, out, needed);
}
cl_int clGetProgramInfo(cl_program, cl_program_info, size_t room, void* out, size_t* needed) {
  return answer_number<size_t>(0, room, out, needed);
}
cl_int clReleaseProgram(cl_program) { return CL_SUCCESS; }
cl_kernel clCreateKernel(cl_program, const char*, cl_int* status) {
  *status = CL_SUCCESS;
  return &kernel;
}
cl_int clReleaseKernel(cl_kernel) { return CL_SUCCESS; }
cl_int clGetKernelWorkGroupInfo(cl_kernel, cl_device_id, cl_kernel_work_group_info, size_t room,
                                void* out, size_t* needed) {
  return answer_number<size_t>(96, room, out, needed);
}
cl_int clSetKernelArg(cl_kernel, cl_uint index, size_t bytes, const void* value) {
  std::string words = "argument " + std::to_string(index) + ": ";
  if (bytes == 8 && value != nullptr) {
    cl_long number = 0;
    std::memcpy(&number, value, 8);
    const std::lock_guard lock(state().mutex);
    const bool is_buffer = state().buffers.contains(reinterpret_cast<cl_mem>(number));
    words += is_buffer ? "buffer" : std::to_string(number);
  }
  return called("clSetKernelArg", words);
}

// ---- the queue

cl_int clEnqueueNDRangeKernel(cl_command_queue, cl_kernel, cl_uint, const size_t*,
                              const size_t* global, const size_t* local, cl_uint, const cl_event*,
                              cl_event* event) {
  const auto three = [](const size_t* n) {
    return n == nullptr
               ? std::string("any")
               : std::to_string(n[0]) + "x" + std::to_string(n[1]) + "x" + std::to_string(n[2]);
  };
  if (const cl_int status =
          called("clEnqueueNDRangeKernel", "launch " + three(global) + " of " + three(local)))
    return status;
  return finished(event);
}
cl_int clEnqueueMarkerWithWaitList(cl_command_queue, cl_uint, const cl_event*, cl_event* event) {
  return finished(event);
}
cl_int clWaitForEvents(cl_uint, const cl_event*) { return CL_SUCCESS; }
cl_int clGetEventInfo(cl_event event, cl_event_info, size_t room, void* out, size_t* needed) {
  return answer_number<cl_int>(event->status, room, out, needed);
}
cl_int clGetEventProfilingInfo(cl_event, cl_profiling_info, size_t room, void* out,
                               size_t* needed) {
  return answer_number<cl_ulong>(0, room, out, needed);
}
cl_int clReleaseEvent(cl_event event) {
  delete event;
  return CL_SUCCESS;
}

}  // extern "C"
