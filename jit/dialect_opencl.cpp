// How OpenCL C 1.2 spells Programs.
// SPDX-License-Identifier: Apache-2.0
#include "jit/dialect.hpp"

namespace noyau::jit {

const Dialect& opencl_dialect() {
  static constexpr Dialect dialect = {
      .name = "OpenCL C",
      .prologue = "#pragma OPENCL FP_CONTRACT OFF\n",
      .float64_prologue = "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n",
      .int64_atomics_prologue =
          "#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable\n"
          "#pragma OPENCL EXTENSION cl_khr_int64_extended_atomics : enable\n",
      .kernel = "__kernel __attribute__((reqd_work_group_size({0}, {1}, {2}))) void",
      .item_kernel = "__kernel void",
      .run_kernel = "__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void",
      .function = "static inline",
      .global = "__global ",
      .local = "__local ",
      .shared = "__local __attribute__((aligned(16))) ",
      .types = {"bool", "char", "short", "int", "long", "uchar", "ushort", "uint", "ulong", "float",
                "double"},
      .int64_suffix = "L",
      .uint64_suffix = "UL",
      .item = {"(long)get_global_id(0)", "(long)get_global_id(1)", "(long)get_global_id(2)"},
      .items = {"(long)get_global_size(0)", "(long)get_global_size(1)", "(long)get_global_size(2)"},
      .thread = {"(long)get_local_id(0)", "(long)get_local_id(1)", "(long)get_local_id(2)"},
      .block = "(long)get_group_id(0)",
      .independent_loop = "#pragma clang loop vectorize(assume_safety)",
      .brief_loop = "#pragma clang loop vectorize(disable) unroll(disable)",
      .unrolled_loop = "#pragma unroll",
      .partly_unrolled_loop = "#pragma unroll 8",
      .rolled_loop = "#pragma unroll 1",
      .vector_types = {"uchar", "char", "short", "int", "long", "uchar", "ushort", "uint", "ulong",
                       "float", "double"},
      .vector = "({0})({1})",
      .block_number = "ulong",
      .bitcast = "as_{0}({1})",
      .barrier = "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);",
      .fence = "mem_fence(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);",
      .fma = {"fma", "fma"},
      .sqrt = {"sqrt", "sqrt"},
      .floor = {"floor", "floor"},
      .ceil = {"ceil", "ceil"},
      .trunc = {"trunc", "trunc"},
      .rint = {"rint", "rint"},
      .absolute = {"fabs", "fabs"},
      .remainder = {"fmod", "fmod"},
      .atomics = {{"atomic_add", "atomic_min", "atomic_max", "atomic_and", "atomic_or",
                   "atomic_xor", "atomic_xchg", "atomic_cmpxchg"},
                  {"atom_add", "atom_min", "atom_max", "atom_and", "atom_or", "atom_xor",
                   "atom_xchg", "atom_cmpxchg"}},
      .atomic_float_add = false,
      .shuffle = "",
      .vote = {"", ""},
      .print = "printf({})",
      .print_int64 = "l",
      .handles = true,
      .sized_local_arguments = true,
      .dynamic_shared = "",
  };
  return dialect;
}

}  // namespace noyau::jit
