// Launches of generated kernels with what they must give, from plain loops: for the interpreter and
// for each device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "jit/generated.hpp"

namespace noyau::test {

/// A strided array in memory of its own; elements that the view skips hold a marker.
struct Strided {
  TensorView view;
  std::vector<std::uint64_t> bits;  ///< one element each, in memory's order

  Strided(DType dtype, Shape shape, std::vector<int> order = {}, std::int64_t gap = 1,
          std::vector<int> broadcast = {})
      : view{dtype, shape, Shape(shape)} {
    // `order` lists the axes from the outermost to the innermost in memory.
    if (order.empty())
      for (int a = 0; a < shape.rank(); ++a) order.push_back(a);
    std::int64_t stride = gap;
    for (std::size_t k = order.size(); k-- > 0;) {
      const int a = order[k];
      bool is_broadcast = false;
      for (const int b : broadcast) is_broadcast |= b == a;
      view.strides[a] = is_broadcast ? 0 : stride;
      if (!is_broadcast) stride *= shape[a];
    }
    bits.assign(static_cast<std::size_t>(stride), Scalar::of(77).as(dtype).bits);
  }
  std::size_t at(const std::vector<std::int64_t>& index) const {
    std::int64_t o = 0;
    for (int a = 0; a < view.shape.rank(); ++a)
      o += index[static_cast<std::size_t>(a)] * view.strides[a];
    return static_cast<std::size_t>(o);
  }
  template <class T>
  T get(const std::vector<std::int64_t>& index) const {
    T v;
    std::memcpy(&v, &bits[at(index)], sizeof v);
    return v;
  }
  template <class T>
  void set(const std::vector<std::int64_t>& index, T value) {
    bits[at(index)] = 0;
    std::memcpy(&bits[at(index)], &value, sizeof value);
  }
  /// The elements side by side, as a launch takes them.
  std::vector<std::byte> bytes() const {
    const std::size_t size = size_of(view.dtype);
    std::vector<std::byte> packed(bits.size() * size);
    for (std::size_t k = 0; k < bits.size(); ++k)
      std::memcpy(packed.data() + k * size, &bits[k], size);
    return packed;
  }
};

/// Calls f with each index of `shape` in row-major order.
inline void each(const Shape& shape,
                 const std::function<void(const std::vector<std::int64_t>&)>& f) {
  std::vector<std::int64_t> i(static_cast<std::size_t>(shape.rank()));
  for (std::int64_t k = 0; k < shape.elements(); ++k) {
    std::int64_t rest = k;
    for (int a = shape.rank(); a-- > 0;) {
      i[static_cast<std::size_t>(a)] = rest % shape[a];
      rest /= shape[a];
    }
    f(i);
  }
}

/// Runs a kernel on buffers (bytes, changed in place); what each kind of test supplies.
using Runner =
    std::function<void(const jit::GeneratedKernel&, std::vector<std::vector<std::byte>>& buffers)>;

/// Runs `kernel` and compares every byte of the outputs, gaps included, with `expected`.
inline void check(const Runner& run, const jit::GeneratedKernel& kernel,
                  const std::vector<const Strided*>& inputs, const std::vector<Strided>& expected,
                  const std::string& what) {
  std::vector<std::vector<std::byte>> buffers;
  for (const Strided* s : inputs) buffers.push_back(s->bytes());
  for (const Strided& s : expected) {
    Strided empty = s;
    for (std::uint64_t& b : empty.bits) b = Scalar::of(77).as(s.view.dtype).bits;
    buffers.push_back(empty.bytes());
  }
  if (kernel.then.empty()) {
    run(kernel, buffers);
  } else {
    std::vector<std::vector<std::byte>> first(buffers.begin(), buffers.end() - 1);
    first.emplace_back(static_cast<std::size_t>(kernel.scratch_bytes));
    run(kernel, first);
    std::vector<std::vector<std::byte>> second{first.back(), buffers.back()};
    run(kernel.then[0], second);
    buffers.back() = second[1];
  }
  for (std::size_t k = 0; k < expected.size(); ++k) {
    const std::vector<std::byte>& got = buffers[inputs.size() + k];
    const std::vector<std::byte> want = expected[k].bytes();
    const std::size_t size = size_of(expected[k].view.dtype);
    for (std::size_t e = 0; e < want.size() / size; ++e) {
      if (std::memcmp(&got[e * size], &want[e * size], size) == 0) continue;
      double values[2] = {0, 0};
      const std::byte* from[2] = {&got[e * size], &want[e * size]};
      for (int j = 0; j < 2; ++j) {
        std::uint64_t bits = 0;
        std::memcpy(&bits, from[j], size);
        values[j] = Scalar{expected[k].view.dtype, bits}.to_double();
      }
      if (std::isnan(values[0]) && std::isnan(values[1])) continue;
      ADD_FAILURE() << what << ": output " << k << ", element " << e << " in memory is "
                    << values[0] << ", not " << values[1];
      return;
    }
  }
}

/// All cases; each fails with its name. `thorough`: of every dtype.
/// `block_threads`, where it is not 0: the kernels of such devices, too.
void check_matmuls(const Runner& run, bool thorough, int block_threads);
void check_convolutions(const Runner& run, bool thorough, int block_threads);
void check_max_pools(const Runner& run, bool thorough, int block_threads);
void check_avg_pools(const Runner& run, bool thorough, int block_threads);

}  // namespace noyau::test
