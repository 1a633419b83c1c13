// The reference evaluator: slow and plain, what every device and every test compares with.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/graph.hpp"
#include "ops/op_table.hpp"

namespace noyau::reference {

/// How results of float32, float16 and bfloat16 are kept.
enum class Rounding : std::uint8_t {
  none,           ///< in float64 throughout: the oracle of accuracy
  each_operation  ///< rounded after each node, so that exactly rounded operations compare bit by
                  ///< bit
};

/// The values of one array, in row-major order.
struct Value {
  DType dtype = float32;
  Shape shape;
  std::vector<double> reals;            ///< of a floating dtype
  std::vector<std::uint64_t> integers;  ///< of an integer dtype (sign- or zero-extended) or bool

  Value() = default;
  Value(DType type, const Shape& extents);  ///< zeros
  bool is_real() const { return is_floating(dtype); }
  std::size_t size() const { return is_real() ? reals.size() : integers.size(); }
  double to_double(std::size_t i) const;  ///< an integer of more than 53 bits is rounded
  bool is_true(std::size_t i) const { return is_real() ? reals[i] != 0 : integers[i] != 0; }
  /// Element `from` of `other`, of the same dtype, becomes element `i`.
  void copy_element(std::size_t i, const Value& other, std::size_t from) {
    if (is_real()) reals[i] = other.reals[from];
    else integers[i] = other.integers[from];
  }
};

/// What `array` is, computed node by node in creation order without any kernel. Nodes that are
/// evaluated already are read, so ask before evaluating. Touches no node's state.
Value evaluate(const Array& array, Rounding rounding = Rounding::none);
/// Several arrays, each node computed once.
std::vector<Value> evaluate(std::span<const Array> arrays, Rounding rounding = Rounding::none);
/// The outputs of one pending node from the values of inputs_of(node).
std::vector<Value> apply(const Node& node, std::span<const Value* const> inputs, Rounding rounding);
/// The inputs that values depend on: all, but the first alone of a custom_gradient. A view is
/// worked out from its input and its kind, not from its base and strides, so that a wrong stride
/// shows.
std::vector<NodeRef> inputs_of(const Node& node);
/// The pending nodes that `arrays` depend on, themselves included, in creation order.
std::vector<Node*> pending_nodes(std::span<const Array> arrays);
/// The stored values of one output of an evaluated node.
Value stored(const Node& node, int output);
/// The values of `array` as its device computes them: evaluates it.
Value computed(const Array& array);

/// Where an element of a node that only moves elements comes from: element `element` of input
/// number `input` (as in apply), or, when that is -1, the constant of a pad.
struct Source {
  int input;
  std::int64_t element;
};
/// For each element of a view, roll, pad, concatenate, set or max_pool_gather node.
std::vector<Source> sources(const Node& node, std::span<const Value* const> inputs);

/// One elementwise operation on one element, in T float or double: exactly rounded where IEEE 754
/// says so, else the C library's result, computed wider and rounded once.
template <class T>
T real_operation(ops::ElementwiseOp op, T x, T y, T z);
/// The same for integers and bool of `dtype`, in Value's form.
std::uint64_t integer_operation(ops::ElementwiseOp op, DType dtype, std::uint64_t x,
                                std::uint64_t y);
/// The low bits of `value` as an integer or bool of `dtype`, in Value's form.
std::uint64_t wrap(DType dtype, std::uint64_t value);
/// astype's conversion of a real number to an integer or bool.
std::uint64_t to_integer(DType dtype, double value);

/// Four words of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011).
struct PhiloxWords {
  std::uint32_t word[4];
};
PhiloxWords philox(PhiloxWords counter, std::uint32_t key0, std::uint32_t key1);

}  // namespace noyau::reference
