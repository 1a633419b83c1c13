// What a routine of a vendor's library throws when the library will not run what was accepted.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "noyau/error.hpp"

namespace noyau {

/// Thrown by PreparedCall::enqueue when the library refuses the launch. What was enqueued of the
/// call writes to its output alone, and the routine does not accept the call in that way again: a
/// new plan computes it by another algorithm or a generated kernel. DeviceBackend::submit passes
/// this on while nothing has been overwritten, and evaluation then plans anew. Later it is what the
/// results fail with.
class RefusedCall : public DeviceError {
 public:
  /// `call`: in words (describe in core/products.hpp); `status`: the library's, by name.
  RefusedCall(std::string_view routine, std::string_view call, std::string_view status);
  ~RefusedCall() override;
};

}  // namespace noyau
