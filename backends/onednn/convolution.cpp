// Convolution, with bias and relu. Images are channels-last inside; other layouts are copied.
// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/check.hpp"
#include "backends/onednn/common.hpp"
#include "backends/onednn/deterministic.hpp"
#include "backends/onednn/routines.hpp"
#include "backends/onednn/sequence.hpp"
#include "backends/onednn/wide_sums.hpp"
#include "noyau/error.hpp"

namespace noyau::onednn {
namespace {

constexpr std::string_view routine_name = "onednn.convolution";

class ConvolutionRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }
  bool prefers_channels_last(const LibraryCall&) const override { return true; }

  bool accepts(const LibraryCall& call) const override {
    const auto convolution = check_convolution(call, LibraryCall::Kind::convolution);
    return convolution && (has_wide_sums(*convolution) || choose_forward(*convolution));
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    // Check,
    const auto convolution = check_convolution(call, LibraryCall::Kind::convolution);
    if (!convolution) throw InternalError("onednn.convolution: prepares a call it does not accept");
    auto sequence = std::make_unique<Sequence>(routine_name);
    translate_errors(routine_name, [&] {
      // choose,
      if (has_wide_sums(*convolution)) {
        const auto [x, weights, y] = views_of(call);
        return set_wide_sums(*convolution, *x, *weights, false, *y, *sequence);
      }
      const auto choice = choose_forward(*convolution);
      if (!choice) throw InternalError("onednn.convolution: no implementation");
      // set; the launch is Sequence::run.
      set(call, *convolution, *choice, *sequence);
    });
    return sequence;
  }

 private:
  static void set(const LibraryCall& call, const Convolution& convolution, const Choice& choice,
                  Sequence& sequence) {
    const auto [x, weights, y] = views_of(call);
    const Layout x_wanted = channels_last_layout(convolution.x);
    const Layout y_wanted = channels_last_layout(convolution.y);
    const Operand from =
        sequence.input_as(0, is_channels_last(*x) ? x_wanted : layout_of(*x), x_wanted);
    Arguments others = {
        {DNNL_ARG_WEIGHTS, sequence.packed_input(1, weights_layout(*weights, convolution),
                                                 layout_wanted(choice, DNNL_ARG_WEIGHTS))}};
    if (convolution.bias)
      others.emplace_back(DNNL_ARG_BIAS, sequence.input(2, dense_layout({convolution.y[1]})));
    // oneDNN 2.6 has no fast convolution into a slice of the channels of a larger image: the dense
    // result is copied there.
    const bool direct = is_channels_last(*y);
    const Operand result = direct ? sequence.output(y_wanted) : sequence.workspace(y_wanted);
    execute_convolution(sequence, convolution, choice, DNNL_ARG_SRC, from, DNNL_ARG_DST, result,
                        std::move(others));
    if (!direct) sequence.reorder(result, sequence.output(layout_of(*y)));
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_convolution() {
  return std::make_unique<ConvolutionRoutine>();
}

}  // namespace noyau::onednn
