// oneDNN's convolutions and their gradients, called through LibraryRoutine, against float64 sums.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "noyau/error.hpp"
#include "tests/device/onednn_calls.hpp"

namespace noyau::test {
namespace {

using Kind = LibraryCall::Kind;

struct ConvolutionCase {
  std::int64_t n, groups, c, o, kh, kw, h, w;
  std::int64_t stride[2] = {1, 1}, low[2] = {0, 0}, high[2] = {0, 0}, dilation[2] = {1, 1};
  std::int64_t out(int i) const {
    return ((i == 0 ? h : w) + low[i] + high[i] - dilation[i] * ((i == 0 ? kh : kw) - 1) - 1) /
               stride[i] +
           1;
  }
  std::string text() const {
    return fmt::format(
        "n{} g{} {}->{} {}x{} image {}x{} stride {},{} low {},{} high {},{} dilation {},{}", n,
        groups, c, o, kh, kw, h, w, stride[0], stride[1], low[0], low[1], high[0], high[1],
        dilation[0], dilation[1]);
  }
};

const std::vector<ConvolutionCase>& convolution_cases() {
  static const std::vector<ConvolutionCase> cases = {
      {1, 1, 16, 32, 3, 3, 9, 11, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {2, 1, 3, 64, 3, 3, 21, 18, {2, 2}, {0, 0}, {0, 0}, {1, 1}},
      {1, 1, 3, 8, 7, 7, 20, 23, {2, 2}, {3, 3}, {3, 3}, {1, 1}},
      {3, 1, 5, 7, 1, 1, 6, 5, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
      {1, 1, 48, 16, 1, 1, 7, 5, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
      {2, 1, 16, 24, 1, 1, 8, 9, {2, 3}, {0, 0}, {0, 0}, {1, 1}},
      {1, 1, 4, 6, 3, 2, 12, 13, {1, 2}, {2, 0}, {1, 3}, {1, 1}},
      {1, 1, 16, 16, 3, 3, 14, 12, {1, 1}, {2, 2}, {2, 2}, {2, 2}},
      {1, 1, 2, 3, 3, 3, 15, 16, {2, 2}, {1, 2}, {0, 1}, {2, 3}},
      {2, 2, 10, 14, 3, 3, 9, 8, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {1, 4, 32, 64, 3, 3, 8, 8, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
      {1, 20, 20, 20, 3, 3, 10, 9, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {2, 32, 32, 32, 3, 3, 11, 10, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
      {1, 1, 1, 1, 1, 1, 1, 1, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
      {1, 1, 1, 4, 5, 5, 5, 5, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
      {1, 1, 260, 20, 3, 3, 5, 4, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {1, 1, 12, 20, 2, 2, 7, 7, {3, 3}, {0, 1}, {1, 0}, {1, 1}},
      {1, 1, 4, 4, 2, 2, 5, 5, {1, 1}, {3, 2}, {2, 3}, {1, 1}},    // padding beyond the reach
      {1, 1, 8, 8, 3, 3, 10, 10, {4, 4}, {0, 0}, {0, 0}, {1, 1}},  // pixels that no window reads
      {2, 1, 20, 13, 1, 1, 9, 7, {1, 1}, {0, 0}, {0, 0}, {1, 1}},  // sums in float64,
      {2, 1, 13, 20, 1, 1, 9, 7, {1, 1}, {0, 0}, {0, 0}, {1, 1}},  // also of the gradient,
      {2, 1, 8, 48, 3, 3, 9, 8, {1, 1}, {1, 1}, {1, 1}, {1, 1}},   // which has sums in blocks here
  };
  return cases;
}

/// How an image may lie: plain, channels-last, half of the channels of a larger channels-last
/// image, every other pixel of one, columns outermost.
enum class Lies { plain, channels_last, sliced, spaced, odd };
constexpr Lies all_lies[] = {Lies::plain, Lies::channels_last, Lies::sliced, Lies::spaced,
                             Lies::odd};

Tensor image(const Shape& shape, Lies lies) {
  switch (lies) {
    case Lies::channels_last:
      return make_tensor(shape, {0, 2, 3, 1});
    case Lies::sliced:
      return make_tensor(shape, {0, 2, 3, 1}, shape[1] + 3);
    case Lies::spaced:
      return make_tensor(shape, {0, 1, 2, 3}, 0, 2);
    case Lies::odd:
      return make_tensor(shape, {3, 0, 1, 2});
    default:
      return make_tensor(shape, {0, 1, 2, 3});
  }
}

struct ConvolutionData {
  Tensor x, weights, bias, y;
};

ConvolutionData data_of(const ConvolutionCase& c, Lies x_lies, Lies y_lies, Lies weights_lie) {
  ConvolutionData d;
  d.x = image({c.n, c.c, c.h, c.w}, x_lies);
  d.weights = image({c.o, c.c / c.groups, c.kh, c.kw}, weights_lie);
  d.y = image({c.n, c.o, c.out(0), c.out(1)}, y_lies);
  d.bias = make_tensor({c.o}, {0});
  fill(d.x, 1);
  fill(d.weights, 2);
  fill(d.y, 3);
  fill(d.bias, 4);
  return d;
}

LibraryCall call_of(const ConvolutionCase& c, Kind kind) {
  LibraryCall call;
  call.kind = kind;
  call.groups = c.groups;
  for (int i = 0; i < 2; ++i) {
    call.stride[i] = c.stride[i];
    call.padding_low[i] = c.low[i];
    call.padding_high[i] = c.high[i];
    call.dilation[i] = c.dilation[i];
  }
  return call;
}

/// Calls visit(kh, kw, h, w) for each tap of the window at (oh, ow) that lies in the image.
template <class Visit>
void each_tap(const ConvolutionCase& c, std::int64_t oh, std::int64_t ow, Visit visit) {
  for (std::int64_t kh = 0; kh < c.kh; ++kh) {
    for (std::int64_t kw = 0; kw < c.kw; ++kw) {
      const std::int64_t h = oh * c.stride[0] - c.low[0] + kh * c.dilation[0];
      const std::int64_t w = ow * c.stride[1] - c.low[1] + kw * c.dilation[1];
      if (h >= 0 && h < c.h && w >= 0 && w < c.w) visit(kh, kw, h, w);
    }
  }
}

ExactAt forward_reference(const ConvolutionCase& c, const ConvolutionData& d, bool bias,
                          bool relu) {
  return [&c, &d, bias, relu](const std::vector<std::int64_t>& at) {
    Exact sum;
    if (bias) sum.add(d.bias({at[1]}), 1.0);
    const std::int64_t width = c.c / c.groups, first = at[1] / (c.o / c.groups) * width;
    each_tap(c, at[2], at[3], [&](auto kh, auto kw, auto h, auto w) {
      for (std::int64_t i = 0; i < width; ++i)
        sum.add(d.x({at[0], first + i, h, w}), d.weights({at[1], i, kh, kw}));
    });
    if (relu) sum.value = std::max(sum.value, 0.0);
    return sum;
  };
}

/// Both gradients in one pass over y, kept in dense arrays.
std::vector<Exact> gradient_reference(const ConvolutionCase& c, const ConvolutionData& d,
                                      bool by_input) {
  const Tensor& target = by_input ? d.x : d.weights;
  const Shape strides = target.view.shape.dense_strides();
  std::vector<Exact> sums(static_cast<std::size_t>(target.view.shape.elements()));
  const auto at = [&](std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) -> Exact& {
    return sums[static_cast<std::size_t>(i * strides[0] + j * strides[1] + k * strides[2] + l)];
  };
  const std::int64_t width = c.c / c.groups;
  for_each(d.y.view.shape, [&](const auto& y) {
    const std::int64_t first = y[1] / (c.o / c.groups) * width;
    const double dy = d.y(y);
    each_tap(c, y[2], y[3], [&](auto kh, auto kw, auto h, auto w) {
      for (std::int64_t i = 0; i < width; ++i) {
        if (by_input) {
          at(y[0], first + i, h, w).add(dy, d.weights({y[1], i, kh, kw}));
        } else {
          at(y[1], i, kh, kw).add(dy, d.x({y[0], first + i, h, w}));
        }
      }
    });
  });
  return sums;
}

ExactAt dense_lookup(const std::vector<Exact>& sums, const Shape& shape) {
  return [&sums, strides = shape.dense_strides()](const std::vector<std::int64_t>& at) {
    std::int64_t place = 0;
    for (int axis = 0; axis < strides.rank(); ++axis)
      place += at[static_cast<std::size_t>(axis)] * strides[axis];
    return sums[static_cast<std::size_t>(place)];
  };
}

Ready ready(const ConvolutionCase& c, ConvolutionData& d, Kind kind, bool bias = false,
            bool relu = false) {
  Ready r;
  r.call = call_of(c, kind);
  r.call.bias = bias;
  r.call.relu = relu;
  switch (kind) {
    case Kind::convolution_input_gradient:
      r.inputs = {&d.y, &d.weights};
      r.output = &d.x;
      break;
    case Kind::convolution_weight_gradient:
      r.inputs = {&d.x, &d.y};
      r.output = &d.weights;
      break;
    default:
      r.inputs = {&d.x, &d.weights};
      r.output = &d.y;
  }
  if (bias) r.inputs.push_back(&d.bias);
  for (const Tensor* input : r.inputs) r.call.inputs.push_back(input->view);
  r.call.output = r.output->view;
  return r;
}

const char* routine_of(Kind kind) {
  switch (kind) {
    case Kind::convolution:
      return "onednn.convolution";
    case Kind::convolution_input_gradient:
      return "onednn.convolution_input_gradient";
    default:
      return "onednn.convolution_weight_gradient";
  }
}

class OneDnnConvolutions : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    routine_ = find_routine(routine_of(GetParam()));
    if (routine_ == nullptr) GTEST_SKIP() << why_absent();
  }
  const LibraryRoutine* routine_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Kinds, OneDnnConvolutions,
                         ::testing::Values(Kind::convolution, Kind::convolution_input_gradient,
                                           Kind::convolution_weight_gradient),
                         [](const auto& each) { return std::string(routine_of(each.param) + 7); });

TEST_P(OneDnnConvolutions, AgreeWithFloat64InEveryLayout) {
  for (const ConvolutionCase& c : convolution_cases()) {
    std::vector<Exact> sums;
    for (const Lies x_lies : all_lies) {
      for (const Lies y_lies : all_lies) {
        const auto what = fmt::format("{} x {} y {}", c.text(), static_cast<int>(x_lies),
                                      static_cast<int>(y_lies));
        ConvolutionData d = data_of(c, x_lies, y_lies, x_lies == y_lies ? x_lies : Lies::plain);
        Ready r = ready(c, d, GetParam());
        ASSERT_TRUE(routine_->accepts(r.call)) << what;
        const auto prepared = routine_->prepare(r.call);
        run(*prepared, r.inputs, *r.output);
        if (GetParam() == Kind::convolution) {
          expect_close(*r.output, forward_reference(c, d, false, false), what);
          continue;
        }
        const bool by_input = GetParam() == Kind::convolution_input_gradient;
        if (sums.empty()) sums = gradient_reference(c, d, by_input);
        expect_close(*r.output, dense_lookup(sums, r.output->view.shape), what);
      }
    }
  }
}

TEST_P(OneDnnConvolutions, GiveTheSameBitsForAnyNumberOfThreads) {
  std::vector<ConvolutionCase> cases = convolution_cases();
  const auto add = [&](std::int64_t n, std::int64_t c, std::int64_t o, std::int64_t k,
                       std::int64_t h) {
    cases.push_back({n, 1, c, o, k, k, h, h, {1, 1}, {k / 2, k / 2}, {k / 2, k / 2}, {1, 1}});
  };
  add(1, 512, 64, 3, 7);  // where oneDNN's favourite depends on them, forward
  add(1, 64, 512, 3, 7);  // the same for the gradient by the input
  add(1, 64, 16, 1, 40);  // and for the gradient by the weights
  add(8, 64, 64, 3, 14);
  for (const ConvolutionCase& c : cases) {
    ConvolutionData d = data_of(c, Lies::channels_last, Lies::channels_last, Lies::plain);
    Ready r = ready(c, d, GetParam());
    expect_same_bits_for_any_threads(*routine_, r, c.text());
  }
}

TEST_P(OneDnnConvolutions, RefuseWhatTheyCannotDo) {
  const ConvolutionCase c = convolution_cases()[0];
  ConvolutionData d = data_of(c, Lies::plain, Lies::plain, Lies::plain);
  const Ready right = ready(c, d, GetParam());
  ASSERT_TRUE(routine_->accepts(right.call));
  const auto refuses = [&](const char* what, const std::function<void(LibraryCall&)>& change) {
    expect_refusal(*routine_, right.call, what, change);
  };
  refuses("float64", [](LibraryCall& call) { call.inputs[0].dtype = float64; });
  refuses("int32 out", [](LibraryCall& call) { call.output.dtype = int32; });
  refuses("stride 0", [](LibraryCall& call) { call.inputs[0].strides[1] = 0; });
  refuses("negative stride", [](LibraryCall& call) { call.inputs[1].strides[2] *= -1; });
  refuses("overlap", [](LibraryCall& call) { call.inputs[0].strides[2] = 1; });
  refuses("other size", [](LibraryCall& call) { call.output.shape[2] += 1; });
  refuses("zero extent", [](LibraryCall& call) { call.inputs[0].shape[0] = 0; });
  refuses("groups", [](LibraryCall& call) { call.groups = 3; });
  refuses("padding", [](LibraryCall& call) { call.padding_low[0] = -1; });
  refuses("another kind", [](LibraryCall& call) { call.kind = Kind::matmul; });
  refuses("rank", [](LibraryCall& call) { call.inputs[0].shape.erase(0); });
  refuses("bias missing", [](LibraryCall& call) { call.bias = true; });
  refuses("past 2 GiB", [](LibraryCall& call) {
    call.inputs[0].strides[0] = 1LL << 40;
    call.inputs[0].shape[0] = call.output.shape[0] = 2;
  });
}

TEST(OneDnnConvolution, AddsBiasAndAppliesRelu) {
  const LibraryRoutine* routine = find_routine("onednn.convolution");
  if (routine == nullptr) GTEST_SKIP() << why_absent();
  for (const ConvolutionCase& c : convolution_cases()) {
    for (const bool bias : {false, true}) {
      for (const bool relu : {false, true}) {
        ConvolutionData d = data_of(c, Lies::channels_last, Lies::sliced, Lies::plain);
        Ready r = ready(c, d, Kind::convolution, bias, relu);
        ASSERT_TRUE(routine->accepts(r.call)) << c.text();
        run(*routine->prepare(r.call), r.inputs, *r.output);
        expect_close(*r.output, forward_reference(c, d, bias, relu), c.text());
      }
    }
  }
}

TEST(OneDnnConvolution, KeepsNaNInWideSums) {
  const LibraryRoutine* routine = find_routine("onednn.convolution");
  if (routine == nullptr) GTEST_SKIP() << why_absent();
  const ConvolutionCase c = {1, 1, 48, 16, 1, 1, 7, 5, {1, 1}, {0, 0}, {0, 0}, {1, 1}};
  ConvolutionData d = data_of(c, Lies::channels_last, Lies::channels_last, Lies::plain);
  d.x.memory[static_cast<std::size_t>(d.x.at({0, 3, 2, 1}))] = std::nanf("");
  Ready r = ready(c, d, Kind::convolution, true, true);
  run(*routine->prepare(r.call), r.inputs, *r.output);
  for (std::int64_t o = 0; o < c.o; ++o) {
    EXPECT_TRUE(std::isnan((*r.output)(std::vector<std::int64_t>{0, o, 2, 1}))) << o;
    EXPECT_FALSE(std::isnan((*r.output)(std::vector<std::int64_t>{0, o, 2, 2}))) << o;
  }
}

TEST(OneDnnConvolution, KeepsPackedWeightsWhileTheirVersionStays) {
  const LibraryRoutine* routine = find_routine("onednn.convolution");
  if (routine == nullptr) GTEST_SKIP() << why_absent();
  const ConvolutionCase c = convolution_cases()[0];
  ConvolutionData d = data_of(c, Lies::channels_last, Lies::channels_last, Lies::plain);
  Ready r = ready(c, d, Kind::convolution);
  const auto prepared = routine->prepare(r.call);
  const auto before = run(*prepared, r.inputs, *r.output, {1, 7});
  fill(d.weights, 99);
  EXPECT_EQ(before, run(*prepared, r.inputs, *r.output, {2, 7})) << "packed again";
  run(*prepared, r.inputs, *r.output, {2, 8});
  expect_close(*r.output, forward_reference(c, d, false, false), "version 8");
  fill(d.weights, 100);
  run(*prepared, r.inputs, *r.output, {2, 0});
  expect_close(*r.output, forward_reference(c, d, false, false), "no version");
  fill(d.weights, 101);
  run(*prepared, r.inputs, *r.output);
  expect_close(*r.output, forward_reference(c, d, false, false), "no versions");
  const ConvolutionData other = data_of(c, Lies::channels_last, Lies::channels_last, Lies::plain);
  run(*prepared, r.inputs, *r.output, {2, 9});
  r.inputs[1] = &other.weights;
  run(*prepared, r.inputs, *r.output, {2, 9});
  d.weights = other.weights;
  expect_close(*r.output, forward_reference(c, d, false, false), "another pointer");
}

}  // namespace
}  // namespace noyau::test
