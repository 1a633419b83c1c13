// One growing buffer for each queue.
// SPDX-License-Identifier: Apache-2.0
#include "backends/clblast/scratch.hpp"

#include <map>
#include <mutex>

#include "backends/opencl/status.hpp"

namespace noyau::clblast {

cl_mem scratch(cl_command_queue queue, std::size_t bytes) {
  struct Buffer {
    cl_mem handle = nullptr;
    std::size_t bytes = 0;
  };
  static auto& buffers = *new std::map<cl_command_queue, Buffer>;  // leaked: calls come to the end
  static auto& mutex = *new std::mutex;
  if (bytes == 0) return nullptr;
  const std::lock_guard lock(mutex);
  Buffer& buffer = buffers[queue];
  if (buffer.bytes >= bytes) return buffer.handle;
  // What is enqueued keeps the old one until it has run.
  if (buffer.handle != nullptr) clReleaseMemObject(buffer.handle);
  buffer = {};
  cl_context context = nullptr;
  clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, nullptr);
  cl_int status = CL_SUCCESS;
  const cl_mem made = clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, nullptr, &status);
  opencl::check(status, "CLBlast", "allocating memory for a product");
  buffer = {made, bytes};
  return made;
}

}  // namespace noyau::clblast
