// Array, its subscripts, and Operand, what every operation takes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "noyau/device.hpp"
#include "noyau/dtype.hpp"
#include "noyau/error.hpp"
#include "noyau/shape.hpp"

namespace noyau {

struct Node;
class Array;
class Subscripts;

namespace detail {
void retain_handle(Node* node) noexcept;
void release_handle(Node* node) noexcept;
void read_values(const Array& array, void* out, DType as);
}  // namespace detail

/// A value that is never changed: a cheap handle to a node of the expression graph. Nothing runs
/// until somebody reads a result; reading evaluates. Copying shares the node. A default-constructed
/// Array holds nothing and only assigns.
class Array {
 public:
  Array() = default;
  Array(const Array& other) noexcept : node_(other.node_), output_(other.output_) {
    if (node_) detail::retain_handle(node_);
  }
  Array(Array&& other) noexcept
      : node_(std::exchange(other.node_, nullptr)), output_(other.output_) {}
  ~Array() {
    if (node_) detail::release_handle(node_);
  }
  // Only named arrays are assigned to: `x[0] = 1` does not compile, for it would change nothing.
  // Use set(x, 0, 1).
  Array& operator=(const Array& other) & noexcept {
    Array copy(other);
    return *this = std::move(copy);
  }
  Array& operator=(Array&& other) & noexcept {
    std::swap(node_, other.node_);
    std::swap(output_, other.output_);
    return *this;
  }

  const Shape& shape() const;
  DType dtype() const;
  Device device() const;
  int rank() const { return shape().rank(); }
  std::int64_t size() const;  ///< the number of elements
  explicit operator bool() const {
    return node_ != nullptr;
  }  ///< whether it holds anything; not a value

  /// Starts the evaluation of this array on its device; does not wait. Returns *this.
  const Array& eval() const;
  /// True when it has been evaluated and its device is done with it.
  bool is_ready() const;
  /// Waits until the values are there; evaluates first where needed. Throws what failed.
  void wait() const;

  /// The one element, converted to T. ShapeError unless size() == 1; DtypeError when an integer T
  /// cannot represent the value.
  template <class T>
  T item() const;
  /// All elements in row-major order, converted to T. DtypeError when an integer T cannot represent
  /// one of them.
  template <class T>
  std::vector<T> to_vector() const;
  /// Evaluates, waits and gives the host address of the row-major values, of a copy where the host
  /// cannot read the device's memory; valid while the array lives.
  const void* data() const;

  /// The same values on another device; *this when it is there already. Evaluating it waits for the
  /// values and copies them.
  Array to(const Device& device) const;

  /// Views: a number, slice(), newaxis; several in braces. IndexError when out of range.
  Array operator[](const Subscripts& subscripts) const;

  Node* node() const { return node_; }
  int output() const { return output_; }
  /// Takes over one handle reference of `node`.
  static Array adopt(Node* node, int output = 0) noexcept {
    Array a;
    a.node_ = node;
    a.output_ = output;
    return a;
  }

 private:
  Node* node_ = nullptr;
  int output_ = 0;
};

/// start:stop:step as in Python; everything left out is "as far as it goes".
struct Slice {
  std::optional<std::int64_t> start, stop;
  std::int64_t step = 1;
};
inline Slice slice() { return {}; }
inline Slice slice(std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                   std::int64_t step = 1) {
  return {start, stop, step};
}
inline constexpr struct NewAxis {
} newaxis;

/// One subscript.
struct Index {
  enum class Kind : std::uint8_t { number, slice, new_axis, array } kind;
  std::int64_t number = 0;
  Slice range;
  Array array;
  template <std::integral T>
  Index(T value) : kind(Kind::number), number(static_cast<std::int64_t>(value)) {}  // NOLINT
  Index(Slice value) : kind(Kind::slice), range(value) {}                           // NOLINT
  Index(NewAxis) : kind(Kind::new_axis) {}                                          // NOLINT
  Index(const Array& value) : kind(Kind::array), array(value) {}                    // NOLINT
};

/// What stands between the brackets: one subscript, or several in braces, for the first axes.
class Subscripts {
 public:
  template <class T>
  requires std::constructible_from<Index, const T&> Subscripts(const T& one)
      : list_{Index(one)} {}  // NOLINT
  Subscripts(std::initializer_list<Index> list) : list_(list) {}
  Subscripts(std::vector<Index> list) : list_(std::move(list)) {}  // NOLINT
  const std::vector<Index>& list() const { return list_; }

