// Buffers that the host and the device share.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/memory.hpp"

#include <algorithm>

#include "core/host_memory.hpp"

namespace noyau::opencl {
namespace {

constexpr std::size_t alignment = 128;  // of OpenCL's largest type, long16

std::size_t rounded(std::size_t bytes) {
  return (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
}

}  // namespace

std::byte* Memory::allocate(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 62)) return nullptr;
  const std::size_t size = rounded(bytes);
  std::byte* pointer = allocate_host_memory(size);
  if (pointer == nullptr) return nullptr;
  const cl_mem handle = wrap(pointer, size);
  if (handle == nullptr) {
    release_host_memory(pointer, size);
    return nullptr;
  }
  const std::lock_guard lock(mutex_);
  blocks_[pointer] = {size, handle};
  return pointer;
}

void Memory::release(std::byte* pointer, std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(pointer);
    if (found == blocks_.end()) return;
    clReleaseMemObject(found->second.handle);
    blocks_.erase(found);
  }
  release_host_memory(pointer, rounded(bytes));
}

Place Memory::find(const std::byte* pointer) const {
  const std::lock_guard lock(mutex_);
  auto after = blocks_.upper_bound(pointer);
  if (after == blocks_.begin()) return {};
  const auto& [begin, block] = *--after;
  const auto offset = static_cast<std::size_t>(pointer - begin);
  if (offset > block.bytes) return {};
  return {block.handle, offset};
}

cl_mem Memory::wrap(std::byte* pointer, std::size_t bytes) const {
  cl_int status = CL_SUCCESS;
  const cl_mem handle = clCreateBuffer(context_, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
                                       std::max<std::size_t>(bytes, 1), pointer, &status);
  return status == CL_SUCCESS ? handle : nullptr;
}

}  // namespace noyau::opencl
