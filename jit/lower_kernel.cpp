// What the lowerings of all schedules share.
// SPDX-License-Identifier: Apache-2.0
#include "jit/lower_kernel.hpp"

#include <algorithm>

namespace noyau::jit {

bool is_reduction(const KernelOp& op) {
  return op.kind == KernelOp::Kind::reduce || op.kind == KernelOp::Kind::arg_reduce;
}

KernelLowering::KernelLowering(const Kernel& kernel, const Schedule& schedule,
                               std::span<const DType> slot_types,
                               const OpLowering::Options& options)
    : kernel_(kernel), schedule_(schedule), ops_(kernel, slot_types, options), b_(ops_.builder()) {
  for (std::size_t a = 0; a < kernel.axes.size(); ++a)
    (kernel.axes[a].row ? row_axes_ : parallel_axes_).push_back(a);
  for (const KernelOp& op : kernel.ops) last_stage_ = std::max(last_stage_, op.stage);
}

LoweredKernel KernelLowering::take(std::int32_t block_threads) {
  LoweredKernel result = ops_.take();
  std::copy(extent_, extent_ + 3, result.extent);
  result.scratch_bytes = scratch_bytes_;
  result.ticket_bytes = ticket_bytes_;
  if (result.program.domain == Domain::blocks) result.program.block_size[0] = block_threads;
  return result;
}

void KernelLowering::store_all(int stage, bool row) {
  for (std::size_t k = 0; k < kernel_.ops.size(); ++k)
    if (is_store(kernel_.ops[k]) && kernel_.ops[k].row == row && kernel_.ops[k].stage == stage)
      ops_.emit(k);
}

std::vector<std::size_t> KernelLowering::reductions_of(int stage) const {
  std::vector<std::size_t> list;
  for (std::size_t k = 0; k < kernel_.ops.size(); ++k)
    if (is_reduction(kernel_.ops[k]) && kernel_.ops[k].stage == stage + 1) list.push_back(k);
  return list;
}

std::vector<std::size_t> KernelLowering::row_stores_of(int stage) const {
  std::vector<std::size_t> list;
  for (std::size_t k = 0; k < kernel_.ops.size(); ++k)
    if (is_store(kernel_.ops[k]) && kernel_.ops[k].row && kernel_.ops[k].stage == stage)
      list.push_back(k);
  return list;
}

std::vector<std::size_t> KernelLowering::targets_of(int stage) const {
  std::vector<std::size_t> targets = reductions_of(stage);
  for (std::size_t s : row_stores_of(stage)) targets.push_back(s);
  return targets;
}

std::vector<std::size_t> KernelLowering::needed_rows(std::span<const std::size_t> targets) const {
  std::vector<char> wanted(kernel_.ops.size(), 0);
  for (std::size_t t : targets) wanted[t] = 1;
  std::vector<std::size_t> list;
  for (std::size_t k = kernel_.ops.size(); k-- > 0;) {
    if (!wanted[k]) continue;
    const KernelOp& op = kernel_.ops[k];
    if (op.row && !is_store(op)) list.push_back(k);
    if (kept_.count(k)) continue;
    for (std::int32_t a : op.args)
      if (a >= 0 && kernel_.ops[static_cast<std::size_t>(a)].row)
        wanted[static_cast<std::size_t>(a)] = 1;
  }
  std::reverse(list.begin(), list.end());
  return list;
}

KernelLowering::Accumulators KernelLowering::start(std::span<const std::size_t> reductions) {
  Accumulators acc{{reductions.begin(), reductions.end()}, {}};
  for (std::size_t r : reductions)
    for (Value v : ops_.identity(kernel_.ops[r])) acc.values.push_back(v);
  return acc;
}

std::vector<Value> KernelLowering::arguments(const Accumulators& acc, Value row_number) {
  std::vector<Value> list;
  for (std::size_t r : acc.reductions) {
    list.push_back(ops_.value(kernel_.ops[r].args[0]));
    if (width(r) == 2) list.push_back(ops_.as_int64(row_number));
  }
  return list;
}

std::vector<Value> KernelLowering::combine(const Accumulators& acc, std::span<const Value> a,
                                           std::span<const Value> b) {
  std::vector<Value> list;
  std::size_t k = 0;
  for (std::size_t r : acc.reductions) {
    for (Value v : ops_.combine(kernel_.ops[r], a.subspan(k, width(r)), b.subspan(k, width(r))))
      list.push_back(v);
    k += width(r);
  }
  return list;
}

void KernelLowering::bind(const Accumulators& acc, std::span<const Value> values) {
  std::size_t k = 0;
  for (std::size_t r : acc.reductions) {
    k += width(r);
    ops_.set_value(r, values[k - 1]);
  }
}

bool KernelLowering::any_order(std::span<const std::size_t> reductions) const {
  return std::all_of(reductions.begin(), reductions.end(), [&](std::size_t r) {
    const KernelOp& op = kernel_.ops[r];
    const auto code = static_cast<ReduceOp>(op.code);
    return op.kind == KernelOp::Kind::reduce &&
           (code == ReduceOp::maximum || code == ReduceOp::minimum || !is_floating(op.compute));
  });
}

void KernelLowering::emit_outer(int stage) {
  for (std::size_t k = 0; k < kernel_.ops.size(); ++k) {
    const KernelOp& op = kernel_.ops[k];
    if (!op.row && !is_reduction(op) && !is_store(op) && op.stage == stage) ops_.emit(k);
  }
}

void KernelLowering::set_row(Value row_number) {
  if (row_axes_.size() == 1) ops_.set_index(row_axes_[0], row_number);
  else ops_.split_index(row_number, row_axes_, kernel_.row_size());
}

void KernelLowering::emit_row_body(Value row_number, std::span<const std::size_t> needed,
                                   std::span<const std::size_t> stores) {
  set_row(row_number);
  for (std::size_t k : needed) {
    if (auto kept = kept_.find(k); kept != kept_.end()) {
      ops_.set_value(k, b_.load(kept->second, row_number));
      continue;
    }
    ops_.emit(k);
    if (auto keep = keep_now_.find(k); keep != keep_now_.end())
      b_.store(keep->second, row_number, ops_.value(static_cast<std::int32_t>(k)));
  }
  for (std::size_t k : stores) ops_.emit(k);
}

void KernelLowering::count(Value first, Value end, std::int64_t step,
                           const std::function<void(Value)>& body, std::uint8_t flags) {
  const Value initial[] = {first};
  const auto p = b_.begin_loop(initial);
  b_.program().instructions[static_cast<std::size_t>(p[0] - 1)].flags = flags;
  b_.loop_while(b_.compare(Opcode::less, p[0], end));
  body(p[0]);
  const Value next[] = {b_.binary(Opcode::add, p[0], ops_.integer(step))};
  b_.end_loop(next);
}

std::vector<Value> KernelLowering::lane_tree(const Accumulators& acc, std::vector<Value> values) {
  for (std::int64_t distance = virtual_lanes / 2; distance > 0; distance /= 2) {
    const Value mask = b_.constant_i64(distance);
    std::vector<Value> theirs;
    for (Value v : values) theirs.push_back(b_.shuffle(ShuffleMode::exclusive_or, v, mask));
    values = combine(acc, values, theirs);
  }
  const Value zero = b_.constant_i64(0);
  for (Value& v : values) v = b_.shuffle(ShuffleMode::index, v, zero);
  return values;
}

}  // namespace noyau::jit
