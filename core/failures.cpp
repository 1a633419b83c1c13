// What failed on a queue: a map that is looked at only after the first failure.
// SPDX-License-Identifier: Apache-2.0
#include "core/failures.hpp"

#include <utility>

namespace noyau {

void Failures::add(std::uint64_t ticket, std::exception_ptr failure, bool inherited) {
  const std::lock_guard lock(mutex_);
  failures_[ticket] = {std::move(failure), inherited};
  any_.store(true, std::memory_order_release);
}

std::exception_ptr Failures::of(std::span<const std::uint64_t> tickets) const {
  if (!any_.load(std::memory_order_acquire)) return nullptr;
  const std::lock_guard lock(mutex_);
  for (std::uint64_t ticket : tickets)
    if (const auto found = failures_.find(ticket); found != failures_.end())
      return found->second.exception;
  return nullptr;
}

void Failures::rethrow(std::uint64_t ticket) {
  if (!any_.load(std::memory_order_acquire)) return;
  std::exception_ptr failure;
  {
    const std::lock_guard lock(mutex_);
    const auto found = failures_.find(ticket);
    if (found == failures_.end()) return;
    found->second.seen = true;
    failure = found->second.exception;
  }
  std::rethrow_exception(failure);
}

void Failures::rethrow_unseen(std::uint64_t last) {
  if (!any_.load(std::memory_order_acquire)) return;
  std::uint64_t first = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [ticket, failure] : failures_) {
      if (ticket > last) break;
      if (failure.seen) continue;
      first = ticket;
      break;
    }
  }
  if (first != 0) rethrow(first);
}

}  // namespace noyau
