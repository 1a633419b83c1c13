// Strided views, items spread over axes and loops of the generated kernels.
// SPDX-License-Identifier: Apache-2.0
#include "jit/generated_tools.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <numeric>

#include "jit/narrow_indices.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {

void require(bool condition, const char* what) {
  if (!condition) throw InternalError(fmt::format("generated kernel: {}", what));
}

StridedBuffer GeneratedBuilder::view(const TensorView& view, bool written,
                                     const std::string& name) {
  require(view.shape.elements() > 0, "an operand without elements");
  StridedBuffer buffer{b_.buffer(view.dtype, !written, written, name), view.dtype, {}, {}};
  std::int64_t reach = 0;
  for (int a = 0; a < view.shape.rank(); ++a) {
    const std::int64_t stride = view.shape[a] == 1 ? 0 : view.strides[a];
    reach += std::abs(stride) * (view.shape[a] - 1);
    const bool plain = stride == 0 || stride == 1;
    buffer.stride.push_back(plain ? no_value : number(stride, fmt::format("{}_stride{}", name, a)));
    buffer.unit.push_back(stride == 1);
  }
  consider(reach);
  return buffer;
}
StridedBuffer GeneratedBuilder::input(const TensorView& v, const std::string& name) {
  return view(v, false, name);
}
StridedBuffer GeneratedBuilder::output(const TensorView& v, const std::string& name) {
  return view(v, true, name);
}

Value GeneratedBuilder::number(std::int64_t value, std::string name) {
  made_.parameters.push_back(static_cast<std::uint64_t>(value));
  consider(value);
  return b_.parameter(b_.new_parameter(DType::int64, std::move(name)));
}

std::vector<Value> GeneratedBuilder::spread(std::span<const std::int64_t> extents,
                                            std::span<const std::int64_t> strides) {
  std::vector<std::size_t> axes;
  for (std::size_t a = 0; a < extents.size(); ++a)
    if (extents[a] > 1) axes.push_back(a);
  const auto size = [&](std::size_t a) { return std::abs(strides[a]); };
  std::stable_sort(axes.begin(), axes.end(),
                   [&](std::size_t a, std::size_t b) { return size(a) < size(b); });
  const Value zero = b_.constant_i64(0);
  std::vector<Value> index(extents.size(), zero);
  if (!axes.empty()) lane_axis_ = static_cast<int>(axes[0]);
  Value rest = no_value;
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const std::size_t a = axes[k];
    made_.extent[std::min<std::size_t>(k, 2)] *= extents[a];
    if (k < 2) {
      index[a] = b_.item(static_cast<int>(k));
      continue;
    }
    if (rest == no_value) rest = b_.item(2);
    if (k + 1 == axes.size()) {
      index[a] = rest;
      continue;
    }
    const Value extent = number(extents[a], fmt::format("extent{}", a));
    const Value outer = b_.binary(Opcode::divide, rest, extent);
    index[a] = subtract(rest, multiply(outer, extent));
    rest = outer;
  }
  return index;
}

Value GeneratedBuilder::term(const StridedBuffer& buffer, std::size_t axis, Value index) {
  if (buffer.unit[axis]) return index;
  if (buffer.stride[axis] == no_value) return no_value;
  return multiply(index, buffer.stride[axis]);
}

Value GeneratedBuilder::offset(const StridedBuffer& buffer, std::span<const Value> index) {
  require(index.size() == buffer.stride.size(), "an index of another rank");
  Value sum = no_value;
  for (std::size_t a = 0; a < index.size(); ++a)
    if (static_cast<int>(a) != lane_axis_) sum = add(sum, term(buffer, a, index[a]));
  if (lane_axis_ >= 0 && static_cast<std::size_t>(lane_axis_) < index.size()) {
    const auto a = static_cast<std::size_t>(lane_axis_);
    sum = add(sum, term(buffer, a, index[a]));
  }
  return sum == no_value ? b_.constant_i64(0) : sum;
}

Value GeneratedBuilder::add(Value a, Value b) {
  if (a == no_value) return b;
  return b == no_value ? a : b_.binary(Opcode::add, a, b);
}
Value GeneratedBuilder::times(Value a, std::int64_t factor) {
  return factor == 1 ? a : multiply(a, b_.constant_i64(factor));
}
Value GeneratedBuilder::plus(Value a, std::int64_t term) {
  return term == 0 ? a : b_.binary(Opcode::add, a, b_.constant_i64(term));
}
Value GeneratedBuilder::divided(Value a, std::int64_t divisor) {
  if (divisor == 1) return a;
  const auto d = static_cast<std::uint64_t>(divisor);
  if (!std::has_single_bit(d)) return b_.binary(Opcode::divide, a, b_.constant_i64(divisor));
  return b_.binary(Opcode::shift_right, a, b_.constant_i64(std::countr_zero(d)));
}
Value GeneratedBuilder::clamped(Value a, Value last) {
  return maximum(minimum(a, last), b_.constant_i64(0));
}
Value GeneratedBuilder::inside(Value a, Value end) {
  return b_.binary(Opcode::bit_and, b_.compare(Opcode::greater_equal, a, b_.constant_i64(0)),
                   b_.compare(Opcode::less, a, end));
}
Value GeneratedBuilder::multiply_add(Value a, Value b, Value sum) {
  if (is_floating(b_.type(sum))) return b_.ternary(Opcode::fma, a, b, sum);
  return b_.binary(Opcode::add, sum, multiply(a, b));
}

std::vector<Value> GeneratedBuilder::loop(Value first, Value end, std::span<const Value> carried,
                                          const Body& body, std::uint8_t flags) {
  std::vector<Value> initial{first};
  initial.insert(initial.end(), carried.begin(), carried.end());
  const std::vector<Value> p = b_.begin_loop(initial);
  b_.program().instructions[static_cast<std::size_t>(p[0] - 1)].flags = flags;
  b_.loop_while(b_.compare(Opcode::less, p[0], end));
  const std::vector<Value> values = body(p[0], std::span(p).subspan(1));
  std::vector<Value> next{plus(p[0], 1)};
  next.insert(next.end(), values.begin(), values.end());
  b_.end_loop(next);
  return {p.begin() + 1, p.end()};
}

std::vector<Value> GeneratedBuilder::when(Value condition, std::span<const Value> carried,
                                          const Part& body) {
  b_.begin_if(condition);
  const std::vector<Value> then = body(carried);
  b_.begin_else(then);
  return b_.end_if(carried);
}

GeneratedKernel GeneratedBuilder::take() {
  // What is past a view's end by a tile or a window, and sums of two, still have 32 bits.
  constexpr std::int64_t most = std::int64_t{1} << 30;
  for (const std::int64_t extent : made_.extent) consider(extent);
  made_.program = b_.finish();
  if (block_threads_ > 0 && largest_ < most) made_.program = narrow_indices(made_.program);
  return std::move(made_);
}

}  // namespace noyau::jit
