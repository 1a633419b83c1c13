// The operations on arrays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <span>
#include <utility>
#include <vector>

#include "noyau/array.hpp"

namespace noyau {

// -- elementwise ----------------------------------------------------------------------------------
// Inputs broadcast and promote by the array API standard; the result has the broadcast shape. C++
// scalars are weak. ShapeError when shapes do not broadcast, DtypeError for a dtype without meaning
// there.

#define NOYAU_DECLARE_1(name) Array name(Operand x);
#define NOYAU_DECLARE_2(name) Array name(Operand x, Operand y);
#define NOYAU_DECLARE_3(name) Array name(Operand x, Operand y, Operand z);
#define NOYAU_OP(name, inputs, rule, meaning, dx, dy, dz, low, high) NOYAU_DECLARE_##inputs(name)
#include "noyau/ops.def"
#undef NOYAU_DECLARE_1
#undef NOYAU_DECLARE_2
#undef NOYAU_DECLARE_3

Array clamp(Operand x, Operand low, Operand high);  ///< maximum(low, minimum(x, high)); NaN stays
Array softplus(Operand x);                          ///< log(1 + exp(x)), without overflow
/// x converted to `dtype`: floats to integers truncate and saturate, NaN gives 0.
Array astype(Operand x, DType dtype);

Array operator+(Operand x, Operand y);
Array operator-(Operand x, Operand y);
Array operator*(Operand x, Operand y);
Array operator/(Operand x, Operand y);
Array operator%(Operand x, Operand y);  ///< remainder: the sign of y, as in Python
Array operator-(Operand x);
Array operator+(Operand x);
Array operator==(Operand x, Operand y);
Array operator!=(Operand x, Operand y);
Array operator<(Operand x, Operand y);
Array operator<=(Operand x, Operand y);
Array operator>(Operand x, Operand y);
Array operator>=(Operand x, Operand y);
Array operator&(Operand x, Operand y);
Array operator|(Operand x, Operand y);
Array operator^(Operand x, Operand y);
Array operator~(Operand x);
/// Is it the logical_not of its elements that is meant (~x for bool), or whether it holds nothing
/// (x.node() == nullptr)? Say which.
Array operator!(const Array& x) = delete;
Array operator<<(Operand x, Operand y);
Array operator>>(Operand x, Operand y);
inline Array& operator+=(Array& x, Operand y) { return x = x + std::move(y); }  ///< rebinds x
inline Array& operator-=(Array& x, Operand y) { return x = x - std::move(y); }
inline Array& operator*=(Array& x, Operand y) { return x = x * std::move(y); }
inline Array& operator/=(Array& x, Operand y) { return x = x / std::move(y); }
inline Array& operator%=(Array& x, Operand y) { return x = x % std::move(y); }

// -- reductions -----------------------------------------------------------------------------------

/// Axes to reduce: one int, a list of them, or all. Negative ones count from the end.
class Axes {
 public:
  Axes() : all_(true) {}
  template <std::same_as<int> T>
  Axes(T axis) : list_{axis} {}  // NOLINT
  Axes(std::initializer_list<int> axes) : list_(axes) {}
  Axes(std::vector<int> axes) : list_(std::move(axes)) {}  // NOLINT
  bool all() const { return all_; }
  const std::vector<int>& list() const { return list_; }

 private:
  std::vector<int> list_;
  bool all_ = false;
};
struct ReduceOptions {
  bool keepdims = false;
};

/// Sums of integers and bool are 64-bit. ShapeError for an axis out of range or named twice. An
/// empty list reduces nothing. The order of a sum is fixed by the extent and the dtype
/// (docs/numerics.md).
Array sum(Operand x, Axes axes = {}, ReduceOptions options = {});
Array prod(Operand x, Axes axes = {}, ReduceOptions options = {});
Array min(Operand x, Axes axes = {},
          ReduceOptions options = {});  ///< NaN when there is one; ShapeError over no elements
Array max(Operand x, Axes axes = {}, ReduceOptions options = {});
Array mean(Operand x, Axes axes = {}, ReduceOptions options = {});
/// The mean squared distance to the mean (divisor n), in two passes.
Array var(Operand x, Axes axes = {}, ReduceOptions options = {});
Array any(Operand x, Axes axes = {}, ReduceOptions options = {});
Array all(Operand x, Axes axes = {}, ReduceOptions options = {});
/// int64 index of the first largest (smallest) element along one axis, or in row-major order over
/// all; NaN counts as the extreme.
Array argmax(Operand x, Axes axis = {}, ReduceOptions options = {});
Array argmin(Operand x, Axes axis = {}, ReduceOptions options = {});
Array logsumexp(Operand x, Axes axes = {}, ReduceOptions options = {});
Array softmax(Operand x, Axes axes = -1);  ///< exp(x - max) / sum, floats

template <class T>
requires(std::is_arithmetic_v<T> && !std::same_as<T, int>) || std::same_as<T, Array> Array
    max(const Array&, const T&) {
  static_assert(std::is_void_v<T>,
                "max(x, axes) reduces: for the larger of two values use maximum(x, y)");
  return {};
}
template <class T>
requires(std::is_arithmetic_v<T> && !std::same_as<T, int>) || std::same_as<T, Array> Array
    min(const Array&, const T&) {
  static_assert(std::is_void_v<T>,
                "min(x, axes) reduces: for the smaller of two values use minimum(x, y)");
  return {};
}

// -- movement -------------------------------------------------------------------------------------
// reshape, transpose, permute, slice, flip, broadcast_to and subscripts are views: nothing is
// copied.

Array reshape(Operand x,
              const Shape& shape);  ///< one extent may be -1; ShapeError when the sizes differ
Array transpose(Operand x);         ///< axes reversed
Array permute(Operand x, const std::vector<int>& axes);
Array swap_axes(Operand x, int a, int b);
Array expand_dims(Operand x, int axis);
Array squeeze(Operand x, Axes axes = {});
Array flip(Operand x, Axes axes = {});
Array broadcast_to(Operand x, const Shape& shape);
Array concatenate(const std::vector<Array>& arrays, int axis = 0);
Array stack(const std::vector<Array>& arrays, int axis = 0);
Array repeat(Operand x, std::int64_t count,
             int axis);  ///< each element `count` times in a row along the axis
Array roll(Operand x, const std::vector<std::int64_t>& shifts, const std::vector<int>& axes);
Array roll(Operand x, std::int64_t shift, int axis);

enum class Pad { constant, edge, reflect };
/// Widths before and after, for each axis.
class PadWidths {
 public:
  struct Width {
    std::int64_t before, after;
    template <std::integral A, std::integral B>
    Width(A a, B b) : before(static_cast<std::int64_t>(a)), after(static_cast<std::int64_t>(b)) {}
  };
  PadWidths(std::initializer_list<Width> widths) : list_(widths) {}
  PadWidths(std::vector<Width> widths) : list_(std::move(widths)) {}  // NOLINT
  const std::vector<Width>& list() const { return list_; }

