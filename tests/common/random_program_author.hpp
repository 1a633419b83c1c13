// The author of random programs: draws steps, and builds them as it goes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "noyau/noyau.hpp"
#include "tests/common/random_program.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {

constexpr std::int64_t most_elements = 3000;  ///< of a value
constexpr int most_axes = 5;

/// C++ that makes the same again.
std::string text_of(const Shape& shape);
std::string text_of(double v);
std::string text_of(DType dtype);
std::string text_of(const reference::Value& value);

/// Whether the shapes broadcast, to few elements.
bool broadcasts(const Shape& a, const Shape& b);

/// Adds steps to a program, building them as it goes so that shapes and dtypes are known.
class Author {
 public:
  explicit Author(std::uint64_t seed) : numbers_(seed ^ 0x5eed) { program_.seed = seed; }
  RandomProgram write();

 private:
  void add(std::string text, std::vector<int> inputs,
           std::function<Array(const std::vector<Array>&)> make, bool by_library = false);
  const Array& value(int i) const { return values_[static_cast<std::size_t>(i)]; }
  const Shape& shape(int i) const { return value(i).shape(); }
  DType dtype(int i) const { return value(i).dtype(); }

  /// A value, later ones more often.
  int any();
  template <class Condition>
  std::optional<int> any_with(Condition good) {
    for (int tries = 0; tries < 20; ++tries) {
      const int i = any();
      if (good(i)) return i;
    }
    return std::nullopt;
  }
  int some_axis(int x) { return static_cast<int>(numbers_.between(0, shape(x).rank() - 1)); }
  std::vector<int> some_axes(int rank);

  /// One step more; none when what was drawn does not suit the values.
  void step();

  // random_program_leaves.cpp
  std::int64_t some_extent();
  Shape some_shape();
  DType some_dtype();
  void leaf();

  // random_program_elementwise.cpp
  /// An operation with `inputs` inputs that takes arrays of `dtype`.
  ops::ElementwiseOp some_operation(int inputs, DType dtype);
  void unary();
  void binary();
  void with_scalar();
  void ternary();
  void cast();

  // random_program_reductions.cpp
  void reduction();
  void normalised();

  // random_program_movement.cpp
  Slice some_slice(std::int64_t extent);
  static std::string text_of_slice(const Slice& s);
  /// Subscripts for some of the axes of a shape, with their text.
  std::pair<std::vector<Index>, std::string> some_subscripts(const Shape& of, bool with_newaxis);
  void slices();
  void arrangement();
  /// A shape of so many elements.
  Shape some_factors(std::int64_t elements);
  void broadcast();
  void rolled();
  void padded();
  void joined();
  void replaced();

  // random_program_products.cpp
  void product();
  /// A convolution or a pool of a value that is arranged as an image.
  void images();

  Numbers numbers_;
  RandomProgram program_;
  std::vector<Array> values_;
};

}  // namespace noyau::test
