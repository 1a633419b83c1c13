// Buffers by address, and copies between them and the host.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/opencl/status.hpp"
#include "core/host_memory.hpp"

namespace noyau::opencl {
namespace {

constexpr std::size_t alignment = 128;  // of OpenCL's largest type, long16
constexpr std::size_t guard = 4096;     // between reserved blocks: none begins where another ends

std::size_t rounded(std::size_t bytes) {
  return (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
}

/// Addresses that nobody can read or write.
std::byte* reserve_addresses(std::size_t bytes) {
  void* const found =
      mmap(nullptr, bytes + guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return found == MAP_FAILED ? nullptr : static_cast<std::byte*>(found);
}

}  // namespace

Memory::Memory(std::string device, cl_context context, cl_command_queue queue, bool shared,
               std::size_t largest)
    : device_(std::move(device)),
      context_(context),
      queue_(queue),
      shared_(shared),
      largest_(largest) {}

/// Drivers put off finding memory until the buffer is used, when it is too late to make room; so it
/// is used at once.
cl_mem Memory::allocate_now(std::size_t bytes) const {
  static constexpr cl_uchar zero = 0;
  cl_int status = CL_SUCCESS;
  const cl_mem handle = clCreateBuffer(context_, CL_MEM_READ_WRITE, bytes, nullptr, &status);
  if (status == CL_SUCCESS) {
    status = clEnqueueWriteBuffer(queue_, handle, CL_FALSE, 0, 1, &zero, 0, nullptr, nullptr);
    if (status != CL_SUCCESS) clReleaseMemObject(handle);
  }
  if (is_out_of_memory(status)) return nullptr;
  check(status, device_, "allocating memory");
  return handle;
}

std::byte* Memory::allocate(std::size_t bytes) {
  if (bytes > largest_) return nullptr;
  const std::size_t size = rounded(bytes);
  std::byte* const pointer = shared_ ? allocate_host_memory(size) : reserve_addresses(size);
  if (pointer == nullptr) return nullptr;
  const auto give_up = [&] {
    if (shared_) release_host_memory(pointer, size);
    else munmap(pointer, size + guard);
  };
  try {
    const std::size_t taken = std::min(size, largest_);
    if (const cl_mem handle = shared_ ? wrap(pointer, taken) : allocate_now(taken)) {
      const std::lock_guard lock(mutex_);
      blocks_[pointer] = {size, handle};
      return pointer;
    }
  } catch (...) {
    give_up();
    throw;
  }
  give_up();
  return nullptr;
}

void Memory::release(std::byte* pointer, std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(pointer);
    if (found == blocks_.end()) return;
    clReleaseMemObject(found->second.handle);
    blocks_.erase(found);
  }
  if (shared_) release_host_memory(pointer, rounded(bytes));
  else munmap(pointer, rounded(bytes) + guard);
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

cl_mem Memory::copy_of(const void* data, std::size_t bytes) const {
  cl_int status = CL_SUCCESS;
  const cl_mem handle = clCreateBuffer(context_, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes,
                                       const_cast<void*>(data), &status);
  return status == CL_SUCCESS ? handle : nullptr;
}

void Memory::copy_to_host(const std::byte* from, void* to, std::size_t bytes) const {
  if (bytes == 0) return;
  const Place place = shared_ ? Place{} : find(from);
  if (place.handle == nullptr) {
    std::memcpy(to, from, bytes);
    return;
  }
  check(clEnqueueReadBuffer(queue_, place.handle, CL_TRUE, place.offset, bytes, to, 0, nullptr,
                            nullptr),
        device_, "clEnqueueReadBuffer");
}

void Memory::copy_from_host(const void* from, std::byte* to, std::size_t bytes) const {
  if (bytes == 0) return;
  const Place place = shared_ ? Place{} : find(to);
  if (place.handle == nullptr) {
    std::memcpy(to, from, bytes);
    return;
  }
  check(clEnqueueWriteBuffer(queue_, place.handle, CL_TRUE, place.offset, bytes, from, 0, nullptr,
                             nullptr),
        device_, "clEnqueueWriteBuffer");
}

void Memory::copy(const std::byte* from, std::byte* to, std::size_t bytes) const {
  const Place source = find(from), target = find(to);
  if (bytes == 0) return;
  if (source.handle == nullptr) return copy_from_host(from, to, bytes);
  check(clEnqueueCopyBuffer(queue_, source.handle, target.handle, source.offset, target.offset,
                            bytes, 0, nullptr, nullptr),
        device_, "clEnqueueCopyBuffer");
}

}  // namespace noyau::opencl
