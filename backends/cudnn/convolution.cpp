// Convolution, with bias and relu on the way (cuDNN lets NaN through where it is asked to), and its
// gradients. They differ in what cuDNN calls them: a row each.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cudnn/convolution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "backends/cuda/driver.hpp"
#include "backends/cudnn/functions.hpp"
#include "backends/cudnn/problem.hpp"
#include "core/log.hpp"
#include "core/products.hpp"
#include "core/refused_call.hpp"
#include "noyau/error.hpp"

namespace noyau::cudnn {
namespace {

constexpr std::size_t most_workspace = std::size_t{1} << 30;
constexpr int most_algorithms = 8;

struct Choice {
  Algorithm algorithm = 0;
  std::size_t workspace_bytes = 0;
};
using Pointers = std::span<const void* const>;

struct Row {
  std::string_view name;
  LibraryCall::Kind kind;
  /// Whether an algorithm adds up products as they are defined, and does the call's epilogue.
  bool (*usable)(const LibraryCall&, Algorithm);
  /// Fills up to `most` performances, best first by cuDNN's heuristic, and says how many.
  Status (*algorithms)(Handle, const Descriptors&, int most, int* found, Performance*);
  Status (*workspace)(Handle, const Descriptors&, Algorithm, std::size_t* bytes);
  Status (*launch)(Handle, const Descriptors&, const Choice&, const Scalars&, Pointers inputs,
                   void* output, void* workspace);
};

// ---- the rows

namespace forward {

// cudnnConvolutionFwdAlgo_t; the others are transforms, whose sums are not those of the definition.
constexpr Algorithm implicit_gemm = 0, implicit_precomputed_gemm = 1, gemm = 2, direct = 3;

bool usable(const LibraryCall& call, Algorithm algorithm) {
  // Bias and relu are done by the implicit ones.
  return algorithm == implicit_gemm || algorithm == implicit_precomputed_gemm ||
         (!call.bias && (algorithm == gemm || algorithm == direct));
}
Status algorithms(Handle handle, const Descriptors& d, int most, int* found, Performance* all) {
  return functions().get_convolution_forward_algorithm(handle, d.x, d.weights, d.convolution, d.y,
                                                       most, found, all);
}
Status workspace(Handle handle, const Descriptors& d, Algorithm algorithm, std::size_t* bytes) {
  return functions().get_convolution_forward_workspace_size(handle, d.x, d.weights, d.convolution,
                                                            d.y, algorithm, bytes);
}
Status launch(Handle handle, const Descriptors& d, const Choice& choice, const Scalars& scalars,
              Pointers inputs, void* output, void* workspace) {
  const Functions& f = functions();
  if (d.bias == nullptr) {
    return f.convolution_forward(handle, scalars.one(), d.x, inputs[0], d.weights, inputs[1],
                                 d.convolution, choice.algorithm, workspace, choice.workspace_bytes,
                                 scalars.zero(), d.y, output);
  }
  return f.convolution_bias_activation_forward(
      handle, scalars.one(), d.x, inputs[0], d.weights, inputs[1], d.convolution, choice.algorithm,
      workspace, choice.workspace_bytes, scalars.zero(), d.y, output, d.bias, inputs[2],
      d.activation, d.y, output);
}

}  // namespace forward

namespace input_gradient {

// cudnnConvolutionBwdDataAlgo_t; 0 adds in any order, the others are transforms.
bool usable(const LibraryCall&, Algorithm algorithm) { return algorithm == 1; }
Status algorithms(Handle handle, const Descriptors& d, int most, int* found, Performance* all) {
  return functions().get_convolution_backward_data_algorithm(handle, d.weights, d.y, d.convolution,
                                                             d.x, most, found, all);
}
Status workspace(Handle handle, const Descriptors& d, Algorithm algorithm, std::size_t* bytes) {
  return functions().get_convolution_backward_data_workspace_size(
      handle, d.weights, d.y, d.convolution, d.x, algorithm, bytes);
}
Status launch(Handle handle, const Descriptors& d, const Choice& choice, const Scalars& scalars,
              Pointers inputs, void* output, void* workspace) {
  return functions().convolution_backward_data(
      handle, scalars.one(), d.weights, inputs[1], d.y, inputs[0], d.convolution, choice.algorithm,
      workspace, choice.workspace_bytes, scalars.zero(), d.x, output);
}

}  // namespace input_gradient

namespace weight_gradient {

// cudnnConvolutionBwdFilterAlgo_t; 0 and 3 add in any order, the others are transforms.
bool usable(const LibraryCall&, Algorithm algorithm) { return algorithm == 1; }
Status algorithms(Handle handle, const Descriptors& d, int most, int* found, Performance* all) {
  return functions().get_convolution_backward_filter_algorithm(handle, d.x, d.y, d.convolution,
                                                               d.weights, most, found, all);
}
Status workspace(Handle handle, const Descriptors& d, Algorithm algorithm, std::size_t* bytes) {
  return functions().get_convolution_backward_filter_workspace_size(handle, d.x, d.y, d.convolution,
                                                                    d.weights, algorithm, bytes);
}
Status launch(Handle handle, const Descriptors& d, const Choice& choice, const Scalars& scalars,
              Pointers inputs, void* output, void* workspace) {
  return functions().convolution_backward_filter(
      handle, scalars.one(), d.x, inputs[0], d.y, inputs[1], d.convolution, choice.algorithm,
      workspace, choice.workspace_bytes, scalars.zero(), d.weights, output);
}

}  // namespace weight_gradient

constexpr Row rows[] = {
    {"cudnn.convolution", LibraryCall::Kind::convolution, forward::usable, forward::algorithms,
     forward::workspace, forward::launch},
    {"cudnn.convolution_input_gradient", LibraryCall::Kind::convolution_input_gradient,
     input_gradient::usable, input_gradient::algorithms, input_gradient::workspace,
     input_gradient::launch},
    {"cudnn.convolution_weight_gradient", LibraryCall::Kind::convolution_weight_gradient,
     weight_gradient::usable, weight_gradient::algorithms, weight_gradient::workspace,
     weight_gradient::launch}};

// ---- check: can_describe (problem.hpp)

// ---- choose

std::vector<std::int64_t> words_of(const LibraryCall& call) {
  std::vector<std::int64_t> words = {call.groups, call.bias, call.relu, may_round(call)};
  for (int k = 0; k < 2; ++k)
    words.insert(words.end(), {call.stride[k], call.padding_low[k], call.dilation[k]});
  const auto put = [&](const TensorView& view) {
    words.push_back(static_cast<std::int64_t>(view.dtype));
    words.insert(words.end(), view.shape.begin(), view.shape.end());
    words.insert(words.end(), view.strides.begin(), view.strides.end());
  };
  for (const TensorView& view : call.inputs) put(view);
  put(call.output);
  return words;
}

/// What was chosen, by call; nothing where there is no such algorithm or cuDNN does not work here.
class Choices {
 public:
  static Choices& all() {
    static auto& made = *new Choices;  // leaked: calls come until the very end
    return made;
  }
  std::optional<Choice> find(const Row& row, const LibraryCall& call) {
    const std::lock_guard lock(mutex_);
    Known& known = known_[key_of(row, call)];
    if (!std::exchange(known.asked, true)) {
      try {
        known.choice = ask(row, call, known.refused);
      } catch (const std::exception& error) {  // generated kernels do it then
        logging::warn_once(error.what());
      }
    }
    return known.choice;
  }
  /// cuDNN would not launch that algorithm after all: the next best is chosen.
  void strike(const Row& row, const LibraryCall& call, Algorithm algorithm) {
    const std::lock_guard lock(mutex_);
    Known& known = known_[key_of(row, call)];
    known.refused.push_back(algorithm);
    known.choice.reset();
    known.asked = false;
  }