 private:
  std::vector<Index> list_;
};

/// What every public operation takes, by value: an Array, or a weak C++ scalar that never widens an
/// array's dtype; and the caller's line, which errors and profiles show.
class Operand {
 public:
  Operand(const Array& value, const char* file = __builtin_FILE(),
          int line = __builtin_LINE())  // NOLINT
      : array_(value), file_(file), line_(line) {}
  Operand(Array&& value, const char* file = __builtin_FILE(),
          int line = __builtin_LINE())  // NOLINT
      : array_(std::move(value)), file_(file), line_(line) {}
  template <class T>
  requires std::is_arithmetic_v<T> Operand(T value, const char* file = __builtin_FILE(),
                                           int line = __builtin_LINE())  // NOLINT
      : scalar_(Scalar::of(value)), is_scalar_(true), file_(file), line_(line) {}
  bool is_scalar() const { return is_scalar_; }
  const Array& array() const { return array_; }  ///< empty for a scalar
  Array& array() { return array_; }
  Scalar scalar() const { return scalar_; }
  const char* file() const { return file_; }
  int line() const { return line_; }

 private:
  Array array_;
  Scalar scalar_{};
  bool is_scalar_ = false;
  const char* file_;
  int line_;
};

/// An array of a copy of the host's values. array({1.f, 2.f}) is float32, array({1.0}) float64,
/// array({1}) int64.
template <class T>
Array array(const std::vector<T>& values, const Shape& shape);
template <class T>
Array array(std::span<const T> values, const Shape& shape);
template <class T>
Array array(std::initializer_list<T> values);
template <class T>
Array array(std::initializer_list<std::initializer_list<T>> rows);
template <class T>
Array array(const std::vector<T>& values) {
  return array(values, Shape{static_cast<std::int64_t>(values.size())});
}

/// An array over memory that somebody else owns on `device` (host memory for cpu:0), row-major,
/// never written by Noyau. `deleter` runs when the last array that uses it is gone. ValueError for
/// a null pointer of a non-empty shape.
Array from_external(void* data, const Shape& shape, DType dtype, const Device& device,
                    std::function<void()> deleter);

/// Starts the evaluation of several arrays as one plan; does not wait.
void eval(std::initializer_list<Array> arrays);
void eval(std::span<const Array> arrays);

/// The plan that would evaluate these arrays and its code, as text; runs nothing.
std::string explain(const Array& array);
std::string explain(std::span<const Array> arrays);

/// Values as NumPy prints them (long arrays summarised).
std::ostream& operator<<(std::ostream& out, const Array& array);
std::string to_string(const Array& array);

// -- templates -----------------------------------------------------------------------------------

namespace detail {
/// int literals make int64 arrays; everything else keeps its C++ type.
template <class T>
constexpr DType literal_dtype() {
  return std::is_same_v<T, int> ? noyau::int64 : dtype_of<T>();
}
Array make_array_checked(const void* data, std::size_t count, DType stored, const Shape& shape,
                         DType dtype);
}  // namespace detail

template <class T>
Array array(std::span<const T> values, const Shape& shape) {
  return detail::make_array_checked(values.data(), values.size(), dtype_of<T>(), shape,
                                    dtype_of<T>());
}
template <class T>
Array array(const std::vector<T>& values, const Shape& shape) {
  if constexpr (std::is_same_v<T, bool>) {
    std::vector<unsigned char> bytes(values.begin(), values.end());
    return detail::make_array_checked(bytes.data(), bytes.size(), noyau::bool_, shape,
                                      noyau::bool_);
  } else {
    return array(std::span<const T>(values), shape);
  }
}
template <class T>
Array array(std::initializer_list<T> values) {
  return detail::make_array_checked(values.begin(), values.size(), dtype_of<T>(),
                                    Shape{static_cast<std::int64_t>(values.size())},
                                    detail::literal_dtype<T>());
}
template <class T>
Array array(std::initializer_list<std::initializer_list<T>> rows) {
  using Stored = std::conditional_t<std::is_same_v<T, bool>, unsigned char, T>;
  std::vector<Stored> values;
  const std::size_t columns = rows.size() == 0 ? 0 : rows.begin()->size();
  for (const auto& row : rows) {
    if (row.size() != columns)
      throw ShapeError("[array] the rows of a literal must have the same length");
    values.insert(values.end(), row.begin(), row.end());
  }
  return detail::make_array_checked(
      values.data(), values.size(), dtype_of<T>(),
      Shape{static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(columns)},
      detail::literal_dtype<T>());
}
template <class T>
T Array::item() const {
  if (size() != 1)
    throw ShapeError("[item] needs an array of one element, this one has shape " +
                     to_string(shape()) + "; index or reduce it first");
  T value;
  detail::read_values(*this, &value, dtype_of<T>());
  return value;
}
template <class T>
std::vector<T> Array::to_vector() const {
  if constexpr (std::is_same_v<T, bool>) {
    std::vector<unsigned char> bytes(static_cast<std::size_t>(size()));
    detail::read_values(*this, bytes.data(), noyau::bool_);
    return std::vector<bool>(bytes.begin(), bytes.end());
  } else {
    std::vector<T> values(static_cast<std::size_t>(size()));
    detail::read_values(*this, values.data(), dtype_of<T>());
    return values;
  }
}

}  // namespace noyau
