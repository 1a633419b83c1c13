// A device's memory, and the pinned memory through which copies to and from the host go.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "backends/cuda/driver.hpp"

namespace noyau::cuda {

/// nullptr when there is none left; DeviceError for other reasons. The context is current.
/// This is the driver's plain allocator. The order of the stream comes from the pool in front of it
/// (core/memory), which hands memory on without waiting and gives it back to the driver only when
/// the stream is idle: so growing is rare, and what cuMemAllocAsync would add is little, while its
/// memory is not that of peers, of MPI or of other processes without asking for each.
std::byte* allocate(const std::string& device, std::size_t bytes);

/// Copies between the host and a device in pieces, over two pinned pieces in turn: while the device
/// reads or writes one, the host does the other. Any thread; the context is current.
class Staging {
 public:
  explicit Staging(std::string device) : device_(std::move(device)) {}
  void to_host(Stream stream, const std::byte* from, void* to, std::size_t bytes);
  void from_host(Stream stream, const void* from, std::byte* to, std::size_t bytes);

 private:
  struct Piece {
    std::byte* data = nullptr;
    Event done = nullptr;  ///< after the last copy that used it
  };
  void prepare();
  void wait(const Piece& piece);

  const std::string device_;
  std::mutex mutex_;
  Piece pieces_[2];
};

/// What a kernel says of its first fault: code and detail, in pinned memory that it writes.
struct FaultWords {
  std::int64_t code = 0, detail = 0;
};
/// Recycles fault words. Any thread; the context is current.
class FaultPool {
 public:
  FaultWords* take(const std::string& device);
  void give_back(FaultWords* words);

 private:
  std::mutex mutex_;
  std::vector<FaultWords*> free_;
};

}  // namespace noyau::cuda