 private:
  struct Known {
    std::vector<Algorithm> refused;
    std::optional<Choice> choice;
    bool asked = false;
  };
  using Key = std::tuple<std::string_view, void*, std::vector<std::int64_t>>;
  static Key key_of(const Row& row, const LibraryCall& call) {
    return {row.name, call.context, words_of(call)};
  }
  /// The fastest algorithm, by cuDNN's heuristic, that gives the same bits each time, computes sums
  /// of products as they are defined (no transforms) in the precision asked for, and is usable.
  static std::optional<Choice> ask(const Row& row, const LibraryCall& call,
                                   const std::vector<Algorithm>& refused) {
    const HandleScope handle(call.context);
    const cuda::ContextScope scope(static_cast<cuda::Context>(call.context));
    const Descriptors descriptors(call);
    Performance all[most_algorithms] = {};
    int found = 0;
    if (row.algorithms(handle.get(), descriptors, most_algorithms, &found, all) != success)
      return std::nullopt;
    for (int k = 0; k < found; ++k) {
      const Performance& p = all[k];
      const bool rounds = p.math == tensor_math || p.math == converting_math;
      const bool was_refused =
          std::find(refused.begin(), refused.end(), p.algorithm) != refused.end();
      if (p.status != success || p.determinism != deterministic || (rounds && !may_round(call)) ||
          was_refused || !row.usable(call, p.algorithm))
        continue;
      Choice choice{p.algorithm, 0};
      if (row.workspace(handle.get(), descriptors, p.algorithm, &choice.workspace_bytes) ==
              success &&
          choice.workspace_bytes <= most_workspace)
        return choice;
    }
    return std::nullopt;
  }

