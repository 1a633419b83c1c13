// The meaning of each arithmetic instruction on single values.
// SPDX-License-Identifier: Apache-2.0
#include "jit/scalar_ops.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "noyau/error.hpp"

namespace noyau::jit {

namespace {

template <class T>
T from_bits(std::uint64_t bits) {
  if constexpr (std::is_same_v<T, bool>) return bits != 0;
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
template <class T>
std::uint64_t to_bits(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

[[noreturn]] void no_meaning(Opcode op, DType type) {
  throw InternalError(fmt::format("evaluate: {} of {}", name(op), noyau::name(type)));
}

/// The smaller, where -0 is below +0; NaN when one is NaN.
template <class T>
T minimum(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) ? a : b;
    if (a == b) return std::signbit(a) ? a : b;
  }
  return a < b ? a : b;
}
template <class T>
T maximum(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) ? a : b;
    if (a == b) return std::signbit(a) ? b : a;
  }
  return a < b ? b : a;
}

template <class T>
T float_op(Opcode op, const T* v) {
  switch (op) {
    case Opcode::add:
      return v[0] + v[1];
    case Opcode::subtract:
      return v[0] - v[1];
    case Opcode::multiply:
      return v[0] * v[1];
    case Opcode::divide:
      return v[0] / v[1];
    case Opcode::remainder:
      return std::fmod(v[0], v[1]);
    case Opcode::negate:
      return -v[0];
    case Opcode::absolute:
      return std::fabs(v[0]);
    case Opcode::minimum:
      return minimum(v[0], v[1]);
    case Opcode::maximum:
      return maximum(v[0], v[1]);
    case Opcode::fma:
      return std::fma(v[0], v[1], v[2]);
    case Opcode::sqrt:
      return std::sqrt(v[0]);
    case Opcode::floor:
      return std::floor(v[0]);
    case Opcode::ceil:
      return std::ceil(v[0]);
    case Opcode::trunc:
      return std::trunc(v[0]);
    case Opcode::rint:
      return std::nearbyint(v[0]);
    default:
      no_meaning(op, dtype_of<T>());
  }
}

template <class T>
T shift(Opcode op, T a, T n) {
  constexpr int width = static_cast<int>(8 * sizeof(T));
  const bool beyond = n < 0 || static_cast<std::uint64_t>(n) >= width;
  if (op == Opcode::shift_left) {
    return beyond ? T{0} : static_cast<T>(static_cast<std::uint64_t>(a) << n);
  }
  // Shifting by width - 1 leaves the sign, or for an unsigned value one bit too many.
  if (beyond) return a < 0 ? static_cast<T>(-1) : T{0};
  return static_cast<T>(a >> n);
}

/// Integers: the low bits of 64-bit unsigned arithmetic, which wraps for every width.
template <class T>
T integer_op(Opcode op, const T* v) {
  auto u = [&](int k) { return static_cast<std::uint64_t>(v[k]); };
  switch (op) {
    case Opcode::add:
      return static_cast<T>(u(0) + u(1));
    case Opcode::subtract:
      return static_cast<T>(u(0) - u(1));
    case Opcode::multiply:
      return static_cast<T>(u(0) * u(1));
    case Opcode::negate:
      return static_cast<T>(0 - u(0));
    case Opcode::absolute:
      return v[0] < 0 ? static_cast<T>(0 - u(0)) : v[0];
    case Opcode::divide:
      if (v[1] == 0) return 0;
      if (std::is_signed_v<T> && v[1] == static_cast<T>(-1)) return static_cast<T>(0 - u(0));
      return static_cast<T>(v[0] / v[1]);
    case Opcode::remainder:
      if (v[1] == 0 || (std::is_signed_v<T> && v[1] == static_cast<T>(-1))) return 0;
      return static_cast<T>(v[0] % v[1]);
    case Opcode::minimum:
      return minimum(v[0], v[1]);
    case Opcode::maximum:
      return maximum(v[0], v[1]);
    case Opcode::bit_and:
      return static_cast<T>(u(0) & u(1));
    case Opcode::bit_or:
      return static_cast<T>(u(0) | u(1));
    case Opcode::bit_xor:
      return static_cast<T>(u(0) ^ u(1));
    case Opcode::bit_not:
      return static_cast<T>(~u(0));
    case Opcode::shift_left:
    case Opcode::shift_right:
      return shift(op, v[0], v[1]);
    default:
      no_meaning(op, dtype_of<T>());
  }
}

