// What the lowerings of all schedules share: which operations a stage needs, accumulators, trees.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "jit/lower.hpp"
#include "jit/lower_ops.hpp"

namespace noyau::jit {

bool is_reduction(const KernelOp& op);
inline bool is_store(const KernelOp& op) { return op.kind == KernelOp::Kind::store; }

/// Makes the Program of one kernel; a subclass for each class of schedules gives it its loops.
class KernelLowering {
 public:
  KernelLowering(const Kernel& kernel, const Schedule& schedule, std::span<const DType> slot_types,
                 const OpLowering::Options& options);
  KernelLowering(const KernelLowering&) = delete;
  KernelLowering& operator=(const KernelLowering&) = delete;

 protected:
  LoweredKernel take(std::int32_t block_threads);

  std::int64_t extent_of(std::size_t axis) const { return kernel_.axes[axis].extent; }
  /// Reductions and stores in the row loop of a stage, and the row operations that they need, in
  /// order; values that `kept_` holds from an earlier stage end the search.
  std::vector<std::size_t> reductions_of(int stage) const;
  std::vector<std::size_t> row_stores_of(int stage) const;
  std::vector<std::size_t> needed_rows(std::span<const std::size_t> targets) const;
  /// Both of a stage, as targets of needed_rows.
  std::vector<std::size_t> targets_of(int stage) const;

  struct Accumulators {
    std::vector<std::size_t> reductions;
    std::vector<Value> values;  ///< one for each reduce, two for each arg_reduce
  };
  Accumulators start(std::span<const std::size_t> reductions);
  /// How many values an accumulator of reduction r has.
  std::size_t width(std::size_t r) const {
    return kernel_.ops[r].kind == KernelOp::Kind::arg_reduce ? 2 : 1;
  }
  /// What the reductions combine, of the row operations emitted last.
  std::vector<Value> arguments(const Accumulators& acc, Value row_number);
  /// Combines one by one.
  std::vector<Value> combine(const Accumulators& acc, std::span<const Value> a,
                             std::span<const Value> b);
  /// Combines the row's values (already emitted) into the accumulators.
  std::vector<Value> accumulate(const Accumulators& acc, std::span<const Value> current,
                                Value row_number) {
    return combine(acc, current, arguments(acc, row_number));
  }
  /// Binds the finished accumulators as the values of their reductions.
  void bind(const Accumulators& acc, std::span<const Value> values);
  /// Whether elements may be combined in any order: the result is the same to the bit.
  bool any_order(std::span<const std::size_t> reductions) const;

  void emit_outer(int stage);
  void store_all(int stage, bool row);
  void set_row(Value row_number);
  /// One element of a row loop: sets the row indices, emits what is needed, stores; the reductions'
  /// arguments are then bound.
  void emit_row_body(Value row_number, std::span<const std::size_t> needed,
                     std::span<const std::size_t> stores);
  /// for (i = first; i < end; i += step) body(i)
  void count(Value first, Value end, std::int64_t step, const std::function<void(Value)>& body,
             std::uint8_t flags = 0);
  /// Combines the 32 lanes of a gang pairwise; afterwards every lane has the result.
  std::vector<Value> lane_tree(const Accumulators& acc, std::vector<Value> values);

  const Kernel& kernel_;
  const Schedule& schedule_;
  OpLowering ops_;
  KernelBuilder& b_;
  std::vector<std::size_t> parallel_axes_, row_axes_;
  std::int32_t last_stage_ = 0;
  std::int64_t extent_[3] = {1, 1, 1};
  std::vector<std::int64_t> scratch_bytes_;
  std::int64_t ticket_bytes_ = 0;
  std::map<std::size_t, int> keep_now_, kept_;  ///< op -> the row buffer it goes to, it is in
};

/// Schedules of devices whose blocks have many threads.
LoweredKernel lower_blocks(const Kernel& kernel, const Schedule& schedule,
                           std::span<const DType> slot_types);

}  // namespace noyau::jit
