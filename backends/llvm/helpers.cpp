// What kernels call because no vector instruction does it.
// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string_view>

#include "backends/llvm/loader.hpp"

namespace noyau::llvm_backend {
namespace {

template <class T>
void fmod_all(T* a, const T* b, std::int64_t count) {
  for (std::int64_t k = 0; k < count; ++k) a[k] = std::fmod(a[k], b[k]);
}
void divide_u64(std::uint64_t* a, const std::uint64_t* b, std::int64_t count) {
  for (std::int64_t k = 0; k < count; ++k) a[k] = b[k] == 0 ? 0 : a[k] / b[k];
}

/// to[k][l] = from[l * stride + k] for k < rows, l < lanes; to has gang_lanes columns. Four lanes
/// at a time, so that only four of the source's lines, which may share one set of a cache, are in
/// use.
template <class T>
void transpose(T* to, const T* from, std::int64_t stride, std::int64_t lanes, std::int64_t rows) {
  std::int64_t l = 0;
  // The next gang's lines are far from any pattern that the processor would guess.
  // They may lie past the array: prefetching nowhere is allowed, and is nothing but a number here.
  const auto begin = reinterpret_cast<std::uintptr_t>(from);
  const auto bytes = static_cast<std::uintptr_t>(rows) * sizeof(T);
  for (std::uintptr_t ahead = gang_lanes; ahead < 2 * gang_lanes; ++ahead) {
    const std::uintptr_t lane = begin + ahead * static_cast<std::uintptr_t>(stride) * sizeof(T);
    for (std::uintptr_t at = 0; at < bytes; at += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(lane + at), _MM_HINT_T1);
    }
  }
  for (; l + 4 <= lanes; l += 4) {
    const T* a = from + l * stride;
    const T *b = a + stride, *c = b + stride, *d = c + stride;
    std::int64_t k = 0;
    if constexpr (sizeof(T) == 4) {
      for (; k + 4 <= rows; k += 4) {
        __m128 r0 = _mm_loadu_ps(reinterpret_cast<const float*>(a + k));
        __m128 r1 = _mm_loadu_ps(reinterpret_cast<const float*>(b + k));
        __m128 r2 = _mm_loadu_ps(reinterpret_cast<const float*>(c + k));
        __m128 r3 = _mm_loadu_ps(reinterpret_cast<const float*>(d + k));
        _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
        auto* column = reinterpret_cast<float*>(to + k * gang_lanes + l);
        _mm_storeu_ps(column, r0);
        _mm_storeu_ps(column + gang_lanes, r1);
        _mm_storeu_ps(column + 2 * gang_lanes, r2);
        _mm_storeu_ps(column + 3 * gang_lanes, r3);
      }
    }
    for (; k < rows; ++k) {
      T* row = to + k * gang_lanes + l;
      row[0] = a[k];
      row[1] = b[k];
      row[2] = c[k];
      row[3] = d[k];
    }
  }
  for (; l < lanes; ++l) {
    for (std::int64_t k = 0; k < rows; ++k) to[k * gang_lanes + l] = from[l * stride + k];
  }
}

struct Helper {
  std::string_view name;
  const void* address;
};
/// fma, memcpy and memset are what code generation itself may call, on hosts without them.
const Helper helpers[] = {
    {"noyau_fmod_f32", reinterpret_cast<const void*>(&fmod_all<float>)},
    {"noyau_fmod_f64", reinterpret_cast<const void*>(&fmod_all<double>)},
    {"noyau_divide_u64", reinterpret_cast<const void*>(&divide_u64)},
    {"noyau_transpose_8", reinterpret_cast<const void*>(&transpose<std::uint8_t>)},
    {"noyau_transpose_16", reinterpret_cast<const void*>(&transpose<std::uint16_t>)},
    {"noyau_transpose_32", reinterpret_cast<const void*>(&transpose<std::uint32_t>)},
    {"noyau_transpose_64", reinterpret_cast<const void*>(&transpose<std::uint64_t>)},
    {"fma", reinterpret_cast<const void*>(static_cast<double (*)(double, double, double)>(&fma))},
    {"fmaf", reinterpret_cast<const void*>(&fmaf)},
    {"memcpy", reinterpret_cast<const void*>(&memcpy)},
    {"memset", reinterpret_cast<const void*>(&memset)},
};

}  // namespace

const void* helper_address(const std::string& name) {
  for (const Helper& helper : helpers) {
    if (helper.name == name) return helper.address;
  }
  return nullptr;
}

}  // namespace noyau::llvm_backend
