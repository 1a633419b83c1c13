// What kernels call because no vector instruction does it.
// SPDX-License-Identifier: Apache-2.0
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

struct Helper {
  std::string_view name;
  const void* address;
};
/// fma, memcpy and memset are what code generation itself may call, on hosts without them.
const Helper helpers[] = {
    {"noyau_fmod_f32", reinterpret_cast<const void*>(&fmod_all<float>)},
    {"noyau_fmod_f64", reinterpret_cast<const void*>(&fmod_all<double>)},
    {"noyau_divide_u64", reinterpret_cast<const void*>(&divide_u64)},
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
