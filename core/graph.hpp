// The graph: immutable nodes behind reference-counted handles, and the only way to make one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/buffer.hpp"
#include "noyau/array.hpp"
#include "noyau/device.hpp"
#include "noyau/dtype.hpp"
#include "noyau/precision.hpp"
#include "noyau/shape.hpp"

namespace noyau {

/// What a node computes. The operations of one kind differ by `code` and attributes.
enum class NodeKind : std::uint8_t {
  data,         ///< values that are there: no inputs, storage set
  constant,     ///< one scalar for every element (Scalar attribute)
  iota,         ///< start + step * (index along an axis) (IotaAttributes)
  elementwise,  ///< code: ElementwiseOp; inputs of this node's shape (or scalars' views by
                ///< broadcast)
  cast,         ///< to this node's dtype
  view,         ///< another arrangement of its input's elements (ViewAttributes)
  reduce,       ///< code: ReduceOp over AxesAttributes
  arg_reduce,   ///< code: ReduceOp maximum or minimum; int64 index of the first along the axes
                ///< (row-major)
  roll,         ///< RollAttributes: an index map whose offsets are slots
  pad,          ///< PadAttributes
  concatenate,  ///< AxesAttributes: {axis}; two or more inputs
  set,          ///< inputs x, value: x with the strided region of ViewAttributes replaced
  random,       ///< RandomAttributes; 64-bit counter = element number
  matmul,       ///< a[..., m, k] b[..., k, n], equal batch axes
  convolution,  ///< x, weights; WindowAttributes
  convolution_input_gradient,   ///< dy, weights
  convolution_weight_gradient,  ///< x, dy
  max_pool,  ///< outputs: values, int64 index in the input's h * w plane (first maximum, row-major)
  max_pool_gradient,  ///< dy, indices -> dx: each dy is added where its maximum was
  max_pool_gather,    ///< x, indices: the elements of x that the indices name
  avg_pool,  ///< zero padding counts in the divisor only inside the padded input (as PyTorch's
             ///< count_include_pad)
  avg_pool_gradient,  ///< dy
  watch,              ///< the input of an open gradient frame; the identity
  stop_gradient,      ///< the identity, with no gradient
  custom_gradient,    ///< the identity of its first input, with the user's backward function
                      ///< (CustomGradientAttributes), which gets the others
  transfer            ///< a copy on another device
};
constexpr int node_kind_count = static_cast<int>(NodeKind::transfer) + 1;

/// How a reduction combines. sum of integers is 64-bit; mean, var, any, all are built from these.
enum class ReduceOp : std::uint8_t { sum, product, minimum, maximum, any, all };

struct IotaAttributes {
  Scalar start = {}, step = {};  ///< of the node's dtype
  int axis = 0;
  std::optional<Scalar> last = {};  ///< the exact value of the last element (linspace)
};

/// A view: element (i0, i1, ...) is element offset + sum of i_k * strides[k] of `base` in its
/// row-major order. `base` is never a view itself; the node's input is the array the user viewed,
/// which gradients need.
struct ViewAttributes {
  enum class Kind : std::uint8_t { reshape, permute, slice, broadcast } kind = Kind::reshape;
  std::vector<std::int64_t> axes = {};  ///< permute: the input's axis for each axis
  std::vector<std::int64_t> starts = {},
                            steps = {};  ///< slice, and set: for each axis of the input
  std::int64_t offset = 0;               ///< in `base`; for set, in the input
  Shape strides = {};
};
struct AxesAttributes {
  std::vector<int> axes = {};  ///< sorted, non-negative
  bool keepdims = false;
};
struct RollAttributes {
  std::vector<std::int64_t> shifts = {};  ///< for each axis, in [0, extent)
};
enum class PadMode : std::uint8_t { constant, edge, reflect };
struct PadAttributes {
  PadMode mode = PadMode::constant;
  std::vector<std::int64_t> low = {}, high = {};
  Scalar value = {};
};
struct WindowAttributes {  ///< [0] is height, [1] width
  std::int64_t window[2] = {1, 1}, stride[2] = {1, 1}, low[2] = {0, 0}, high[2] = {0, 0},
               dilation[2] = {1, 1};
  std::int64_t groups = 1;
};
enum class Distribution : std::uint8_t { bits32, bits64, uniform, normal, integers };
struct RandomAttributes {
  Distribution distribution = Distribution::uniform;
  std::uint64_t seed = 0, call = 0;  ///< slots: value = f(seed, call, element)
  Scalar low = {}, high = {};        ///< uniform, integers
};
struct CustomGradientAttributes;  ///< ops/gradient

using Attributes = std::variant<std::monostate, Scalar, IotaAttributes, ViewAttributes,
                                AxesAttributes, RollAttributes, PadAttributes, WindowAttributes,
                                RandomAttributes, std::shared_ptr<const CustomGradientAttributes>>;

/// A counted reference from one node to an output of another.
class NodeRef {
 public:
  NodeRef() = default;
  NodeRef(Node* node, int output);
  explicit NodeRef(const Array& array) : NodeRef(array.node(), array.output()) {}
  NodeRef(const NodeRef& other) : NodeRef(other.node_, other.output_) {}
  NodeRef(NodeRef&& other) noexcept
      : node_(std::exchange(other.node_, nullptr)), output_(other.output_) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(node_, other.node_);
    std::swap(output_, other.output_);
    return *this;
  }
  ~NodeRef();
  /// Output 0 of a node that another thread may be destroying: then nothing. The caller sees to it
  /// that the memory is still there.
  static NodeRef if_alive(Node* node);
  Node* node() const { return node_; }
  Node* operator->() const { return node_; }
  int output() const { return output_; }
  Array array() const;
  /// Gives up the reference without destroying what it held: the caller does. For iterative
  /// destruction.
  Node* release() { return std::exchange(node_, nullptr); }

