// What the caller allows products to lose for speed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace noyau {

/// What matmul, convolution and its gradients of float32 may round their factors to, where a
/// vendor's library does that; their sums stay in float32, and all else computes as ever. All off:
/// everything is computed in the arrays' own dtype. A library uses the fastest that is allowed and
/// that it has: bfloat16, else TF32, else float32.
struct AllowedPrecision {
  bool tf32 = false;  ///< TF32: 10 bits of mantissa, the range of float32
  bool bf16 = false;  ///< bfloat16: 7 bits, the same range. Allows TF32, too, which keeps more
};

/// Allows this in the thread while it lives. Read when an array is made, not when it is evaluated;
/// the gradients of a product are allowed what it was.
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
