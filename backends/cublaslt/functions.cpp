// Finding cuBLASLt, and its handles.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cublaslt/functions.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "backends/cuda/driver.hpp"
#include "backends/cuda/library.hpp"
#include "noyau/error.hpp"

namespace noyau::cublaslt {
namespace {

constexpr const char* remedy =
    "install cuBLAS of CUDA 12 or 13 (of the CUDA toolkit, or the package nvidia-cublas), and put "
    "its folder on LD_LIBRARY_PATH or name the toolkit's in CUDA_HOME; without it matmul runs on "
    "generated kernels";

Functions load() {
  constexpr const char* files[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
  const cuda::Library library = cuda::open_library(cuda::in_toolkit(files), remedy);
  Functions f;
  library.find(f.get_version, "cublasLtGetVersion");
  const std::size_t version = f.get_version();
  f.description = fmt::format("{}, cuBLASLt {}.{}.{}", library.description(), version / 10000,
                              version / 100 % 100, version % 100);
  if (version < 120000 || version >= 140000) {
    throw DeviceError(
        fmt::format("{}: of another version than is known; {}", f.description, remedy));
  }
  library.find(f.get_status_name, "cublasLtGetStatusName");
  library.find(f.get_status_string, "cublasLtGetStatusString");
  library.find(f.create, "cublasLtCreate");
  library.find(f.matmul, "cublasLtMatmul");
  library.find(f.matmul_desc_create, "cublasLtMatmulDescCreate");
  library.find(f.matmul_desc_destroy, "cublasLtMatmulDescDestroy");
  library.find(f.matmul_desc_set_attribute, "cublasLtMatmulDescSetAttribute");
  library.find(f.matrix_layout_create, "cublasLtMatrixLayoutCreate");
  library.find(f.matrix_layout_destroy, "cublasLtMatrixLayoutDestroy");
  library.find(f.matrix_layout_set_attribute, "cublasLtMatrixLayoutSetAttribute");
  library.find(f.matmul_preference_create, "cublasLtMatmulPreferenceCreate");
  library.find(f.matmul_preference_destroy, "cublasLtMatmulPreferenceDestroy");
  library.find(f.matmul_preference_set_attribute, "cublasLtMatmulPreferenceSetAttribute");
  library.find(f.matmul_algo_get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
  return f;
}

}  // namespace

const Functions& functions() {
  static const Functions& loaded = *new Functions(load());
  return loaded;
}

Handle handle_of(void* context) {
  static auto& handles = *new std::map<void*, Handle>;  // leaked: calls come until the very end
  static auto& mutex = *new std::mutex;
  const std::lock_guard lock(mutex);
  const auto found = handles.find(context);
  if (found != handles.end()) return found->second;
  const cuda::ContextScope scope(static_cast<cuda::Context>(context));
  Handle handle = nullptr;
  if (const Status status = functions().create(&handle); status != success) {
    throw DeviceError(fmt::format("cublasLtCreate failed: {}; {}", status_text(status), remedy));
  }
  return handles[context] = handle;
}

std::string status_text(Status status) {
  return fmt::format("{} ({}: {})", status, functions().get_status_name(status),
                     functions().get_status_string(status));
}

void check(Status status, const char* call) {
  if (status == success) return;
  throw InternalError(fmt::format("{} failed: {}", call, status_text(status)));
}

}  // namespace noyau::cublaslt