 private:
  std::vector<Width> list_;
};
/// reflect leaves the edge element out, as NumPy: d c b | a b c d | c b a; ShapeError when a width
/// reaches the extent.
Array pad(Operand x, const PadWidths& widths, Pad mode = Pad::constant, Operand value = 0);

/// x with the elements that `where` names replaced by `value` (broadcast to them, converted to x's
/// dtype). x is as it was.
Array set(Operand x, const Subscripts& where, Operand value);

// -- creation -------------------------------------------------------------------------------------

Array zeros(const Shape& shape, DType dtype = float32);
Array ones(const Shape& shape, DType dtype = float32);
namespace detail {
Array full(const Shape& shape, Scalar value, DType dtype);
Array arange(Scalar start, Scalar stop, Scalar step, std::optional<DType> dtype);
}  // namespace detail
/// Takes its dtype from the value: an integer int64, a real number float32, a bool bool.
template <class T>
requires std::is_arithmetic_v<T> Array full(const Shape& shape, T value) {
  return detail::full(shape, Scalar::of(value),
                      std::is_same_v<T, bool> ? bool_
                      : std::integral<T>      ? int64
                                              : float32);
}
template <class T>
requires std::is_arithmetic_v<T> Array full(const Shape& shape, T value, DType dtype) {
  return detail::full(shape, Scalar::of(value), dtype);
}
/// start, start + step, ... before stop: int64 for integers, float32 for real numbers, unless told.
template <class T>
requires std::is_arithmetic_v<T> Array arange(T stop) {
  return detail::arange(Scalar::of(T{0}), Scalar::of(stop), Scalar::of(T{1}), std::nullopt);
}
template <class T, class U, class V = std::common_type_t<T, U>>
requires std::is_arithmetic_v<T> && std::is_arithmetic_v<U> && std::is_arithmetic_v<V> Array
arange(T start, U stop, V step = 1, std::optional<DType> dtype = std::nullopt) {
  using C = std::common_type_t<T, U, V>;
  return detail::arange(Scalar::of(static_cast<C>(start)), Scalar::of(static_cast<C>(stop)),
                        Scalar::of(static_cast<C>(step)), dtype);
}
/// `count` values from start to stop, both exact. float32 unless told.
Array linspace(double start, double stop, std::int64_t count, DType dtype = float32);
Array eye(std::int64_t rows, std::int64_t columns = -1, DType dtype = float32);

// -- products -------------------------------------------------------------------------------------

/// NumPy's matmul: the last two axes multiply, the others broadcast; a 1-D operand gets an axis
/// that is dropped after. A chain of fma in the order of the inner axis where Noyau's own kernel
/// runs; a library's order else (docs/numerics.md).
Array matmul(Operand a, Operand b);
Array outer(Operand a, Operand b);  ///< of two 1-D arrays

/// An int for both directions, or {height, width}.
struct Pair {
  std::int64_t height, width;
  template <std::integral T>
  constexpr Pair(T both)
      : height(static_cast<std::int64_t>(both)),
        width(static_cast<std::int64_t>(both)) {}  // NOLINT
  template <std::integral T, std::integral U>
  constexpr Pair(T h, U w)
      : height(static_cast<std::int64_t>(h)), width(static_cast<std::int64_t>(w)) {}
};
struct Conv2dOptions {
  Pair stride = 1, padding = 0, dilation = 1;
  std::int64_t groups = 1;
};
/// Cross-correlation as in deep learning: x [n, c, h, w], weights [o, c / groups, kh, kw] -> [n, o,
/// oh, ow] with oh = (h + 2 padding - dilation (kh - 1) - 1) / stride + 1, rounded down. Floats;
/// zero padding.
Array conv2d(Operand x, Operand weights, Conv2dOptions options = {});

struct Pool2dOptions {
  Pair stride = 0;  ///< 0: the window
  Pair padding = 0;
  bool ceil_mode = false;  ///< rounds the size up; a window that starts past the padded input is
                           ///< dropped, as in PyTorch
};
/// The largest of each window of x [n, c, h, w]; padding counts as -infinity; ties go to the first
/// in row-major order.
Array max_pool2d(Operand x, Pair window, Pool2dOptions options = {});
/// The mean of each window; padding counts as zeros, cells past the padded input do not count.
Array avg_pool2d(Operand x, Pair window, Pool2dOptions options = {});

}  // namespace noyau
