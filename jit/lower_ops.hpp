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
  struct Options {
    Domain domain = Domain::items;
    bool streamed = false;
    DType index = DType::int64;  ///< in which indices are computed: int32 where they fit
    std::int64_t vector = 1;     ///< split_index counts runs of so many elements of the last axis
  };
  /// Declares the buffers and all parameters, and emits the parameters at the entry, where every
  /// region sees them.
  OpLowering(const Kernel& kernel, std::span<const DType> slot_types, const Options& options);

  KernelBuilder& builder() { return b_; }
  LoweredKernel take();

  void set_index(std::size_t axis, Value index) { index_[axis] = index; }
  Value index(std::size_t axis) const { return index_[axis]; }
  /// Sets the indices of several axes from their common row-major number (of runs of
  /// Options::vector elements, where the last axis is among them), which is below `size`.
  void split_index(Value number, std::span<const std::size_t> axes, std::int64_t size);
  /// The common row-major number of these axes.
  Value flat_index(std::span<const std::size_t> axes);

  Value extent(std::size_t axis) { return extent_[axis]; }
  Value row_size() { return row_size_; }
  int row_size_parameter() const { return row_size_parameter_; }
  /// A parameter with a fixed value. Only outside of regions.
  Value number(std::uint64_t bits, std::string name) { return number(options_.index, bits, name); }
  Value number(DType type, std::uint64_t bits, std::string name);
  int last_parameter() const { return static_cast<int>(sources_.size()) - 1; }

  // Indices: of Options::index.
  Value integer(std::int64_t n) { return b_.constant(Scalar::of(n).as(options_.index)); }
  Value as_index(Value v) {
    return b_.type(v) == options_.index ? v : b_.convert(v, options_.index);
  }
  Value as_int64(Value v) { return b_.type(v) == DType::int64 ? v : b_.convert(v, DType::int64); }

  /// Emits operation k with the current indices; its value is then value(k).
  void emit(std::size_t k);
  /// Where operation k, a load or a store, finds its element: int64.
  Value address(std::size_t k) { return as_int64(offset(kernel_.ops[k].maps[0])); }
  Value value(std::int32_t k) const { return values_[static_cast<std::size_t>(k)]; }
  void set_value(std::size_t k, Value value) { values_[k] = value; }

  /// Reductions: one value, or value and row number for arg reductions.
  std::vector<Value> identity(const KernelOp& op);
  std::vector<Value> combine(const KernelOp& op, std::span<const Value> a,
                             std::span<const Value> b);
  /// Whether computing it again costs more than keeping it.
  static bool is_dear(const KernelOp& op);

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
  const Options options_;
  KernelBuilder b_;
  std::vector<ParameterSource> sources_;
  std::vector<Value> index_, extent_, split_extent_, values_;
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
