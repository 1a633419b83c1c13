// The gradient of a convolution for its images.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cudnn/problem.hpp"
#include "backends/cudnn/routines.hpp"
#include "noyau/error.hpp"

namespace noyau::cudnn {
namespace {

constexpr std::string_view routine_name = "cudnn.convolution_input_gradient";

// cudnnConvolutionBwdDataAlgo_t; 0 adds in any order, the others are transforms.
constexpr Algorithm implicit_gemm = 1;

class InputGradientRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }

  bool accepts(const LibraryCall& call) const override {
    return can_describe(call, LibraryCall::Kind::convolution_input_gradient) && chosen(call);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    // Check,
    if (!can_describe(call, LibraryCall::Kind::convolution_input_gradient))
      throw InternalError("cudnn.convolution_input_gradient: prepares a call it does not accept");
    // choose,
    const auto choice = chosen(call);
    if (!choice) throw InternalError("cudnn.convolution_input_gradient: no algorithm");
    // set; the launch is below.
    return std::make_unique<PreparedConvolution>(routine_name, call, *choice, std::nullopt, launch);
  }

 private:
  static std::optional<Choice> chosen(const LibraryCall& call) {
    return choose(
        routine_name, call,
        [](Handle handle, const Descriptors& d, int most, int* found, Performance* all) {
          return functions().get_convolution_backward_data_algorithm(
              handle, d.weights, d.y, d.convolution, d.x, most, found, all);
        },
        [](Handle handle, const Descriptors& d, Algorithm algorithm, std::size_t* bytes) {
          return functions().get_convolution_backward_data_workspace_size(
              handle, d.weights, d.y, d.convolution, d.x, algorithm, bytes);
        },
        [](Algorithm algorithm) { return algorithm == implicit_gemm; });
  }

  static Status launch(Handle handle, const Descriptors& d, const Choice& choice,
                       const Scalars& scalars, std::span<const void* const> inputs, void* output,
                       void* workspace) {
    return functions().convolution_backward_data(
        handle, scalars.one(), d.weights, inputs[1], d.y, inputs[0], d.convolution,
        choice.algorithm, workspace, choice.workspace_bytes, scalars.zero(), d.x, output);
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_convolution_input_gradient() {
  return std::make_unique<InputGradientRoutine>();
}

}  // namespace noyau::cudnn
