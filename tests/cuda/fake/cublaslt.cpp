// A libcublasLt.so.13 for tests: computes plainly on the host's memory, and refuses what the real
// one would refuse or read wrongly. $NOYAU_FAKE_CUBLASLT makes it fail: "init" (cublasLtCreate),
// "old" (another version), "none" (no algorithm).
// SPDX-License-Identifier: Apache-2.0
#include "backends/cublaslt/functions.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "tests/common/fake_calls.hpp"
#include "tests/cuda/fake/rounding.hpp"
#include "tests/cuda/fake/stream.hpp"

namespace noyau::cublaslt {

struct HandleOfLt {
  void* context;
};
struct OperationOfLt {
  ComputeType compute;
  DataType scale;
  std::int32_t transpose[2] = {0, 0};
  std::uint32_t epilogue = 1;
  const void* bias = nullptr;
};
struct LayoutOfLt {
  DataType type;
  std::uint64_t rows, columns;
  std::int64_t leading;
  std::int32_t batch = 1;
  std::int64_t stride = 0;
  std::int64_t last(std::int32_t at) const {  ///< one past the last element
    return at * stride + static_cast<std::int64_t>(columns - 1) * leading +
           static_cast<std::int64_t>(rows);
  }
};
struct PreferenceOfLt {
  std::uint64_t workspace = 0;
  std::uint32_t schemes = 7;
  std::uint32_t alignment[4] = {256, 256, 256, 256};
};

namespace {

constexpr Status not_initialized = 1, invalid_value = 7;
constexpr std::uint64_t magic = 0x4c7463616c676f;
constexpr std::size_t wanted_workspace = 4096;

bool wants(const char* mode) { return test::fake_mode_is("NOYAU_FAKE_CUBLASLT", mode); }
std::size_t size_of(DataType type) { return type == real_64 ? 8 : 4; }
/// Bytes, up to 16, of which a pointer is a multiple.
std::uint64_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return std::uint64_t{1} << std::min(std::countr_zero(address), 4);
}

/// Why the descriptors do not describe a product, or nullptr.
const char* fault_of(const OperationOfLt& o, const LayoutOfLt& a, const LayoutOfLt& b,
                     const LayoutOfLt& c, const LayoutOfLt& d) {
  const std::uint64_t m = o.transpose[0] ? a.columns : a.rows,
                      k = o.transpose[0] ? a.rows : a.columns,
                      kb = o.transpose[1] ? b.columns : b.rows,
                      n = o.transpose[1] ? b.rows : b.columns;
  if (m != d.rows || n != d.columns || k != kb) return "shapes";
  if (c.rows != d.rows || c.columns != d.columns || c.leading != d.leading) return "c is not d";
  for (const LayoutOfLt* l : {&a, &b, &d}) {
    if (l->rows == 0 || l->columns == 0) return "empty";
    if (l->leading < static_cast<std::int64_t>(l->rows)) return "leading dimension";
    if (l->type != d.type || l->batch != d.batch) return "types or batches";
  }
  if (d.batch > 1 && d.stride < d.last(0) - 0 && d.stride == 0) return "batch of d";
  const bool wide = d.type == real_64;
  if (wide != (o.compute == compute_64) || wide != (o.scale == real_64)) return "compute type";
  if (!wide && o.compute != compute_32 && o.compute != compute_32_tf32 &&
      o.compute != compute_32_bf16)
    return "compute type";
  if (o.epilogue != 1 && o.epilogue != epilogue_bias) return "epilogue";
  return nullptr;
}

struct Run {
  OperationOfLt o;
  LayoutOfLt a, b, d;
  const void *pa, *pb;
  void* pd;
  /// As a factor is rounded, by the compute type.
  template <class T>
  T rounded(T value) const {
    if (o.compute == compute_32_bf16) return fake_cuda::with_mantissa(static_cast<float>(value), 7);
    if (o.compute == compute_32_tf32)
      return fake_cuda::with_mantissa(static_cast<float>(value), 10);
    return value;
  }
  template <class T>
  void compute() const {
    const std::uint64_t k = o.transpose[0] ? a.rows : a.columns;
    const auto element = [](const void* p, const LayoutOfLt& l, bool t, std::uint64_t row,
                            std::uint64_t column, std::int32_t at) {
      if (t) std::swap(row, column);
      return static_cast<const T*>(
          p)[at * l.stride + static_cast<std::int64_t>(column) * l.leading +
             static_cast<std::int64_t>(row)];
    };
    for (std::int32_t at = 0; at < d.batch; ++at)
      for (std::uint64_t column = 0; column < d.columns; ++column)
        for (std::uint64_t row = 0; row < d.rows; ++row) {
          T sum = 0;
          for (std::uint64_t i = 0; i < k; ++i)
            sum = std::fma(rounded(element(pa, a, o.transpose[0] != 0, row, i, at)),
                           rounded(element(pb, b, o.transpose[1] != 0, i, column, at)), sum);
          if (o.epilogue == epilogue_bias) sum += static_cast<const T*>(o.bias)[row];
          static_cast<T*>(pd)[at * d.stride + static_cast<std::int64_t>(column) * d.leading +
                              static_cast<std::int64_t>(row)] = sum;
        }
  }
};

Status refuse(const char* why) {
  fprintf(stderr, "fake cublasLt refuses: %s\n", why);
  return invalid_value;
}

}  // namespace
}  // namespace noyau::cublaslt

