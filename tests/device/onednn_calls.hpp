// What the tests of oneDNN's routines share: arrays in any layout, calls of a routine, comparison
// with float64 sums.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/device.hpp"

namespace noyau::test {

/// The routine of that name for cpu:0; nullptr when its module is absent, and why_absent() says
/// why.
const LibraryRoutine* find_routine(const std::string& name);
std::string why_absent();

/// An array of float32 with its memory.
struct Tensor {
  TensorView view;
  std::vector<float> memory;
  std::int64_t offset = 0;

  float* data() { return memory.data() + offset; }
  const float* data() const { return memory.data() + offset; }
  std::int64_t at(const std::vector<std::int64_t>& index) const {
    std::int64_t place = offset;
    for (int axis = 0; axis < view.shape.rank(); ++axis)
      place += index[static_cast<std::size_t>(axis)] * view.strides[axis];
    return place;
  }
  double operator()(const std::vector<std::int64_t>& index) const {
    return memory[static_cast<std::size_t>(at(index))];
  }
};

/// `order` lists the axes from the outermost in memory to the innermost, which is `pad` elements
/// wider than needed; elements are `gap` apart.
Tensor make_tensor(const Shape& shape, const std::vector<int>& order, std::int64_t pad = 0,
                   std::int64_t gap = 1);
void for_each(const Shape& shape, const std::function<void(const std::vector<std::int64_t>&)>& f);
/// Random values from -1 to 1.
void fill(Tensor& t, unsigned seed);

/// A value in float64 and the sum of its terms' sizes: what rounding is measured by.
struct Exact {
  double value = 0, size = 0;
  void add(double a, double b) {
    value += a * b;
    size += std::abs(a * b);
  }
};
using ExactAt = std::function<Exact(const std::vector<std::int64_t>&)>;

/// The call with its arrays; what is computed comes last.
struct Ready {
  LibraryCall call;
  std::vector<const Tensor*> inputs;
  Tensor* output = nullptr;
};

/// Runs a call; fails when it writes past its workspace. Returns the output's whole memory.
std::vector<float> run(PreparedCall& prepared, const std::vector<const Tensor*>& inputs,
                       Tensor& output, const std::vector<std::uint64_t>& versions = {});
/// Fails where the output is further from the exact values than rounding explains, and where memory
/// around it was written.
void expect_close(const Tensor& output, const ExactAt& exact, const std::string& what);
void expect_same_bits_for_any_threads(const LibraryRoutine& routine, Ready& r,
                                      const std::string& what);
/// `right`, which the routine accepts, is refused after `change`.
void expect_refusal(const LibraryRoutine& routine, const LibraryCall& right, const char* what,
                    const std::function<void(LibraryCall&)>& change);

}  // namespace noyau::test
