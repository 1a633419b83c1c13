// A libclblast.so.1 for tests: products of float32 by rows, computed plainly in the memory of the
// fake OpenCL.
// SPDX-License-Identifier: Apache-2.0
#include <clblast.h>

#include <cmath>
#include <cstring>

#include "tests/opencl/fake/handles.hpp"

namespace clblast {
namespace {

constexpr std::size_t large = 32;

struct Factor {
  cl_mem memory;
  std::size_t offset, leading, stride;
  bool transposed;
  std::size_t at(std::size_t matrix, std::size_t row, std::size_t column) const {
    return offset + matrix * stride +
           (transposed ? column * leading + row : row * leading + column);
  }
  float get(std::size_t matrix, std::size_t row, std::size_t column) const {
    float value = 0;
    std::memcpy(&value, memory->bytes.data() + at(matrix, row, column) * sizeof value,
                sizeof value);
    return value;
  }
  void set(std::size_t matrix, std::size_t row, std::size_t column, float value) const {
    std::memcpy(memory->bytes.data() + at(matrix, row, column) * sizeof value, &value,
                sizeof value);
  }
};

StatusCode multiply(std::size_t m, std::size_t n, std::size_t k, const Factor& a, const Factor& b,
                    const Factor& c, std::size_t batch) {
  const std::string words = "gemm " + std::to_string(m) + "x" + std::to_string(n) + "x" +
                            std::to_string(k) + " batch " + std::to_string(batch);
  if (const int told = noyau::fake_opencl::called("gemm", words))
    return static_cast<StatusCode>(told);
  for (std::size_t matrix = 0; matrix < batch; ++matrix)
    for (std::size_t row = 0; row < m; ++row)
      for (std::size_t column = 0; column < n; ++column) {
        float sum = 0;
        for (std::size_t i = 0; i < k; ++i)
          sum = std::fma(a.get(matrix, row, i), b.get(matrix, i, column), sum);
        c.set(matrix, row, column, sum);
      }
  return StatusCode::kSuccess;
}

}  // namespace

template <class T>
StatusCode Gemm(const Layout, const Transpose at, const Transpose bt, const size_t m,
                const size_t n, const size_t k, const T, const cl_mem a, const size_t a_offset,
                const size_t a_leading, const cl_mem b, const size_t b_offset,
                const size_t b_leading, const T, cl_mem c, const size_t c_offset,
                const size_t c_leading, cl_command_queue*, cl_event*, cl_mem) {
  return multiply(m, n, k, {a, a_offset, a_leading, 0, at == Transpose::kYes},
                  {b, b_offset, b_leading, 0, bt == Transpose::kYes},
                  {c, c_offset, c_leading, 0, false}, 1);
}
template <class T>
StatusCode GemmStridedBatched(const Layout, const Transpose at, const Transpose bt, const size_t m,
                              const size_t n, const size_t k, const T, const cl_mem a,
                              const size_t a_offset, const size_t a_leading, const size_t a_stride,
                              const cl_mem b, const size_t b_offset, const size_t b_leading,
                              const size_t b_stride, const T, cl_mem c, const size_t c_offset,
                              const size_t c_leading, const size_t c_stride, const size_t batch,
                              cl_command_queue*, cl_event*) {
  return multiply(m, n, k, {a, a_offset, a_leading, a_stride, at == Transpose::kYes},
                  {b, b_offset, b_leading, b_stride, bt == Transpose::kYes},
                  {c, c_offset, c_leading, c_stride, false}, batch);
}
template <class T>
StatusCode GemmTempBufferSize(const Layout, const Transpose, const Transpose, const size_t m,
                              const size_t, const size_t, const size_t, const size_t, const size_t,
                              const size_t, const size_t, const size_t, cl_command_queue*,
                              size_t& bytes) {
  bytes = m >= large ? 4 * m : 0;
  return StatusCode::kSuccess;
}

#define NOYAU_FAKE_PRODUCTS(T)                                                                     \
  template StatusCode PUBLIC_API Gemm<T>(                                                          \
      const Layout, const Transpose, const Transpose, const size_t, const size_t, const size_t,    \
      const T, const cl_mem, const size_t, const size_t, const cl_mem, const size_t, const size_t, \
      const T, cl_mem, const size_t, const size_t, cl_command_queue*, cl_event*, cl_mem);          \
  template StatusCode PUBLIC_API GemmStridedBatched<T>(                                            \
      const Layout, const Transpose, const Transpose, const size_t, const size_t, const size_t,    \
      const T, const cl_mem, const size_t, const size_t, const size_t, const cl_mem, const size_t, \
      const size_t, const size_t, const T, cl_mem, const size_t, const size_t, const size_t,       \
      const size_t, cl_command_queue*, cl_event*);                                                 \
  template StatusCode PUBLIC_API GemmTempBufferSize<T>(                                            \
      const Layout, const Transpose, const Transpose, const size_t, const size_t, const size_t,    \
      const size_t, const size_t, const size_t, const size_t, const size_t, const size_t,          \
      cl_command_queue*, size_t&);
NOYAU_FAKE_PRODUCTS(float)
NOYAU_FAKE_PRODUCTS(double)

}  // namespace clblast
