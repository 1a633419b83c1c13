// The functions of cuBLASLt that Noyau calls, found in libcublasLt when it is there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace noyau::cublaslt {

// The types and numbers of cuBLASLt's binary interface, the same in versions 12 and 13.
using Status = int;
using Handle = struct HandleOfLt*;
using Operation = struct OperationOfLt*;    ///< cublasLtMatmulDesc_t
using Layout = struct LayoutOfLt*;          ///< cublasLtMatrixLayout_t
using Preference = struct PreferenceOfLt*;  ///< cublasLtMatmulPreference_t
struct Algorithm {
  std::uint64_t data[8];
};
struct HeuristicResult {
  Algorithm algorithm;
  std::size_t workspace_bytes;
  Status state;
  float waves;
  int reserved[4];
};

inline constexpr Status success = 0, execution_failed = 13, not_supported = 15;
enum DataType : int { real_32 = 0, real_64 = 1 };
/// The last two round factors of float32 as they say; their sums are in float32.
enum ComputeType : int {
  compute_32 = 68,
  compute_64 = 70,
  compute_32_bf16 = 75,
  compute_32_tf32 = 77
};
enum LayoutAttribute : int { batch_count = 5, batch_stride = 6 };
enum OperationAttribute : int { transpose_a = 3, transpose_b = 4, epilogue = 7, bias_pointer = 8 };
enum PreferenceAttribute : int {
  most_workspace_bytes = 1,
  reduction_schemes = 3,
  alignment_a = 5,
  alignment_b = 6,
  alignment_c = 7,
  alignment_d = 8
};
inline constexpr std::int32_t transposed = 1;
inline constexpr std::uint32_t epilogue_bias = 4;
inline constexpr std::uint32_t reduce_in_compute_type = 2;

/// Each member is the function `cublasLt` + its name.
struct Functions {
  std::size_t (*get_version)();
  const char* (*get_status_name)(Status);
  const char* (*get_status_string)(Status);
  Status (*create)(Handle*);
  Status (*matmul)(Handle, Operation, const void* alpha, const void* a, Layout, const void* b,
                   Layout, const void* beta, const void* c, Layout, void* d, Layout,
                   const Algorithm*, void* workspace, std::size_t workspace_bytes, void* stream);
  Status (*matmul_desc_create)(Operation*, ComputeType, DataType scale);
  Status (*matmul_desc_destroy)(Operation);
  Status (*matmul_desc_set_attribute)(Operation, OperationAttribute, const void*, std::size_t);
  Status (*matrix_layout_create)(Layout*, DataType, std::uint64_t rows, std::uint64_t columns,
                                 std::int64_t leading_dimension);
  Status (*matrix_layout_destroy)(Layout);
  Status (*matrix_layout_set_attribute)(Layout, LayoutAttribute, const void*, std::size_t);
  Status (*matmul_preference_create)(Preference*);
  Status (*matmul_preference_destroy)(Preference);
  Status (*matmul_preference_set_attribute)(Preference, PreferenceAttribute, const void*,
                                            std::size_t);
  Status (*matmul_algo_get_heuristic)(Handle, Operation, Layout a, Layout b, Layout c, Layout d,
                                      Preference, int wanted, HeuristicResult*, int* found);

  std::string description;  ///< "libcublasLt.so.13 (...), cuBLASLt 13.1.0"
};

/// Loads it once. DeviceError that says what is wrong: no library, one of another version, or one
/// without some function.
const Functions& functions();

/// The handle of a context (a CUcontext), made when it is first asked for. DeviceError.
Handle handle_of(void* context);

/// "15 (CUBLAS_STATUS_NOT_SUPPORTED: the requested functionality is not supported)"
std::string status_text(Status status);
/// InternalError naming the call unless `status` is success.
void check(Status status, const char* call);

}  // namespace noyau::cublaslt