 private:
  Node* node_ = nullptr;
  int output_ = 0;
};

/// Where the values of one output are: dense, row-major, `offset` bytes into the buffer.
struct Storage {
  BufferUse buffer;
  std::int64_t offset = 0;
  /// A copy for the host, of what it asked to see of a device whose memory it cannot read.
  std::shared_ptr<const std::vector<std::byte>> host = {};
};

enum class NodeStatus : std::uint8_t { pending, evaluated, failed };

/// One operation of the graph. Everything but the last group is fixed when it is made.
struct Node {
  // what
  NodeKind kind = NodeKind::data;
  std::uint8_t code = 0;  ///< ElementwiseOp or ReduceOp
  std::uint8_t output_count = 1;
  DType dtype = float32;  ///< of output 0; output 1 of max_pool is int64
  Shape shape;            ///< of every output
  Device device;
  std::vector<NodeRef> inputs;
  Attributes attributes;
  NodeRef base;                ///< views: what `offset` and `strides` refer to
  std::uint64_t number = 0;    ///< creation order; inputs have smaller numbers
  std::uint64_t frame = 0;     ///< the innermost open gradient frame it depends on; 0: none
  const char* file = nullptr;  ///< the caller's line; never part of a node's identity
  int line = 0;
  AllowedPrecision allowed;  ///< what products may lose: Precision when it was made

  // who holds it
  std::atomic<std::uint32_t> references{0};  ///< handles, inputs, bases, frames together
  std::atomic<std::uint32_t> handles{0};     ///< Arrays alone
  Node* next_dead = nullptr;                 ///< the list of nodes being destroyed
  std::atomic_flag base_guard;               ///< held while `base` of a view is read or dropped

  // what has become of it (written under the eval mutex, status last)
  std::atomic<NodeStatus> status{NodeStatus::pending};
  std::uint8_t evals_unstored = 0;  ///< evals that computed it without storing it
  std::vector<Storage> storage;     ///< one for each output once evaluated
  std::exception_ptr failure;       ///< when failed

  // the ring of the results of one call, which are evaluated together (core/node_group)
  std::atomic<Node*> group_next{nullptr};
  Node* group_previous = nullptr;

  // scratch of the walk that linearises a plan (under the eval mutex)
  std::uint64_t visit = 0;  ///< the walk that last met it
  std::int32_t visit_index = 0;

  bool is_evaluated() const {
    return status.load(std::memory_order_acquire) == NodeStatus::evaluated;
  }
  DType dtype_of(int output) const { return output == 0 ? dtype : DType::int64; }
};

/// Everything make_node needs; unset fields take their defaults.
struct NodeSpec {
  NodeKind kind = NodeKind::data;
  std::uint8_t code = 0;
  DType dtype = float32;
  Shape shape = {};
  std::span<const Array> inputs = {};
  Attributes attributes = {};
  Device device = {};  ///< default: the inputs' device, or the default device
  int output_count = 1;
  const char* file = nullptr;
  int line = 0;
};

/// The only way to make a node. DeviceError when inputs live on two devices. Does not broadcast or
/// convert: the operations in ops/ do, and the inputs of an elementwise node have its shape.
Array make_node(const NodeSpec& spec);
/// While it lives, every node made in this thread carries this line: operations built from others
/// show their caller's. The outermost counts.
class CallerScope {
 public:
  CallerScope(const char* file, int line);
  ~CallerScope();
  CallerScope(const CallerScope&) = delete;
  CallerScope& operator=(const CallerScope&) = delete;

 private:
  bool outermost_;
};
/// An evaluated node over `storage`.
Array make_data(DType dtype, const Shape& shape, Device device, Storage storage);
/// How an array refers to its base: identity (base = itself, dense strides) unless it is a view
/// that is not evaluated.
struct ViewOf {
  Node* base;
  int output;
  std::int64_t offset;
  Shape strides;
  NodeRef hold;  ///< keeps the base alive although the view may be evaluated meanwhile
};
ViewOf view_of(const Array& array);

/// A view of `input`, whose base is of.base; the caller has composed offset and strides with those
/// of `of` = view_of(input). A view of a constant is a constant.
Array make_view(const Array& input, const ViewOf& of, const Shape& shape, ViewAttributes attributes,
                const char* file, int line);

/// Drops the inputs (and the base) of an evaluated node, iteratively; while a gradient frame that
/// it depends on is open, when that closes.
void release_inputs(Node& node);

/// The same at once, whatever is open.
void drop_inputs(Node& node);

/// The inputs that evaluation reads: all of them, but the first alone of a custom_gradient, whose
/// others serve its backward function.
std::span<const NodeRef> value_inputs(const Node& node);

std::string_view name(NodeKind kind);

/// What messages call an operation: the ElementwiseOp's or ReduceOp's name, else the kind's.
std::string_view operation_name(NodeKind kind, std::uint8_t code);

/// The innermost gradient frame that is open and that a node with an input of `frame` depends on; 0
/// for none.
std::uint64_t innermost_open_frame(std::uint64_t frame);
/// Whether a gradient frame that the node depends on is open, in whatever thread: it then keeps its
/// inputs.
bool is_watched(const Node& node);

}  // namespace noyau
