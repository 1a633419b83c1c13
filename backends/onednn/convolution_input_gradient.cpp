// The gradient of a convolution by its input, in three ways: as a convolution with turned weights
// (stride 1), as a matmul whose columns are folded back (few channels), or oneDNN's own routine.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/onednn/check.hpp"
#include "backends/onednn/common.hpp"
#include "backends/onednn/deterministic.hpp"
#include "backends/onednn/routines.hpp"
#include "backends/onednn/sequence.hpp"
#include "backends/onednn/wide_sums.hpp"
#include "noyau/error.hpp"

namespace noyau::onednn {
namespace {

constexpr std::string_view routine_name = "onednn.convolution_input_gradient";

/// Below so many input channels oneDNN's own routine computes mostly padding.
constexpr std::int64_t few_channels = 16;

/// Sums over more terms than this that give fewer channels than they take are cut into blocks of so
/// many channels, whose sums are added up: half the rounding errors of one long chain.
constexpr std::int64_t long_sum = 256, block_channels = 16;

enum class Way : std::uint8_t { wide, blocks, turned, folded, native };

/// A convolution of stride 1 reads dy through the weights turned by 180 degrees, with inputs and
/// outputs exchanged: forward kernels are 10-25 % faster than those for the gradient.
std::optional<Convolution> turned(const Convolution& c) {
  Convolution t;
  t.x = c.y;
  t.y = c.x;
  t.weights = c.weights;
  t.stride = c.stride;
  t.dilation = c.dilation;
  const std::size_t outputs = c.weights.size() - 4;
  std::swap(t.weights[outputs], t.weights[outputs + 1]);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t reach = (c.weights[outputs + 2 + i] - 1) * (c.dilation[i] + 1);
    if (c.stride[i] != 1 || c.padding_low[i] > reach || c.padding_high[i] > reach)
      return std::nullopt;
    t.padding_low.push_back(reach - c.padding_low[i]);
    t.padding_high.push_back(reach - c.padding_high[i]);
  }
  return t;
}

/// Weights of a group: o, c, kh, kw with any strides into c, o and the taps in reverse, dense.
struct Turn {
  std::int64_t groups, outputs, channels, taps_h, taps_w;
  std::int64_t stride_group, stride_output, stride_channel, stride_h, stride_w;

  void operator()(const float* from, float* to) const {
#pragma omp parallel for collapse(2) schedule(static)
    for (std::int64_t g = 0; g < groups; ++g) {
      for (std::int64_t c = 0; c < channels; ++c) {
        for (std::int64_t o = 0; o < outputs; ++o) {
          const float* source = from + g * stride_group + o * stride_output + c * stride_channel;
          float* target = to + ((g * channels + c) * outputs + o) * taps_h * taps_w;
          for (std::int64_t h = taps_h; h-- > 0;)
            for (std::int64_t w = taps_w; w-- > 0;) *target++ = source[h * stride_h + w * stride_w];
        }
      }
    }
  }
};

Turn turn_of(const TensorView& weights, const Convolution& c) {
  const std::size_t outputs = c.weights.size() - 4;
  return {c.groups(),
          c.weights[outputs],
          c.weights[outputs + 1],
          c.weights[outputs + 2],
          c.weights[outputs + 3],
          weights.strides[0] * c.weights[outputs],
          weights.strides[0],
          weights.strides[1],
          weights.strides[2],
          weights.strides[3]};
}

/// Adds the columns of one image, (oh, ow, kh, kw, c), into its dense (h, w, c). Each row of the
/// image belongs to one thread and is summed in a fixed order.
struct Fold {
  std::int64_t height, width, channels, rows, columns, taps_h, taps_w;
  std::int64_t stride_h, stride_w, dilation_h, dilation_w, low_h, low_w;

  void operator()(const float* from, float* to) const {
#pragma omp parallel for schedule(static)
    for (std::int64_t h = 0; h < height; ++h) {
      float* row = to + h * width * channels;
      std::fill(row, row + width * channels, 0.0f);
      for (std::int64_t kh = 0; kh < taps_h; ++kh) {
        const std::int64_t reached = h + low_h - kh * dilation_h;
        if (reached < 0 || reached % stride_h != 0 || reached / stride_h >= rows) continue;
        add_row(from + (reached / stride_h * columns * taps_h + kh) * taps_w * channels, row);
      }
    }
  }

  /// Windows that do not overlap follow each other: a load that spans two recent stores stalls.
  void add_row(const float* from, float* row) const {
    const std::int64_t passes = (taps_w * dilation_w + stride_w - 1) / stride_w;
    for (std::int64_t first = 0; first < passes; ++first)
      for (std::int64_t ow = first; ow < columns; ow += passes) add_window(from, row, ow);
  }