  std::mutex mutex_;
  std::map<Key, Known> known_;
};

// ---- set, launch

class PreparedConvolution final : public PreparedCall {
 public:
  PreparedConvolution(const Row& row, const LibraryCall& call, const Choice& choice)
      : row_(row), call_(call), choice_(choice), scalars_(call.output.dtype), descriptors_(call) {}

  std::int64_t workspace_bytes() const override {
    return static_cast<std::int64_t>(choice_.workspace_bytes);
  }
  void run(Pointers inputs, void* output, void* workspace) override {
    enqueue(nullptr, inputs, output, workspace);
  }
  void enqueue(void* stream, Pointers inputs, void* output, void* workspace) override {
    const Status status = launch(stream, inputs, output, workspace);
    if (status == success) return;
    if (is_failure_of_execution(status)) {
      throw LaunchError(
          fmt::format("{}: {} failed: {}", row_.name, describe(call_), status_text(status)));
    }
    Choices::all().strike(row_, call_, choice_.algorithm);
    throw RefusedCall(row_.name, describe(call_), status_text(status));
  }

 private:
  Status launch(void* stream, Pointers inputs, void* output, void* workspace) const {
    const HandleScope handle(call_.context);
    check(functions().set_stream(handle.get(), stream), "cudnnSetStream");
    return row_.launch(handle.get(), descriptors_, choice_, scalars_, inputs, output, workspace);
  }

  const Row& row_;
  const LibraryCall call_;
  const Choice choice_;
  const Scalars scalars_;
  const Descriptors descriptors_;
};

class ConvolutionRoutine final : public LibraryRoutine {
 public:
  explicit ConvolutionRoutine(const Row& row) : row_(row) {}
  std::string_view name() const override { return row_.name; }

  bool accepts(const LibraryCall& call) const override {
    return can_describe(call, row_.kind) && Choices::all().find(row_, call);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    const auto choice =
        can_describe(call, row_.kind) ? Choices::all().find(row_, call) : std::nullopt;
    if (!choice)
      throw InternalError(fmt::format("{}: prepares a call it does not accept", row_.name));
    return std::make_unique<PreparedConvolution>(row_, call, *choice);
  }

 private:
  const Row& row_;
};

}  // namespace

std::vector<std::unique_ptr<LibraryRoutine>> make_convolutions() {
  std::vector<std::unique_ptr<LibraryRoutine>> all;
  for (const Row& row : rows) all.push_back(std::make_unique<ConvolutionRoutine>(row));
  return all;
}

}  // namespace noyau::cudnn
