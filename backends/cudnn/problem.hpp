// What convolutions of all kinds check and describe alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/cudnn/functions.hpp"
#include "core/device.hpp"

namespace noyau::cudnn {

/// True when cuDNN can describe the call: f32 or f64, images with ordinary strides, weights dense
/// by rows or with channels last, padding that is the same on both sides as far as it is read.
bool can_describe(const LibraryCall& call, LibraryCall::Kind kind);

/// Whether factors may be rounded to TF32. For bfloat16, which cuDNN's math of float32 does not
/// have, TF32 does: it keeps more.
inline bool may_round(const LibraryCall& call) { return call.allowed.tf32 || call.allowed.bf16; }

/// A call that can be described, in cuDNN's descriptors.
class Descriptors {
 public:
  explicit Descriptors(const LibraryCall& call);
  ~Descriptors();
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  Tensor x = nullptr, y = nullptr, bias = nullptr;
  Filter weights = nullptr;
  ConvolutionDescriptor convolution = nullptr;
  Activation activation = nullptr;

 private:
  void describe(const LibraryCall& call);
  void destroy();
};

/// 1 and 0 in the type that cuDNN wants of a call's alpha and beta.
struct Scalars {
  explicit Scalars(DType dtype) : wide_(dtype == float64) {}
  const void* one() const { return wide_ ? static_cast<const void*>(&double_one_) : &one_; }
  const void* zero() const { return wide_ ? static_cast<const void*>(&double_zero_) : &zero_; }

 private:
  const bool wide_;
  const float one_ = 1, zero_ = 0;
  const double double_one_ = 1, double_zero_ = 0;
};

}  // namespace noyau::cudnn
