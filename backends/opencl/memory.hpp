// Buffers that the host and the device share: host memory that OpenCL knows by handles.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <cstddef>
#include <map>
#include <mutex>

namespace noyau::opencl {

/// Where a pointer is, as OpenCL sees it.
struct Place {
  cl_mem handle = nullptr;  ///< nullptr: not in memory of ours
  std::size_t offset = 0;   ///< bytes from the handle's start
};

/// The memory of one context. All methods may be called from any thread.
class Memory {
 public:
  explicit Memory(cl_context context) : context_(context) {}
  /// Aligned to 128 bytes at least; nullptr when there is none left.
  std::byte* allocate(std::size_t bytes);
  void release(std::byte* pointer, std::size_t bytes);
  Place find(const std::byte* pointer) const;
  /// A handle for somebody else's memory; the caller releases it.
  cl_mem wrap(std::byte* pointer, std::size_t bytes) const;

 private:
  struct Block {
    std::size_t bytes;
    cl_mem handle;
  };
  const cl_context context_;
  mutable std::mutex mutex_;
  std::map<const std::byte*, Block> blocks_;
};

}  // namespace noyau::opencl
