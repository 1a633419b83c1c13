// The names of CLBlast's own statuses.
// SPDX-License-Identifier: Apache-2.0
#include "backends/clblast/status.hpp"

#include <fmt/format.h>

#include "backends/opencl/status.hpp"

namespace noyau::clblast {
namespace {

using ::clblast::StatusCode;

struct Known {
  StatusCode code;
  const char* name;
};
constexpr Known known[] = {{StatusCode::kNotImplemented, "kNotImplemented"},
                           {StatusCode::kInvalidMatrixA, "kInvalidMatrixA"},
                           {StatusCode::kInvalidMatrixB, "kInvalidMatrixB"},
                           {StatusCode::kInvalidMatrixC, "kInvalidMatrixC"},
                           {StatusCode::kInvalidDimension, "kInvalidDimension"},
                           {StatusCode::kInvalidLeadDimA, "kInvalidLeadDimA"},
                           {StatusCode::kInvalidLeadDimB, "kInvalidLeadDimB"},
                           {StatusCode::kInvalidLeadDimC, "kInvalidLeadDimC"},
                           {StatusCode::kInsufficientMemoryA, "kInsufficientMemoryA"},
                           {StatusCode::kInsufficientMemoryB, "kInsufficientMemoryB"},
                           {StatusCode::kInsufficientMemoryC, "kInsufficientMemoryC"},
                           {StatusCode::kInsufficientMemoryTemp, "kInsufficientMemoryTemp"},
                           {StatusCode::kInvalidBatchCount, "kInvalidBatchCount"},
                           {StatusCode::kInvalidLocalMemUsage, "kInvalidLocalMemUsage"},
                           {StatusCode::kNoHalfPrecision, "kNoHalfPrecision"},
                           {StatusCode::kNoDoublePrecision, "kNoDoublePrecision"},
                           {StatusCode::kDatabaseError, "kDatabaseError"},
                           {StatusCode::kUnknownError, "kUnknownError"},
                           {StatusCode::kUnexpectedError, "kUnexpectedError"}};

}  // namespace

std::string status_text(StatusCode code) {
  for (const Known& k : known) {
    if (k.code == code) return fmt::format("{} ({})", static_cast<int>(code), k.name);
  }
  return opencl::explained(static_cast<cl_int>(code));
}

}  // namespace noyau::clblast
