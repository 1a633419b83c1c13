// Device memory from the driver, and staged copies.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/memory.hpp"

#include <algorithm>
#include <cstring>

namespace noyau::cuda {
namespace {

constexpr std::size_t piece_bytes = std::size_t{4} << 20;
constexpr std::size_t faults_together = 256;

Address address(const std::byte* pointer) { return reinterpret_cast<Address>(pointer); }

}  // namespace

std::byte* allocate(const std::string& device, std::size_t bytes) {
  Address found = 0;
  const Status status = driver().mem_alloc(&found, std::max<std::size_t>(bytes, 1));
  if (status == out_of_memory) return nullptr;
  check(status, device, "cuMemAlloc");
  return reinterpret_cast<std::byte*>(found);
}

void Staging::prepare() {
  for (Piece& piece : pieces_) {
    if (piece.done != nullptr) continue;
    if (piece.data == nullptr) {
      void* memory = nullptr;
      check(driver().mem_host_alloc(&memory, piece_bytes, host_portable), device_,
            "cuMemHostAlloc");
      piece.data = static_cast<std::byte*>(memory);
    }
    check(driver().event_create(&piece.done, event_disable_timing), device_, "cuEventCreate");
  }
}

void Staging::wait(const Piece& piece) {
  check(driver().event_synchronize(piece.done), device_, "cuEventSynchronize");
}

void Staging::from_host(Stream stream, const void* from, std::byte* to, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  prepare();
  const auto* source = static_cast<const std::byte*>(from);
  std::size_t turn = 0;
  for (std::size_t at = 0; at < bytes; at += piece_bytes, turn ^= 1) {
    const std::size_t now = std::min(piece_bytes, bytes - at);
    wait(pieces_[turn]);
    std::memcpy(pieces_[turn].data, source + at, now);
    check(driver().memcpy_htod_async(address(to) + at, pieces_[turn].data, now, stream), device_,
          "cuMemcpyHtoDAsync");
    check(driver().event_record(pieces_[turn].done, stream), device_, "cuEventRecord");
  }
}

void Staging::to_host(Stream stream, const std::byte* from, void* to, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  prepare();
  auto* target = static_cast<std::byte*>(to);
  const auto begin = [&](std::size_t at) {
    Piece& piece = pieces_[at / piece_bytes % 2];
    check(driver().memcpy_dtoh_async(piece.data, address(from) + at,
                                     std::min(piece_bytes, bytes - at), stream),
          device_, "cuMemcpyDtoHAsync");
    check(driver().event_record(piece.done, stream), device_, "cuEventRecord");
  };
  for (const Piece& piece : pieces_) wait(piece);  // earlier copies read from them
  if (bytes > 0) begin(0);
  for (std::size_t at = 0; at < bytes; at += piece_bytes) {
    if (at + piece_bytes < bytes) begin(at + piece_bytes);
    const Piece& piece = pieces_[at / piece_bytes % 2];
    wait(piece);
    std::memcpy(target + at, piece.data, std::min(piece_bytes, bytes - at));
  }
}

FaultWords* FaultPool::take(const std::string& device) {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    void* memory = nullptr;
    check(driver().mem_host_alloc(&memory, faults_together * sizeof(FaultWords),
                                  host_portable | host_mapped),
          device, "cuMemHostAlloc");
    auto* words = static_cast<FaultWords*>(memory);
    free_.reserve(free_.capacity() + faults_together);  // give_back never allocates
    for (std::size_t k = 0; k < faults_together; ++k) free_.push_back(words + k);
  }
  FaultWords* words = free_.back();
  free_.pop_back();
  *words = {};
  return words;
}

void FaultPool::give_back(FaultWords* words) {
  const std::lock_guard lock(mutex_);
  free_.push_back(words);
}

}  // namespace noyau::cuda
