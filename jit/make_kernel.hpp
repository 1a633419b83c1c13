// From nodes that are computed together to a Kernel.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "jit/fusion.hpp"
#include "jit/kernel.hpp"
#include "jit/trace.hpp"

namespace noyau::jit {

/// What the maker asks of the plan.
struct KernelContext {
  const Trace& trace;
  const Fusion& fusion;
  /// Strides of node i's memory over its shape; row-major unless the plan chose otherwise.
  std::function<const Shape&(std::int32_t)> storage;
  /// Called for each node whose values the kernel loads.
  std::function<void(std::int32_t)> load;
};

/// A kernel that computes `targets` (nodes of `group`, or whose values this segment of the group
/// ends with) and stores them. `members` are the nodes of the group that it may compute at their
/// own place; others are inlined or loaded.
Kernel make_kernel(const KernelContext& context, const Group& group,
                   std::span<const std::int32_t> members, std::span<const std::int32_t> targets);

}  // namespace noyau::jit
