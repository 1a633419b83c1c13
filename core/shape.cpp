// The algebra of shapes: products that are checked, strides, broadcasting.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/shape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "noyau/error.hpp"

namespace noyau {
namespace {

void check_rank(std::size_t rank) {
  if (rank > static_cast<std::size_t>(max_rank)) {
    throw ShapeError(fmt::format(
        "[shape] an array has at most {} axes, not {}: reshape to merge some", max_rank, rank));
  }
}

void check_position(int axis, int rank, int past) {
  if (axis < 0 || axis >= rank + past) {
    throw InternalError(fmt::format("axis {} of a shape of rank {}", axis, rank));
  }
}

/// a * b for a, b >= 0, or -1 when it passes 2^63 - 1.
std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? -1 : result;
}

}  // namespace

Shape::Shape(std::initializer_list<Dim> dims) {
  check_rank(dims.size());
  for (Dim d : dims) dims_[static_cast<std::size_t>(rank_++)] = d.value;
}

Shape::Shape(std::span<const std::int64_t> dims) {
  check_rank(dims.size());
  for (std::int64_t d : dims) dims_[static_cast<std::size_t>(rank_++)] = d;
}

Shape::Shape(const std::vector<std::int64_t>& dims) : Shape(std::span<const std::int64_t>(dims)) {}

Shape::Shape(const std::vector<int>& dims) {
  check_rank(dims.size());
  for (int d : dims) dims_[static_cast<std::size_t>(rank_++)] = d;
}

Shape Shape::filled(int rank, std::int64_t value) {
  if (rank < 0) throw InternalError(fmt::format("a shape of rank {}", rank));
  check_rank(static_cast<std::size_t>(rank));
  Shape shape;
  shape.rank_ = rank;
  std::fill(shape.begin(), shape.end(), value);
  return shape;
}

void Shape::push_back(std::int64_t dim) {
  check_rank(size() + 1);
  dims_[static_cast<std::size_t>(rank_++)] = dim;
}

void Shape::insert(int axis, std::int64_t dim) {
  check_position(axis, rank_, 1);
  push_back(dim);
  std::rotate(begin() + axis, end() - 1, end());
}

void Shape::erase(int axis) {
  check_position(axis, rank_, 0);
  std::copy(begin() + axis + 1, end(), begin() + axis);
  dims_[static_cast<std::size_t>(--rank_)] = 0;
}

std::int64_t Shape::elements() const {
  bool none = false;
  for (std::int64_t d : *this) {
    if (d < 0) {
      throw ShapeError(
          fmt::format("[shape] {} has the extent {}: extents are 0 or more", to_string(*this), d));
    }
    none = none || d == 0;
  }
  if (none) return 0;
  std::int64_t count = 1;
  for (std::int64_t d : *this) {
    count = product(count, d);
    if (count < 0) {
      throw ShapeError(fmt::format(
          "[shape] {} has more than 2^63 - 1 elements, more than any array can have; use smaller "
          "extents",
          to_string(*this)));
    }
  }
  return count;
}

Shape Shape::dense_strides() const {
  Shape strides = filled(rank_, 1);
  std::int64_t step = 1;
  for (int axis = rank_ - 1; axis >= 0; --axis) {
    strides[axis] = step;
    // Only a shape without elements can overflow here, and its strides are never followed.
    std::int64_t next = product(step, std::max<std::int64_t>((*this)[axis], 1));
    step = next < 0 ? step : next;
  }
  return strides;
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::string to_string(const Shape& shape) {
  if (shape.rank() == 1) return fmt::format("({},)", shape[0]);
  return fmt::format("({})", fmt::join(shape.begin(), shape.end(), ", "));
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << to_string(shape); }

std::int64_t byte_size(const Shape& shape, DType dtype) {
  std::int64_t bytes = product(shape.elements(), static_cast<std::int64_t>(size_of(dtype)));
  if (bytes < 0) {
    throw ShapeError(fmt::format(
        "[shape] {} of {} takes more than 2^63 - 1 bytes, more than any array can have; use "
        "smaller extents",
        to_string(shape), name(dtype)));
  }
  return bytes;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, const char* operation) {
  const int rank = std::max(a.rank(), b.rank());
  Shape result = Shape::filled(rank, 1);
  for (int back = 1; back <= rank; ++back) {
    std::int64_t from_a = back <= a.rank() ? a[a.rank() - back] : 1;
    std::int64_t from_b = back <= b.rank() ? b[b.rank() - back] : 1;
    if (from_a != from_b && from_a != 1 && from_b != 1) {
      // Axes are counted from the end when the ranks differ: that number fits both operands.
      int axis = a.rank() == b.rank() ? rank - back : -back;
      throw ShapeError(fmt::format(
          "[{}] shapes {} and {} do not broadcast: axis {} has extents {} and {}, which must be "
          "equal or 1",
          operation, to_string(a), to_string(b), axis, from_a, from_b));
    }
    result[rank - back] = from_a == 1 ? from_b : from_a;
  }
  return result;
}

}  // namespace noyau
