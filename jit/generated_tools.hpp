// What the generated kernels share: strided views, items spread over axes, loops that carry values.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "jit/generated.hpp"

namespace noyau::jit {

/// A buffer seen as a strided array: makes offsets. Strides other than 0 and 1 are parameters, as
/// extents are; axes of extent 1 have no stride.
struct StridedBuffer {
  int memory = -1;
  DType dtype = float32;
  std::vector<Value> stride;  ///< no_value: 0 or 1, as `unit` says
  std::vector<bool> unit;
};

/// A KernelBuilder together with its launch.
class GeneratedBuilder {
 public:
  /// `block_threads`: as in DeviceLimits. Where it is not 0, indices have 32 bits if those are
  /// enough.
  explicit GeneratedBuilder(std::string name, int block_threads = 0)
      : b_(std::move(name)), block_threads_(block_threads) {}
  KernelBuilder& ir() { return b_; }

  StridedBuffer input(const TensorView& view, const std::string& name);
  StridedBuffer output(const TensorView& view, const std::string& name);
  /// An int64 parameter. Only outside of regions.
  Value number(std::int64_t value, std::string name);

  /// A number that indices are made of and that is neither a parameter nor an extent.
  void consider(std::int64_t value) { largest_ = std::max(largest_, std::abs(value)); }
  /// Of blocks programs.
  void set_extent(int axis, std::int64_t blocks) { made_.extent[axis] = blocks; }

  /// One item for each index of `extents`: lanes run along the axis of the smallest stride (of
  /// those with more than one index), the outermost axes share item axis 2. Returns the index on
  /// each axis; axes of extent 1 have the constant 0.
  std::vector<Value> spread(std::span<const std::int64_t> extents,
                            std::span<const std::int64_t> strides);
  /// The axis along which the lanes run; -1 when there is one item only.
  int lane_axis() const { return lane_axis_; }

  /// The sum of index times stride over all axes; terms that vary between lanes come last.
  Value offset(const StridedBuffer& buffer, std::span<const Value> index);
  /// The term of one axis, no_value for nothing.
  Value term(const StridedBuffer& buffer, std::size_t axis, Value index);
  Value load(const StridedBuffer& buffer, std::span<const Value> index) {
    return b_.load(buffer.memory, offset(buffer, index));
  }
  void store(const StridedBuffer& buffer, std::span<const Value> index, Value value) {
    b_.store(buffer.memory, offset(buffer, index), value);
  }

  // Arithmetic; no_value is nothing where a sum allows it.
  Value add(Value a, Value b);
  Value subtract(Value a, Value b) { return b_.binary(Opcode::subtract, a, b); }
  Value multiply(Value a, Value b) { return b_.binary(Opcode::multiply, a, b); }
  Value minimum(Value a, Value b) { return b_.binary(Opcode::minimum, a, b); }
  Value maximum(Value a, Value b) { return b_.binary(Opcode::maximum, a, b); }
  Value times(Value a, std::int64_t factor);
  Value plus(Value a, std::int64_t term);
  /// a / divisor for a >= 0.
  Value divided(Value a, std::int64_t divisor);
  Value clamped(Value a, Value last);  ///< to [0, last]
  Value inside(Value a, Value end);    ///< 0 <= a < end
  Value zero(DType type) { return b_.constant(Scalar::of(0).as(type)); }
  /// sum + a * b: fma, or wrapping integers.
  Value multiply_add(Value a, Value b, Value sum);

  /// for (i = first; i < end; ++i) carried = body(i, carried). Returns the carried values.
  using Body = std::function<std::vector<Value>(Value, std::span<const Value>)>;
  std::vector<Value> loop(Value first, Value end, std::span<const Value> carried, const Body& body,
                          std::uint8_t flags = 0);
  /// if (condition) carried = body(carried).
  using Part = std::function<std::vector<Value>(std::span<const Value>)>;
  std::vector<Value> when(Value condition, std::span<const Value> carried, const Part& body);

  GeneratedKernel take();

 private:
  StridedBuffer view(const TensorView& view, bool written, const std::string& name);
  KernelBuilder b_;
  GeneratedKernel made_;
  int lane_axis_ = -1, block_threads_ = 0;
  std::int64_t largest_ = 0;  ///< number, or place in a view
};

/// InternalError unless `condition`: what the planner promises.
void require(bool condition, const char* what);

}  // namespace noyau::jit
