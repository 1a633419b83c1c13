// Convolution, with bias and relu on the way: cuDNN lets NaN through where it is asked to.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cudnn/problem.hpp"
#include "backends/cudnn/routines.hpp"
#include "noyau/error.hpp"

namespace noyau::cudnn {
namespace {

constexpr std::string_view routine_name = "cudnn.convolution";

// cudnnConvolutionFwdAlgo_t; the others are transforms, whose sums are not those of the definition.
constexpr Algorithm implicit_gemm = 0, implicit_precomputed_gemm = 1, gemm = 2, direct = 3;

class ConvolutionRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }

  bool accepts(const LibraryCall& call) const override {
    return can_describe(call, LibraryCall::Kind::convolution) && chosen(call);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    // Check,
    if (!can_describe(call, LibraryCall::Kind::convolution))
      throw InternalError("cudnn.convolution: prepares a call it does not accept");
    // choose,
    const auto choice = chosen(call);
    if (!choice) throw InternalError("cudnn.convolution: no algorithm");
    // set; the launch is below.
    return std::make_unique<PreparedConvolution>(routine_name, call, *choice, implicit_gemm,
                                                 launch);
  }

 private:
  static std::optional<Choice> chosen(const LibraryCall& call) {
    return choose(
        routine_name, call,
        [](Handle handle, const Descriptors& d, int most, int* found, Performance* all) {
          return functions().get_convolution_forward_algorithm(
              handle, d.x, d.weights, d.convolution, d.y, most, found, all);
        },
        [](Handle handle, const Descriptors& d, Algorithm algorithm, std::size_t* bytes) {
          return functions().get_convolution_forward_workspace_size(
              handle, d.x, d.weights, d.convolution, d.y, algorithm, bytes);
        },
        [&](Algorithm algorithm) {
          // Bias and relu are done by the implicit ones.
          return algorithm == implicit_gemm || algorithm == implicit_precomputed_gemm ||
                 (!call.bias && (algorithm == gemm || algorithm == direct));
        });
  }

  static Status launch(Handle handle, const Descriptors& d, const Choice& choice,
                       const Scalars& scalars, std::span<const void* const> inputs, void* output,
                       void* workspace) {
    const Functions& f = functions();
    if (d.bias == nullptr) {
      return f.convolution_forward(handle, scalars.one(), d.x, inputs[0], d.weights, inputs[1],
                                   d.convolution, choice.algorithm, workspace,
                                   choice.workspace_bytes, scalars.zero(), d.y, output);
    }
    return f.convolution_bias_activation_forward(
        handle, scalars.one(), d.x, inputs[0], d.weights, inputs[1], d.convolution,
        choice.algorithm, workspace, choice.workspace_bytes, scalars.zero(), d.y, output, d.bias,
        inputs[2], d.activation, d.y, output);
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_convolution() {
  return std::make_unique<ConvolutionRoutine>();
}

}  // namespace noyau::cudnn
