// Lowering of the operations of a kernel, one at a time, wherever the loops put them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "jit/kernel.hpp"
#include "jit/lower.hpp"
#include "jit/program.hpp"

namespace noyau::jit {

/// Knows the parameters of a kernel and the current value of each axis; turns one KernelOp into
/// instructions.
class OpLowering {
 public:
  /// Declares the buffers and all parameters, and emits the parameters at the entry, where every
  /// region sees them.
  OpLowering(const Kernel& kernel, std::span<const DType> slot_types, Domain domain, bool streamed);

  KernelBuilder& builder() { return b_; }
  LoweredKernel take();

  void set_index(std::size_t axis, Value index) { index_[axis] = index; }
  /// Sets the indices of several axes from their common row-major number, which is below `size`.
  void split_index(Value number, std::span<const std::size_t> axes, std::int64_t size);
  /// The common row-major number of these axes.
  Value flat_index(std::span<const std::size_t> axes);

  Value extent(std::size_t axis) { return extent_[axis]; }
  Value row_size() { return row_size_; }
  int row_size_parameter() const { return row_size_parameter_; }
  /// A parameter with a fixed value. Only outside of regions.
  Value number(std::uint64_t bits, std::string name);

  /// Emits operation k with the current indices; its value is then value(k).
  void emit(std::size_t k);
  Value value(std::int32_t k) const { return values_[static_cast<std::size_t>(k)]; }
  void set_value(std::size_t k, Value value) { values_[k] = value; }

  /// Reductions: one value, or value and row number for arg reductions.
  std::vector<Value> identity(const KernelOp& op);
  std::vector<Value> combine(const KernelOp& op, std::span<const Value> a,
                             std::span<const Value> b);
  /// Whether computing it again costs more than keeping it.
  bool is_dear(const KernelOp& op) const;

 private:
  Value offset(const AffineMap& map);
  Value coordinate(const AffineMap& map);
  Value number_of(std::int64_t value);
  Value load_rolled(const KernelOp& op);
  Value load_padded(const KernelOp& op);
  Value iota(const KernelOp& op);
  Value random(const KernelOp& op);
  Value slot(std::int32_t number) const { return slots_.at(number); }
  void declare_numbers(const KernelOp& op);
  void declare_divisors();

  const Kernel& kernel_;
  KernelBuilder b_;
  std::vector<ParameterSource> sources_;
  std::vector<Value> index_, extent_, values_;
  Value row_size_ = no_value;
  int row_size_parameter_ = -1;
  std::map<std::pair<std::size_t, std::int64_t>, Value> strides_;  ///< (axis, stride)
  std::map<std::int64_t, Value> numbers_;
  std::map<std::int32_t, Value> slots_;
  struct Divisor {
    Value multiplier, shift;
  };
  std::map<std::size_t, Divisor>
      divisors_;  ///< by axis: multiply and shift, for numbers below 2^31
};

}  // namespace noyau::jit
