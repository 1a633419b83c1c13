// Memory that OpenCL knows by handles: the host's, which the device shares, or the device's own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "backends/opencl/place.hpp"

namespace noyau::opencl {

/// The memory of one device. Each block of the pool is a buffer of its own, which kernels get with
/// an offset: no sub-buffers, whose alignment devices choose, and no addresses of the device's.
/// A block's address is host memory where that is shared; else it is reserved, so that it is no
/// other block's and whoever touches it is stopped. All methods may be called from any thread.
class Memory {
 public:
  /// `queue` is in order, and the one that kernels run on. `largest`: bytes of one buffer.
  Memory(std::string device, cl_context context, cl_command_queue queue, bool shared,
         std::size_t largest);

  bool shared() const { return shared_; }
  /// Aligned to 128 bytes at least; nullptr when there is none left.
  std::byte* allocate(std::size_t bytes);
  void release(std::byte* pointer, std::size_t bytes);
  Place find(const std::byte* pointer) const;
  /// A handle for host memory of somebody else; the caller releases it.
  cl_mem wrap(std::byte* pointer, std::size_t bytes) const;
  /// A handle for memory that begins with a copy of the host's; the caller releases it.
  cl_mem copy_of(const void* data, std::size_t bytes) const;

  /// As in DeviceBackend. What is not ours is memory of the host's.
  void copy_to_host(const std::byte* from, void* to, std::size_t bytes) const;
  void copy_from_host(const void* from, std::byte* to, std::size_t bytes) const;
  void copy(const std::byte* from, std::byte* to, std::size_t bytes) const;

 private:
  struct Block {
    std::size_t bytes;
    cl_mem handle;
  };
  cl_mem allocate_now(std::size_t bytes) const;

  const std::string device_;
  const cl_context context_;
  const cl_command_queue queue_;
  const bool shared_;
  const std::size_t largest_;
  mutable std::mutex mutex_;
  std::map<const std::byte*, Block> blocks_;
};

}  // namespace noyau::opencl
