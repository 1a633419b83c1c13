// What the caller allows products to lose for speed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace noyau {

/// All off: everything is computed in the arrays' own dtype.
struct AllowedPrecision {
  /// matmul, convolution and its gradients of float32 may round their factors to TF32 (10 bits of
  /// mantissa, sums in float32), where a vendor's library does that. Others compute as ever.
  bool tf32 = false;
};

/// Allows this in the thread while it lives. Read when an array is made, not when it is evaluated.
class Precision {
 public:
  explicit Precision(AllowedPrecision allowed);
  ~Precision();
  Precision(const Precision&) = delete;
  Precision& operator=(const Precision&) = delete;

 private:
  AllowedPrecision previous_;
};

/// What the innermost Precision of this thread allows.
AllowedPrecision allowed_precision();

}  // namespace noyau
