// Transfers: which copies between devices come first, and how bytes get from one to another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "core/graph.hpp"

namespace noyau {

/// These pending transfers and all that they depend on, in rounds: a transfer needs only those of
/// the rounds before. Linear, without recursion. Under the eval mutex.
std::vector<std::vector<NodeRef>> transfer_rounds(std::span<const NodeRef> transfers);

/// A buffer on `to` with the first `bytes` bytes of `from`, which are ready. Waits for the copy.
BufferRef copy_to(DeviceBackend& to, const Storage& from, std::size_t bytes);

/// `bytes` bytes of `from`, beginning with byte `first` of it, which are ready.
std::vector<std::byte> host_copy(const Storage& from, std::int64_t first, std::size_t bytes);

}  // namespace noyau
