// What the lowerings for blocks of many threads share: batches of elements whose loads come first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "jit/lower_kernel.hpp"

namespace noyau::jit {

class BlockLowering : protected KernelLowering {
 public:
  BlockLowering(const Kernel& kernel, const Schedule& schedule, std::span<const DType> slot_types);

 protected:
  // Values of the index type.
  Value integer(std::int64_t n) { return ops_.integer(n); }
  Value plus(Value a, Value b) { return b_.binary(Opcode::add, a, b); }
  Value shifted(Value a, std::int64_t by) { return by == 0 ? a : plus(a, integer(by)); }
  Value times(Value a, std::int64_t b) {
    return b == 1 ? a : b_.binary(Opcode::multiply, a, integer(b));
  }
  Value less(Value a, Value b) { return b_.compare(Opcode::less, a, b); }
  Value smaller(Value a, Value b) { return b_.binary(Opcode::minimum, a, b); }
  Value zero(DType type) { return b_.constant(Scalar::of(0).as(type)); }
  Value thread() const { return thread_; }
  Value block() const { return block_; }
  /// The thread's number in its gang of 32, and the gang's number in the block.
  Value lane() { return b_.binary(Opcode::bit_and, thread_, integer(virtual_lanes - 1)); }
  Value gang() { return b_.binary(Opcode::shift_right, thread_, integer(5)); }

  Value load(int memory, Value index) { return b_.load(memory, ops_.as_int64(index)); }
  void store(int memory, Value index, Value value) {
    b_.store(memory, ops_.as_int64(index), value);
  }
  /// `value()` where the condition holds, else 0 of this type.
  Value load_if(Value condition, DType type, const std::function<Value()>& value);
  void when(Value condition, const std::function<void()>& body);

  /// Whether to copy loop bodies with these operations for every element of a batch, or to go
  /// round: what is long would take long to compile.
  std::uint8_t loop_for(std::span<const std::size_t> ops, std::int64_t batch) const;

  /// Loads: an array of `size` in each thread, made once.
  int array_of(std::size_t op, std::int64_t size);

  const std::int64_t threads_;

 private:
  Value lone_block();
  Value thread_, block_;
  std::map<std::size_t, int> arrays_;
};

/// Kernels without rows: `map`, `tile`.
LoweredKernel lower_map_in_blocks(const Kernel& kernel, const Schedule& schedule,
                                  std::span<const DType> slot_types);
/// Kernels with rows.
LoweredKernel lower_rows_in_blocks(const Kernel& kernel, const Schedule& schedule,
                                   std::span<const DType> slot_types);

}  // namespace noyau::jit
