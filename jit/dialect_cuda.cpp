// How CUDA C++ spells Programs, without any header. Compile with --fmad=false: the text has no way
// to forbid contraction.
// SPDX-License-Identifier: Apache-2.0
#include "jit/dialect.hpp"

namespace noyau::jit {

const Dialect& cuda_dialect() {
  static constexpr Dialect dialect = {
      .name = "CUDA C++",
      .prologue = "",
      .float64_prologue = "",
      .int64_atomics_prologue = "",
      .kernel = "extern \"C\" __global__ void __launch_bounds__({3})",
      .item_kernel = "extern \"C\" __global__ void",
      .run_kernel = "extern \"C\" __global__ void",
      .function = "static __device__ __forceinline__",
      .global = "",
      .local = "",
      .shared = "__shared__ __align__(16) ",
      .types = {"bool", "signed char", "short", "int", "long long", "unsigned char",
                "unsigned short", "unsigned int", "unsigned long long", "float", "double"},
      .int64_suffix = "LL",
      .uint64_suffix = "ULL",
      .item = {"blockIdx.x * (long long)blockDim.x + threadIdx.x",
               "blockIdx.y * (long long)blockDim.y + threadIdx.y",
               "blockIdx.z * (long long)blockDim.z + threadIdx.z"},
      .items = {"(long long)gridDim.x * blockDim.x", "(long long)gridDim.y * blockDim.y",
                "(long long)gridDim.z * blockDim.z"},
      .thread = {"(long long)threadIdx.x", "(long long)threadIdx.y", "(long long)threadIdx.z"},
      .block = "(long long)blockIdx.x",
      .independent_loop = "",
      .brief_loop = "",
      .unrolled_loop = "#pragma unroll",
      .partly_unrolled_loop = "#pragma unroll 8",
      .rolled_loop = "#pragma unroll 1",
      .vector_types = {"uchar", "char", "short", "int", "longlong", "uchar", "ushort", "uint",
                       "ulonglong", "float", "double"},
      .vector = "make_{0}({1})",
      .block_number = "unsigned int",
      .bitcast = "__builtin_bit_cast({0}, {1})",
      .barrier = "__syncthreads();",
      .fence = "__threadfence();",
      .fma = {"fmaf", "fma"},
      .sqrt = {"sqrtf", "sqrt"},
      .floor = {"floorf", "floor"},
      .ceil = {"ceilf", "ceil"},
      .trunc = {"truncf", "trunc"},
      .rint = {"rintf", "rint"},
      .absolute = {"fabsf", "fabs"},
      .remainder = {"fmodf", "fmod"},
      .atomics = {{"atomicAdd", "atomicMin", "atomicMax", "atomicAnd", "atomicOr", "atomicXor",
                   "atomicExch", "atomicCAS"},
                  {"atomicAdd", "atomicMin", "atomicMax", "atomicAnd", "atomicOr", "atomicXor",
                   "atomicExch", "atomicCAS"}},
      .atomic_float_add = true,
      .shuffle = "__shfl_sync({0}, {1}, {2})",
      .vote = {"__any_sync({0}, {1})", "__all_sync({0}, {1})"},
      .print = "printf({})",
      .print_int64 = "ll",
      .handles = false,
      .sized_local_arguments = false,
      .dynamic_shared = "extern __shared__ __align__(16) unsigned char noyau_shared[];",
  };
  return dialect;
}

}  // namespace noyau::jit