bool bool_op(Opcode op, const bool* v) {
  switch (op) {
    case Opcode::bit_and:
      return v[0] && v[1];
    case Opcode::bit_or:
      return v[0] || v[1];
    case Opcode::bit_xor:
      return v[0] != v[1];
    case Opcode::bit_not:
      return !v[0];
    default:
      no_meaning(op, bool_);
  }
}

template <class T>
bool compare(Opcode op, T a, T b) {
  switch (op) {
    case Opcode::equal:
      return a == b;
    case Opcode::not_equal:
      return a != b;
    case Opcode::less:
      return a < b;
    case Opcode::less_equal:
      return a <= b;
    case Opcode::greater:
      return a > b;
    default:
      return a >= b;
  }
}

/// Arithmetic or comparison of values of type T.
template <class T>
std::uint64_t typed(Opcode op, std::span<const std::uint64_t> operands) {
  T v[3] = {};
  for (std::size_t k = 0; k < operands.size() && k < 3; ++k) v[k] = from_bits<T>(operands[k]);
  if (is_comparison(op)) return compare(op, v[0], v[1]) ? 1 : 0;
  if constexpr (std::is_floating_point_v<T>) return to_bits(float_op(op, v));
  else if constexpr (std::is_same_v<T, bool>) return to_bits(bool_op(op, v));
  else return to_bits(integer_op(op, v));
}

}  // namespace

std::uint64_t evaluate(Opcode op, DType type, DType operand_type,
                       std::span<const std::uint64_t> operands) {
  if (op == Opcode::select) return operands[0] != 0 ? operands[1] : operands[2];
  if (op == Opcode::bitcast) return operands[0];
  if (op == Opcode::convert) return Scalar{operand_type, operands[0]}.as(type).bits;
  if (!can_evaluate(op)) no_meaning(op, type);
  switch (operand_type) {
    case bool_:
      return typed<bool>(op, operands);
    case int8:
      return typed<std::int8_t>(op, operands);
    case int16:
      return typed<std::int16_t>(op, operands);
    case int32:
      return typed<std::int32_t>(op, operands);
    case int64:
      return typed<std::int64_t>(op, operands);
    case uint8:
      return typed<std::uint8_t>(op, operands);
    case uint16:
      return typed<std::uint16_t>(op, operands);
    case uint32:
      return typed<std::uint32_t>(op, operands);
    case uint64:
      return typed<std::uint64_t>(op, operands);
    case float32:
      return typed<float>(op, operands);
    case float64:
      return typed<double>(op, operands);
    case float16:
    case bfloat16:
      break;
  }
  no_meaning(op, operand_type);
}

std::uint64_t evaluate(AtomicOp op, DType type, std::uint64_t old, std::uint64_t value,
                       std::uint64_t expected) {
  const std::uint64_t operands[] = {old, value};
  switch (op) {
    case AtomicOp::add:
      return evaluate(Opcode::add, type, type, operands);
    case AtomicOp::minimum:
      return evaluate(Opcode::minimum, type, type, operands);
    case AtomicOp::maximum:
      return evaluate(Opcode::maximum, type, type, operands);
    case AtomicOp::bit_and:
      return evaluate(Opcode::bit_and, type, type, operands);
    case AtomicOp::bit_or:
      return evaluate(Opcode::bit_or, type, type, operands);
    case AtomicOp::bit_xor:
      return evaluate(Opcode::bit_xor, type, type, operands);
    case AtomicOp::exchange:
    case AtomicOp::store:
      return value;
    case AtomicOp::compare_exchange:
      return old == expected ? value : old;
    case AtomicOp::load:
      return old;
  }
  throw InternalError("evaluate: no such atomic operation");
}

}  // namespace noyau::jit