  void add_window(const float* row_from, float* row, std::int64_t ow) const {
    const float* from = row_from + ow * taps_h * taps_w * channels;
    const std::int64_t w = ow * stride_w - low_w;
    if (dilation_w == 1 && w >= 0 && w + taps_w <= width) {
      float* target = row + w * channels;
      for (std::int64_t i = 0; i < taps_w * channels; ++i) target[i] += from[i];
      return;
    }
    for (std::int64_t kw = 0; kw < taps_w; ++kw) {
      const std::int64_t at = w + kw * dilation_w;
      if (at < 0 || at >= width) continue;
      for (std::int64_t c = 0; c < channels; ++c) row[at * channels + c] += from[kw * channels + c];
    }
  }
};

Fold fold_of(const Convolution& c) {
  return {c.x[2],
          c.x[3],
          c.x[1],
          c.y[2],
          c.y[3],
          c.weights[2],
          c.weights[3],
          c.stride[0],
          c.stride[1],
          c.dilation[0] + 1,
          c.dilation[1] + 1,
          c.padding_low[0],
          c.padding_low[1]};
}

/// dy of one image (pixels, o) times weights (o, taps and channels).
std::optional<Choice> choose_columns(const Convolution& c) {
  const std::int64_t pixels = c.y[2] * c.y[3], width = c.x[1] * c.weights[2] * c.weights[3];
  return choose_matmul(dense_layout({pixels, c.y[1]}), dense_layout({c.y[1], width}),
                       dense_layout({pixels, width}), false, false);
}

/// The convolution of one block of a turned one.
std::optional<Convolution> block_of(const Convolution& c) {
  const std::int64_t channels = c.x[1], terms = channels * c.weights[2] * c.weights[3];
  if (c.groups() != 1 || terms <= long_sum || c.y[1] >= channels || channels % block_channels != 0)
    return std::nullopt;
  Convolution block = c;
  block.x[1] = block.weights[1] = block_channels;
  return block;
}

struct Chosen {
  Way way;
  Convolution convolution;
  Choice choice;
};

std::optional<Chosen> choose(const Convolution& c) {
  if (const auto other = turned(c)) {
    const bool turns_nothing = c.weights[c.weights.size() - 2] * c.weights.back() == 1;
    if (turns_nothing && has_wide_sums(*other)) return Chosen{Way::wide, *other, {}};
    if (const auto block = block_of(*other)) {
      const auto first = choose_forward(*block);
      if (first && !works_by_image(*first)) return Chosen{Way::blocks, *block, *first};
    }
    if (auto choice = choose_forward(*other)) return Chosen{Way::turned, *other, *choice};
  }
  if (c.groups() == 1 && c.x[1] < few_channels) {
    if (auto choice = choose_columns(c)) return Chosen{Way::folded, c, *choice};
  }
  if (auto choice = choose_input_gradient(c)) return Chosen{Way::native, c, *choice};
  return std::nullopt;
}

class InputGradientRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }
  bool prefers_channels_last(const LibraryCall&) const override { return true; }

  bool accepts(const LibraryCall& call) const override {
    const auto convolution = check_convolution(call, LibraryCall::Kind::convolution_input_gradient);
    return convolution && choose(*convolution);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    // Check,
    const auto convolution = check_convolution(call, LibraryCall::Kind::convolution_input_gradient);
    if (!convolution)
      throw InternalError("onednn.convolution_input_gradient: prepares a call it does not accept");
    auto sequence = std::make_unique<Sequence>(routine_name);
    translate_errors(routine_name, [&] {
      // choose,
      const auto chosen = choose(*convolution);
      if (!chosen) throw InternalError("onednn.convolution_input_gradient: no implementation");
      // set; the launch is Sequence::run.
      set(call, *convolution, *chosen, *sequence);
    });
    return sequence;
  }

 private:
  static void set(const LibraryCall& call, const Convolution& c, const Chosen& chosen,
                  Sequence& sequence) {
    const auto [dx, weights, dy] = views_of(call);
    if (chosen.way == Way::wide)
      return set_wide_sums(chosen.convolution, *dy, *weights, true, *dx, sequence);
    if (chosen.way == Way::blocks) return set_blocks(call, c, chosen, sequence);
    const Layout dy_wanted = channels_last_layout(c.y), dx_wanted = channels_last_layout(c.x);
    // A slice of the channels of a larger dy is copied first (convolution.cpp says why).
    const Operand from =
        sequence.input_as(0, is_channels_last(*dy) ? dy_wanted : layout_of(*dy), dy_wanted);
    const bool direct = is_channels_last(*dx);
    const Operand result = direct ? sequence.output(dx_wanted) : sequence.workspace(dx_wanted);
    switch (chosen.way) {
      case Way::turned:
        set_turned(*weights, c, chosen, from, result, sequence);
        break;
      case Way::wide:
      case Way::blocks:
        break;
      case Way::folded:
        set_folded(*weights, c, chosen, from, result, sequence);
        break;
      case Way::native:
        execute_convolution(
            sequence, c, chosen.choice, DNNL_ARG_DIFF_DST, from, DNNL_ARG_DIFF_SRC, result,
            {{DNNL_ARG_WEIGHTS,
              sequence.packed_input(1, weights_layout(*weights, c),
                                    layout_wanted(chosen.choice, DNNL_ARG_WEIGHTS))}});
        break;
    }
    if (!direct) sequence.reorder(result, sequence.output(layout_of(*dx)));
  }

  static void set_turned(const TensorView& weights, const Convolution& c, const Chosen& chosen,
                         const Operand& dy, const Operand& dx, Sequence& sequence) {
    const Operand plain = sequence.workspace(dense_layout(chosen.convolution.weights));
    const Operand packed = sequence.kept(layout_wanted(chosen.choice, DNNL_ARG_WEIGHTS));
    const Operand given = sequence.input(1, weights_layout(weights, c));
    sequence.begin_packing(1);
    sequence.loop([&sequence, turn = turn_of(weights, c), given, plain](const Pointers& pointers) {
      turn(static_cast<const float*>(sequence.pointer_to(given, pointers)),
           static_cast<float*>(sequence.pointer_to(plain, pointers)));
    });
    sequence.reorder(plain, packed);
    sequence.end_packing();
    execute_convolution(sequence, chosen.convolution, chosen.choice, DNNL_ARG_SRC, dy, DNNL_ARG_DST,
                        dx, {{DNNL_ARG_WEIGHTS, packed}});
  }

  /// Each block of dy is copied, the reading of a slice of the channels, and added to dx.
  static void set_blocks(const LibraryCall& call, const Convolution& c, const Chosen& chosen,
                         Sequence& sequence) {
    const auto [dx, weights, dy] = views_of(call);
    Convolution block = chosen.convolution;
    const std::int64_t blocks = c.y[1] / block_channels;
    Convolution whole = block;
    whole.weights[1] *= blocks;
    const Operand plain = sequence.workspace(dense_layout(whole.weights));
    const Operand given = sequence.input(1, weights_layout(*weights, c));
    std::vector<Operand> packed;
    for (std::int64_t b = 0; b < blocks; ++b)
      packed.push_back(sequence.kept(layout_wanted(chosen.choice, DNNL_ARG_WEIGHTS)));
    sequence.begin_packing(1);
    sequence.loop([&sequence, turn = turn_of(*weights, c), given, plain](const Pointers& pointers) {
      turn(static_cast<const float*>(sequence.pointer_to(given, pointers)),
           static_cast<float*>(sequence.pointer_to(plain, pointers)));
    });
    Operand part = plain;
    part.layout = strided_layout(block.weights, strides_of(plain.layout));
    for (const Operand& each : packed) {
      sequence.reorder(part, each);
      part.offset += block_channels * strides_of(plain.layout)[1];
    }
    sequence.end_packing();
    const bool direct = is_channels_last(*dx);
    const Layout dx_wanted = channels_last_layout(block.y);
    const Operand result = direct ? sequence.output(dx_wanted) : sequence.workspace(dx_wanted);
    const Operand copy = sequence.workspace(channels_last_layout(block.x));
    Operand from = sequence.input(0, strided_layout(block.x, dims_of(dy->strides)));
    for (std::int64_t b = 0; b < blocks; ++b) {
      sequence.reorder(from, copy);
      const auto choice = b == 0 ? chosen.choice : *choose_forward(block);
      sequence.execute(choice, {{DNNL_ARG_SRC, copy},
                                {DNNL_ARG_WEIGHTS, packed[static_cast<std::size_t>(b)]},
                                {DNNL_ARG_DST, result}});
      from.offset += block_channels * dy->strides[1];
      block.adds = true;
    }
    if (!direct) sequence.reorder(result, sequence.output(layout_of(*dx)));
  }

  /// Image by image, so that the columns stay in the cache.
  static void set_folded(const TensorView& weights, const Convolution& c, const Chosen& chosen,
                         const Operand& dy, const Operand& dx, Sequence& sequence) {
    const Layout taps_last = channels_last_layout(c.weights);  // o, kh, kw, c
    Operand packed = sequence.packed_input(1, weights_layout(weights, c), taps_last);
    packed.layout = layout_wanted(chosen.choice, DNNL_ARG_WEIGHTS);
    const Operand columns = sequence.workspace(layout_wanted(chosen.choice, DNNL_ARG_DST));
    Operand image = dy;
    image.layout = layout_wanted(chosen.choice, DNNL_ARG_SRC);
    const std::int64_t dy_image = c.y[1] * c.y[2] * c.y[3], dx_image = c.x[1] * c.x[2] * c.x[3];
    for (std::int64_t n = 0; n < c.x[0]; ++n) {
      image.offset = n * dy_image;
      execute_product(sequence, chosen.choice, image, packed, columns, nullptr, false);
      sequence.loop(
          [&sequence, fold = fold_of(c), columns, dx, at = n * dx_image](const Pointers& pointers) {
            fold(static_cast<const float*>(sequence.pointer_to(columns, pointers)),
                 static_cast<float*>(sequence.pointer_to(dx, pointers)) + at);
          });
    }
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_convolution_input_gradient() {
  return std::make_unique<InputGradientRoutine>();
}

}  // namespace noyau::onednn