using namespace noyau::cublaslt;  // NOLINT: a file of C functions
namespace fake = noyau::fake_cuda;

extern "C" {

std::size_t cublasLtGetVersion() { return wants("old") ? 110900 : 130102; }
const char* cublasLtGetStatusName(Status status) {
  return status == not_supported     ? "CUBLAS_STATUS_NOT_SUPPORTED"
         : status == not_initialized ? "CUBLAS_STATUS_NOT_INITIALIZED"
                                     : "CUBLAS_STATUS_FAKE";
}
const char* cublasLtGetStatusString(Status) { return "words of the fake cuBLASLt"; }
Status cublasLtCreate(Handle* handle) {
  if (wants("init") || fake::current_context() == nullptr) return not_initialized;
  *handle = new HandleOfLt{fake::current_context()};
  return success;
}
Status cublasLtMatmulDescCreate(Operation* made, ComputeType compute, DataType scale) {
  *made = new OperationOfLt{compute, scale};
  return success;
}
Status cublasLtMatmulDescDestroy(Operation o) {
  delete o;
  return success;
}
Status cublasLtMatmulDescSetAttribute(Operation o, OperationAttribute which, const void* value,
                                      std::size_t bytes) {
  switch (which) {
    case transpose_a:
    case transpose_b:
      if (bytes != 4) return refuse("size of a transpose");
      std::memcpy(&o->transpose[which == transpose_b], value, 4);
      return success;
    case epilogue:
      if (bytes != 4) return refuse("size of an epilogue");
      std::memcpy(&o->epilogue, value, 4);
      return success;
    case bias_pointer:
      if (bytes != sizeof(void*)) return refuse("size of a bias pointer");
      std::memcpy(&o->bias, value, sizeof(void*));
      return success;
  }
  return refuse("an attribute");
}
Status cublasLtMatrixLayoutCreate(Layout* made, DataType type, std::uint64_t rows,
                                  std::uint64_t columns, std::int64_t leading) {
  *made = new LayoutOfLt{type, rows, columns, leading};
  return success;
}
Status cublasLtMatrixLayoutDestroy(Layout l) {
  delete l;
  return success;
}
Status cublasLtMatrixLayoutSetAttribute(Layout l, LayoutAttribute which, const void* value,
                                        std::size_t bytes) {
  if (which == batch_count && bytes == 4) std::memcpy(&l->batch, value, 4);
  else if (which == batch_stride && bytes == 8) std::memcpy(&l->stride, value, 8);
  else return refuse("an attribute of a layout");
  return success;
}
Status cublasLtMatmulPreferenceCreate(Preference* made) {
  *made = new PreferenceOfLt;
  return success;
}
Status cublasLtMatmulPreferenceDestroy(Preference p) {
  delete p;
  return success;
}
Status cublasLtMatmulPreferenceSetAttribute(Preference p, PreferenceAttribute which,
                                            const void* value, std::size_t bytes) {
  if (which == most_workspace_bytes && bytes == 8) std::memcpy(&p->workspace, value, 8);
  else if (which == reduction_schemes && bytes == 4) std::memcpy(&p->schemes, value, 4);
  else if (which >= alignment_a && which <= alignment_d && bytes == 4)
    std::memcpy(&p->alignment[which - alignment_a], value, 4);
  else return refuse("an attribute of a preference");
  return success;
}
#ifndef NOYAU_FAKE_WITHOUT_HEURISTIC
Status cublasLtMatmulAlgoGetHeuristic(Handle handle, Operation o, Layout a, Layout b, Layout c,
                                      Layout d, Preference p, int wanted, HeuristicResult* results,
                                      int* found) {
  *found = 0;
  if (handle == nullptr || handle->context != fake::current_context()) return not_initialized;
  if (const char* why = fault_of(*o, *a, *b, *c, *d)) return refuse(why);
  fake::called("cublasLtMatmulAlgoGetHeuristic", "heuristic");
  if (wants("none")) return not_supported;
  if (o->compute == compute_32_bf16 && fake::called("heuristic of bfloat16") != 0)
    return not_supported;
  if (o->epilogue == epilogue_bias && o->bias == nullptr) return refuse("no bias");
  if (wanted < 1 || p->schemes != reduce_in_compute_type) return refuse("reduction schemes");
  HeuristicResult& r = results[0];
  r = {};
  // What is aligned well is fast, and wants memory to work in.
  const bool fast = p->alignment[0] >= 16 && p->workspace >= wanted_workspace;
  r.workspace_bytes = fast ? wanted_workspace : 0;
  r.algorithm.data[0] = magic;
  r.algorithm.data[1] = p->alignment[0];
  r.algorithm.data[2] = r.workspace_bytes;
  r.algorithm.data[3] = alignment_of(o->bias);
  *found = 1;
  return success;
}
#endif
Status cublasLtMatmul(Handle handle, Operation o, const void* alpha, const void* pa, Layout a,
                      const void* pb, Layout b, const void* beta, const void* pc, Layout c,
                      void* pd, Layout d, const Algorithm* algorithm, void* workspace,
                      std::size_t workspace_bytes, void* stream) {
  if (handle == nullptr || handle->context != fake::current_context()) return not_initialized;
  if (const char* why = fault_of(*o, *a, *b, *c, *d)) return refuse(why);
  if (algorithm->data[0] != magic) return refuse("the algorithm");
  if (pc != pd) return refuse("c is elsewhere");
  if (const Status told = fake::called("cublasLtMatmul")) return told;
  const std::uint64_t alignment = algorithm->data[1];
  for (const void* p : {pa, pb, static_cast<const void*>(pd)})
    if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0) return refuse("alignment");
  if (workspace_bytes < algorithm->data[2]) return refuse("too little workspace");
  if (workspace_bytes > 0 && (reinterpret_cast<std::uintptr_t>(workspace) % 16 != 0 ||
                              !fake::holds(workspace, workspace_bytes)))
    return refuse("workspace");
  const std::size_t size = size_of(d->type);
  const auto inside = [&](const void* p, const LayoutOfLt& l) {
    return fake::holds(p, static_cast<std::size_t>(l.last(l.batch - 1)) * size);
  };
  if (!inside(pa, *a) || !inside(pb, *b) || !inside(pd, *d)) return refuse("memory");
  if (o->epilogue == epilogue_bias) {
    if (!fake::holds(o->bias, d->rows * size)) return refuse("memory of the bias");
    if (alignment_of(o->bias) < algorithm->data[3]) return refuse("alignment of the bias");
  }
  const bool wide = d->type == real_64;
  if (wide ? *static_cast<const double*>(alpha) != 1 || *static_cast<const double*>(beta) != 0
           : *static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0)
    return refuse("alpha or beta");
  char words[120];
  snprintf(words, sizeof words, "matmul %s%s batch %d compute %d alignment %d%s",
           o->transpose[0] ? "t" : "n", o->transpose[1] ? "t" : "n", d->batch, o->compute,
           static_cast<int>(alignment), o->epilogue == epilogue_bias ? " bias" : "");
  const std::string said = words;
  const Run run{*o, *a, *b, *d, pa, pb, pd};
  return fake::on_stream(stream, [run, wide, said] {
    fake::called("", said);
    if (wide) run.compute<double>();
    else run.compute<float>();
    return 0;
  });
}

}  // extern "C"
