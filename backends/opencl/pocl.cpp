// What is known of PoCL, the OpenCL of CPUs: how to make it compile in a fraction of its time.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/pocl.hpp"

namespace noyau::opencl {

bool is_pocl(std::string_view platform) { return platform == "Portable Computing Language"; }

std::string_view own_declarations() {
  return R"(
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#define NOYAU_PURE __attribute__((overloadable, const))
#define NOYAU_OVER __attribute__((overloadable))
#define NOYAU_SYNC __attribute__((overloadable, convergent))
#define as_int(x) __builtin_astype((x), int)
#define as_uint(x) __builtin_astype((x), uint)
#define as_long(x) __builtin_astype((x), long)
#define as_ulong(x) __builtin_astype((x), ulong)
#define as_float(x) __builtin_astype((x), float)
#define as_double(x) __builtin_astype((x), double)
ulong NOYAU_PURE get_global_id(uint);
ulong NOYAU_PURE get_global_size(uint);
ulong NOYAU_PURE get_local_id(uint);
ulong NOYAU_PURE get_group_id(uint);
#define NOYAU_EACH(T)                                             \
  T NOYAU_PURE fma(T, T, T);                                      \
  T NOYAU_PURE fmod(T, T);                                        \
  T NOYAU_PURE sqrt(T);                                           \
  T NOYAU_PURE floor(T);                                          \
  T NOYAU_PURE ceil(T);                                           \
  T NOYAU_PURE trunc(T);                                          \
  T NOYAU_PURE rint(T);                                           \
  T NOYAU_PURE fabs(T);
NOYAU_EACH(float)
#ifdef cl_khr_fp64
NOYAU_EACH(double)
#endif
#undef NOYAU_EACH
#define CLK_LOCAL_MEM_FENCE 1
#define CLK_GLOBAL_MEM_FENCE 2
void NOYAU_SYNC barrier(uint);
void NOYAU_OVER mem_fence(uint);
#define NOYAU_EACH(S, T, prefix)                                  \
  T NOYAU_OVER prefix##_add(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_min(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_max(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_and(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_or(volatile S T*, T);                     \
  T NOYAU_OVER prefix##_xor(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_xchg(volatile S T*, T);                   \
  T NOYAU_OVER prefix##_cmpxchg(volatile S T*, T, T);
NOYAU_EACH(__global, int, atomic)
NOYAU_EACH(__global, uint, atomic)
NOYAU_EACH(__local, int, atomic)
NOYAU_EACH(__local, uint, atomic)
#ifdef cl_khr_int64_base_atomics
NOYAU_EACH(__global, long, atom)
NOYAU_EACH(__global, ulong, atom)
NOYAU_EACH(__local, long, atom)
NOYAU_EACH(__local, ulong, atom)
#endif
#undef NOYAU_EACH
int printf(__constant const char*, ...);
)";
}

}  // namespace noyau::opencl
