// What the three convolution routines check, describe and choose alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "backends/cudnn/functions.hpp"
#include "core/device.hpp"

namespace noyau::cudnn {

/// True when cuDNN can describe the call: f32 or f64, images with ordinary strides, weights dense
/// by rows or with channels last, padding that is the same on both sides as far as it is read.
bool can_describe(const LibraryCall& call, LibraryCall::Kind kind);

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

/// Algorithm and workspace.
struct Choice {
  Algorithm algorithm = 0;
  std::size_t workspace_bytes = 0;
};
/// How a routine asks: fills up to `most` performances, best first, and says how many.
using Ask = std::function<Status(Handle, const Descriptors&, int most, int* found, Performance*)>;
using AskWorkspace = std::function<Status(Handle, const Descriptors&, Algorithm, std::size_t*)>;
/// The fastest algorithm, by cuDNN's heuristic, that gives the same bits each time, computes sums
/// of products as they are defined (no transforms) in the precision asked for, and is `usable`.
/// Remembered by call. Nothing when there is none or cuDNN does not work here.
std::optional<Choice> choose(std::string_view routine, const LibraryCall& call, const Ask& ask,
                             const AskWorkspace& workspace,
                             const std::function<bool(Algorithm)>& usable);

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

/// A call ready to run: what differs is what is launched.
class PreparedConvolution final : public PreparedCall {
 public:
  using Launch =
      std::function<Status(Handle, const Descriptors&, const Choice&, const Scalars&,
                           std::span<const void* const> inputs, void* output, void* workspace)>;
  /// `otherwise`: an algorithm without workspace, for when cuDNN refuses the one it chose.
  PreparedConvolution(std::string_view routine, const LibraryCall& call, const Choice& choice,
                      std::optional<Algorithm> otherwise, Launch launch)
      : routine_(routine),
        context_(call.context),
        scalars_(call.output.dtype),
        descriptors_(call),
        choice_(choice),
        otherwise_(otherwise),
        launch_(std::move(launch)) {}
  std::int64_t workspace_bytes() const override {
    return static_cast<std::int64_t>(choice_.workspace_bytes);
  }
  void run(std::span<const void* const> inputs, void* output, void* workspace) override {
    enqueue(nullptr, inputs, output, workspace);
  }
  void enqueue(void* stream, std::span<const void* const> inputs, void* output,
               void* workspace) override;

 private:
  const std::string routine_;
  void* const context_;
  const Scalars scalars_;
  const Descriptors descriptors_;
  const Choice choice_;
  const std::optional<Algorithm> otherwise_;
  const Launch launch_;
};

}  // namespace noyau::cudnn
