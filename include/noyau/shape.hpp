// Shapes: the extents of an array, outermost axis first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "noyau/dtype.hpp"

namespace noyau {

inline constexpr int max_rank = 8;

/// A list of at most max_rank 64-bit numbers: extents, strides, axes. Takes any integral type.
class Shape {
 public:
  struct Dim {
    std::int64_t value;
    template <std::integral T>
    constexpr Dim(T v) : value(static_cast<std::int64_t>(v)) {}  // NOLINT: implicit on purpose
  };

  constexpr Shape() = default;
  Shape(std::initializer_list<Dim> dims);
  Shape(std::span<const std::int64_t> dims);     // NOLINT
  Shape(const std::vector<std::int64_t>& dims);  // NOLINT
  Shape(const std::vector<int>& dims);           // NOLINT
  static Shape filled(int rank, std::int64_t value);

  int rank() const { return rank_; }
  std::size_t size() const {
    return static_cast<std::size_t>(rank_);
  }  ///< the number of axes, as containers say it
  bool empty() const { return rank_ == 0; }
  std::int64_t operator[](int axis) const { return dims_[static_cast<std::size_t>(axis)]; }
  std::int64_t& operator[](int axis) { return dims_[static_cast<std::size_t>(axis)]; }
  std::int64_t back() const { return dims_[static_cast<std::size_t>(rank_ - 1)]; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }
  std::int64_t* begin() { return dims_.data(); }
  std::int64_t* end() { return dims_.data() + rank_; }
  void push_back(std::int64_t dim);  ///< throws ShapeError past max_rank
  void insert(int axis, std::int64_t dim);
  void erase(int axis);

  /// The product of the extents, 1 for rank 0. Throws ShapeError naming the shape when it passes
  /// 2^63 - 1 or an extent is negative.
  std::int64_t elements() const;
  /// Row-major strides in elements.
  Shape dense_strides() const;
  bool operator==(const Shape& other) const;

 private:
  std::array<std::int64_t, max_rank> dims_{};
  int rank_ = 0;
};

/// "(2, 3)", "(5,)", "()", as NumPy prints a shape.
std::string to_string(const Shape& shape);
std::ostream& operator<<(std::ostream& out, const Shape& shape);

/// The bytes of a dense array; ShapeError when they pass 2^63 - 1.
std::int64_t byte_size(const Shape& shape, DType dtype);

/// The shape that a and b broadcast to, by NumPy's rule; ShapeError naming `operation`, both shapes
/// and the axis.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* operation);

}  // namespace noyau
