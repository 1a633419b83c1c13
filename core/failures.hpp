// What failed on a queue, by ticket.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <span>

namespace noyau {

/// Failures are kept, so that every result of a failed submission, and all that was computed from
/// one, fails with the same exception whenever it is read. Any thread may call.
class Failures {
 public:
  /// `inherited`: of a submission that it read from, whose own entry tells of it.
  void add(std::uint64_t ticket, std::exception_ptr failure, bool inherited = false);
  /// The failure of the first of `tickets` that failed, or nothing.
  std::exception_ptr of(std::span<const std::uint64_t> tickets) const;
  /// Throws what failed at `ticket`, if it did.
  void rethrow(std::uint64_t ticket);
  /// Throws the oldest failure up to `last` that was not thrown yet, if there is one.
  void rethrow_unseen(std::uint64_t last);

 private:
  struct Failure {
    std::exception_ptr exception;
    bool seen = false;
  };
  std::atomic<bool> any_{false};
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Failure> failures_;
};

}  // namespace noyau
