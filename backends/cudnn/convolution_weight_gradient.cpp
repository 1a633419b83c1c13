// The gradient of a convolution for its weights.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cudnn/problem.hpp"
#include "backends/cudnn/routines.hpp"
#include "noyau/error.hpp"

namespace noyau::cudnn {
namespace {

constexpr std::string_view routine_name = "cudnn.convolution_weight_gradient";

// cudnnConvolutionBwdFilterAlgo_t; 0 and 3 add in any order, the others are transforms.
constexpr Algorithm implicit_gemm = 1;

class WeightGradientRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }

  bool accepts(const LibraryCall& call) const override {
    return can_describe(call, LibraryCall::Kind::convolution_weight_gradient) && chosen(call);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    // Check,
    if (!can_describe(call, LibraryCall::Kind::convolution_weight_gradient))
      throw InternalError("cudnn.convolution_weight_gradient: prepares a call it does not accept");
    // choose,
    const auto choice = chosen(call);
    if (!choice) throw InternalError("cudnn.convolution_weight_gradient: no algorithm");
    // set; the launch is below.
    return std::make_unique<PreparedConvolution>(routine_name, call, *choice, std::nullopt, launch);
  }

 private:
  static std::optional<Choice> chosen(const LibraryCall& call) {
    return choose(
        routine_name, call,
        [](Handle handle, const Descriptors& d, int most, int* found, Performance* all) {
          return functions().get_convolution_backward_filter_algorithm(
              handle, d.x, d.y, d.convolution, d.weights, most, found, all);
        },
        [](Handle handle, const Descriptors& d, Algorithm algorithm, std::size_t* bytes) {
          return functions().get_convolution_backward_filter_workspace_size(
              handle, d.x, d.y, d.convolution, d.weights, algorithm, bytes);
        },
        [](Algorithm algorithm) { return algorithm == implicit_gemm; });
  }

  static Status launch(Handle handle, const Descriptors& d, const Choice& choice,
                       const Scalars& scalars, std::span<const void* const> inputs, void* output,
                       void* workspace) {
    return functions().convolution_backward_filter(
        handle, scalars.one(), d.x, inputs[0], d.y, inputs[1], d.convolution, choice.algorithm,
        workspace, choice.workspace_bytes, scalars.zero(), d.weights, output);
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_convolution_weight_gradient() {
  return std::make_unique<WeightGradientRoutine>();
}

}  // namespace noyau::cudnn
