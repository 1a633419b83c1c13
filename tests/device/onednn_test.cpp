// oneDNN's routines, called through LibraryRoutine, against plain float64 loops.
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/device.hpp"
#include "core/module.hpp"
#include "noyau/error.hpp"
#include "tests/common/fake_device.hpp"

namespace noyau {
namespace {

using Kind = LibraryCall::Kind;

const LibraryRoutine* find_routine(const std::string& name) {
  tests::FakeDevice device;
  device.device_name = "cpu:0";
  for (const LibraryRoutine* routine : routines_for(device))
    if (routine->name() == name) return routine;
  return nullptr;
}

std::string why_absent() {
  for (const ModuleReport& report : module_reports()) {
    if (report.name != "onednn") continue;
    std::string text = "SKIPPED: the onednn module is absent:";
    for (const std::string& line : report.lines) text += "\n  " + line;
    return text;
  }
  return "SKIPPED: the onednn module is not known";
}

/// An array with its memory: `order` lists the axes from the outermost in memory to the innermost;
/// the innermost `pad` more elements wide than needed, and `gap` elements apart.
struct Tensor {
  TensorView view;
  std::vector<float> memory;
  std::int64_t offset = 0;

  float* data() { return memory.data() + offset; }
  const float* data() const { return memory.data() + offset; }
  std::int64_t at(const std::vector<std::int64_t>& index) const {
    std::int64_t place = offset;
    for (int axis = 0; axis < view.shape.rank(); ++axis)
      place += index[static_cast<std::size_t>(axis)] * view.strides[axis];
    return place;
  }
  double operator()(const std::vector<std::int64_t>& index) const {
    return memory[static_cast<std::size_t>(at(index))];
  }
};

constexpr float untouched = 12345.0f;

Tensor make_tensor(const Shape& shape, const std::vector<int>& order, std::int64_t pad = 0,
                   std::int64_t gap = 1) {
  Tensor t;
  t.view.shape = shape;
  t.view.strides = Shape::filled(shape.rank(), 0);
  std::int64_t stride = gap;
  for (std::size_t i = order.size(); i-- > 0;) {
    const int axis = order[i];
    t.view.strides[axis] = stride;
    stride *= shape[axis] + (i + 1 == order.size() ? pad : 0);
  }
  t.offset = pad / 2 * gap;
  t.memory.assign(static_cast<std::size_t>(stride + t.offset + gap), untouched);
  return t;
}

void for_each(const Shape& shape, const std::function<void(const std::vector<std::int64_t>&)>& f) {
  std::vector<std::int64_t> index(shape.size(), 0);
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    f(index);
    for (std::size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < shape[static_cast<int>(axis)]) break;
      index[axis] = 0;
    }
  }
}

void fill(Tensor& t, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> values(-1.0f, 1.0f);
  for_each(t.view.shape, [&](const auto& index) {
    t.memory[static_cast<std::size_t>(t.at(index))] = values(generator);
  });
}

/// A value in float64 and the sum of its terms' sizes: what rounding is measured by.
struct Exact {
  double value = 0, size = 0;
  void add(double a, double b) {
    value += a * b;
    size += std::abs(a * b);
  }
};
using ExactAt = std::function<Exact(const std::vector<std::int64_t>&)>;

std::vector<float> run(PreparedCall& prepared, const std::vector<const Tensor*>& inputs,
                       Tensor& output, const std::vector<std::uint64_t>& versions = {}) {
  std::vector<const void*> pointers;
  for (const Tensor* input : inputs) pointers.push_back(input->data());
  const auto bytes = static_cast<std::size_t>(prepared.workspace_bytes());
  constexpr std::size_t guard = 256;
  const std::size_t room = (bytes + guard + 63) / 64 * 64;
  auto* workspace = static_cast<std::byte*>(std::aligned_alloc(64, room));
  std::memset(workspace, 0xff, room);
  std::fill(output.memory.begin(), output.memory.end(), untouched);
  prepared.run_versioned(pointers, versions, output.data(), workspace);
  for (std::size_t i = bytes; i < room; ++i)
    EXPECT_EQ(workspace[i], std::byte{0xff}) << "wrote past the workspace";
  std::free(workspace);
  return output.memory;
}

void expect_close(const Tensor& output, const ExactAt& exact, const std::string& what) {
  std::vector<bool> mine(output.memory.size(), false);
  int wrong = 0;
  for_each(output.view.shape, [&](const auto& index) {
    mine[static_cast<std::size_t>(output.at(index))] = true;
    const Exact right = exact(index);
    const double got = output(index);
    if (!(std::abs(got - right.value) <= 1e-6 * right.size + 1e-30) && ++wrong < 4) {
      ADD_FAILURE() << what << ": at " << fmt::format("{}", index[0]) << ","
                    << fmt::format("{}", index.back()) << " is " << got << ", not " << right.value;
    }
  });
  EXPECT_EQ(wrong, 0) << what;
  for (std::size_t i = 0; i < mine.size(); ++i)
    ASSERT_TRUE(mine[i] || output.memory[i] == untouched) << what << ": wrote outside the output";
}

// ---- Convolutions.

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

/// Calls visit(n, o, oh, ow, c within the group, kh, kw, c, h, w) for each term of a convolution.
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

/// The call with its arrays; what is computed comes last.
struct Ready {
  LibraryCall call;
  std::vector<const Tensor*> inputs;
  Tensor* output = nullptr;
};

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
    case Kind::matmul:
      return "onednn.matmul";
    case Kind::convolution:
      return "onednn.convolution";
    case Kind::convolution_input_gradient:
      return "onednn.convolution_input_gradient";
    default:
      return "onednn.convolution_weight_gradient";
  }
}

class OneDnn : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    routine_ = find_routine(routine_of(GetParam()));
    if (routine_ == nullptr) GTEST_SKIP() << why_absent();
  }
  const LibraryRoutine* routine_ = nullptr;
};

class OneDnnConvolutions : public OneDnn {};

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

/// Calls OpenMP in the module's own runtime library.
bool set_threads(int threads) {
  void* library = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return false;
  const auto set = reinterpret_cast<void (*)(int)>(dlsym(library, "omp_set_num_threads"));
  if (set != nullptr) set(threads);
  return set != nullptr;
}

void expect_same_bits_for_any_threads(const LibraryRoutine& routine, Ready& r,
                                      const std::string& what) {
  std::vector<float> first;
  for (const int threads : {1, 2, 3, 4, 8}) {
    ASSERT_TRUE(set_threads(threads));
    const auto prepared = routine.prepare(r.call);
    const auto memory = run(*prepared, r.inputs, *r.output);
    if (first.empty()) first = memory;
    EXPECT_EQ(0, std::memcmp(first.data(), memory.data(), memory.size() * sizeof(float)))
        << what << " with " << threads << " threads";
  }
  set_threads(2);
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
    LibraryCall call = right.call;
    change(call);
    EXPECT_FALSE(routine_->accepts(call)) << what;
    EXPECT_THROW(routine_->prepare(call), InternalError) << what;
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

// ---- Matrix products.

struct MatmulCase {
  std::vector<std::int64_t> batch;
  std::int64_t m, k, n;
};

const std::vector<MatmulCase>& matmul_cases() {
  static const std::vector<MatmulCase> cases = {
      {{}, 1, 1, 1},      {{}, 1, 7, 1},      {{}, 1, 9, 5},        {{}, 6, 9, 1},
      {{}, 5, 1, 4},      {{}, 17, 23, 31},   {{}, 64, 64, 64},     {{}, 100, 33, 70},
      {{3}, 4, 5, 6},     {{2, 3}, 7, 8, 9},  {{2, 1, 3}, 5, 4, 3}, {{1}, 8, 8, 8},
      {{}, 16, 5000, 16}, {{}, 3, 2049, 2},   {{}, 1, 4096, 1},     {{}, 20, 3000, 33},
      {{2}, 5, 2500, 6},  {{12}, 16, 16, 16},
  };
  return cases;
}

/// How a matrix may lie: rows, columns contiguous, a slice of either, nothing contiguous, its batch
/// inside its rows.
enum class Matrix { rows, columns, sliced_rows, sliced_columns, spaced, batch_inside };
constexpr Matrix all_matrices[] = {Matrix::rows,           Matrix::columns, Matrix::sliced_rows,
                                   Matrix::sliced_columns, Matrix::spaced,  Matrix::batch_inside};

Tensor matrix(const std::vector<std::int64_t>& batch, std::int64_t rows, std::int64_t columns,
              Matrix lies) {
  std::vector<std::int64_t> extents = batch;
  extents.push_back(rows);
  extents.push_back(columns);
  const int rank = static_cast<int>(extents.size());
  std::vector<int> order;
  for (int axis = 0; axis < rank; ++axis) order.push_back(axis);
  const auto last = order.size() - 1;
  switch (lies) {
    case Matrix::rows:
      return make_tensor(extents, order);
    case Matrix::sliced_rows:
      return make_tensor(extents, order, 5);
    case Matrix::spaced:
      return make_tensor(extents, order, 0, 3);
    case Matrix::batch_inside:
      for (int axis = 0; axis < rank; ++axis)
        order[static_cast<std::size_t>(axis)] = axis == 0 ? rank - 2 : axis - 1;
      order[last] = rank - 1;
      return make_tensor(extents, order);
    default:
      break;
  }
  std::swap(order[last], order[last - 1]);
  return make_tensor(extents, order, lies == Matrix::columns ? 0 : 5);
}

ExactAt product_reference(const Tensor& a, const Tensor& b, const Tensor* bias, bool relu) {
  return [&a, &b, bias, relu](const std::vector<std::int64_t>& at) {
    Exact sum;
    std::vector<std::int64_t> left = at, right = at;
    const std::size_t last = at.size() - 1;
    for (std::int64_t k = 0; k < a.view.shape.back(); ++k) {
      left[last] = right[last - 1] = k;
      sum.add(a(left), b(right));
    }
    if (bias != nullptr) sum.add((*bias)({at[last]}), 1.0);
    if (relu) sum.value = std::max(sum.value, 0.0);
    return sum;
  };
}

Ready product(const Tensor& a, const Tensor& b, Tensor& out) {
  Ready r;
  r.call.kind = Kind::matmul;
  r.call.inputs = {a.view, b.view};
  r.call.output = out.view;
  r.inputs = {&a, &b};
  r.output = &out;
  return r;
}

class OneDnnMatmul : public ::testing::Test {
 protected:
  void SetUp() override {
    routine_ = find_routine("onednn.matmul");
    if (routine_ == nullptr) GTEST_SKIP() << why_absent();
  }
  const LibraryRoutine* routine_ = nullptr;
};

TEST_F(OneDnnMatmul, AgreesWithFloat64InEveryLayout) {
  for (const MatmulCase& c : matmul_cases()) {
    for (const Matrix a_lies : all_matrices) {
      for (const Matrix b_lies : all_matrices) {
        for (const Matrix out_lies : all_matrices) {
          const int sum =
              static_cast<int>(a_lies) + static_cast<int>(b_lies) + static_cast<int>(out_lies);
          if (c.k > 1000 && sum % 3 != 0) continue;  // a third of them: long sums take long
          const auto what = fmt::format("{} batch axes, {}x{}x{}, lying {} {} {}", c.batch.size(),
                                        c.m, c.k, c.n, static_cast<int>(a_lies),
                                        static_cast<int>(b_lies), static_cast<int>(out_lies));
          Tensor a = matrix(c.batch, c.m, c.k, a_lies), b = matrix(c.batch, c.k, c.n, b_lies),
                 out = matrix(c.batch, c.m, c.n, out_lies);
          fill(a, 1);
          fill(b, 2);
          Ready r = product(a, b, out);
          ASSERT_TRUE(routine_->accepts(r.call)) << what;
          run(*routine_->prepare(r.call), r.inputs, out);
          expect_close(out, product_reference(a, b, nullptr, false), what);
        }
      }
    }
  }
}

TEST_F(OneDnnMatmul, BroadcastsBatches) {
  for (const int which : {0, 1, 2, 3, 4}) {
    Tensor a = matrix({2, 3}, 4, 5, Matrix::rows), b = matrix({2, 3}, 5, 6, Matrix::rows);
    Tensor out = matrix({2, 3}, 4, 6, Matrix::rows);
    if (which == 0) a.view.strides[0] = a.view.strides[1] = 0;
    if (which == 1) b.view.strides[0] = b.view.strides[1] = 0;
    if (which == 2) a.view.strides[0] = b.view.strides[1] = 0;
    if (which == 3) a.view.strides[1] = b.view.strides[0] = 0;
    if (which == 4)
      a.view.strides[0] = a.view.strides[1] = b.view.strides[0] = b.view.strides[1] = 0;
    fill(a, 1);
    fill(b, 2);
    Ready r = product(a, b, out);
    ASSERT_TRUE(routine_->accepts(r.call)) << which;
    run(*routine_->prepare(r.call), r.inputs, out);
    expect_close(out, product_reference(a, b, nullptr, false), fmt::format("broadcast {}", which));
  }
}

TEST_F(OneDnnMatmul, MultipliesAnArrayWithItsOwnTranspose) {
  for (const std::int64_t c : {5, 64, 130, 200}) {
    for (const std::int64_t pixels : {40, 3000}) {
      for (const Matrix lies : {Matrix::rows, Matrix::columns}) {
        Tensor f = matrix({}, c, pixels, lies), out = matrix({}, c, c, Matrix::rows);
        fill(f, 1);
        Tensor transposed = f;
        std::swap(transposed.view.strides[0], transposed.view.strides[1]);
        std::swap(transposed.view.shape[0], transposed.view.shape[1]);
        Ready r = product(f, transposed, out);
        r.inputs[1] = &f;
        run(*routine_->prepare(r.call), r.inputs, out);
        expect_close(out, product_reference(f, transposed, nullptr, false),
                     fmt::format("{} channels", c));
      }
    }
  }
}

TEST_F(OneDnnMatmul, AddsBiasAndAppliesRelu) {
  for (const MatmulCase& c : matmul_cases()) {
    for (const Matrix out_lies : {Matrix::rows, Matrix::columns}) {
      Tensor a = matrix(c.batch, c.m, c.k, Matrix::rows),
             b = matrix(c.batch, c.k, c.n, Matrix::rows), out = matrix(c.batch, c.m, c.n, out_lies),
             bias = make_tensor({c.n}, {0});
      fill(a, 1);
      fill(b, 2);
      fill(bias, 3);
      Ready r = product(a, b, out);
      r.call.inputs.push_back(bias.view);
      r.inputs.push_back(&bias);
      r.call.bias = r.call.relu = true;
      ASSERT_TRUE(routine_->accepts(r.call));
      run(*routine_->prepare(r.call), r.inputs, out);
      expect_close(out, product_reference(a, b, &bias, true),
                   fmt::format("{}x{}x{}", c.m, c.k, c.n));
    }
  }
}

TEST_F(OneDnnMatmul, GivesTheSameBitsForAnyNumberOfThreads) {
  std::vector<MatmulCase> cases = matmul_cases();
  cases.push_back({{}, 64, 11049, 64});
  cases.push_back({{}, 128, 2709, 128});
  cases.push_back({{}, 64, 1900, 64});
  cases.push_back({{}, 256, 3969, 256});
  cases.push_back({{}, 600, 3000, 600});
  for (const MatmulCase& c : cases) {
    for (const Matrix a_lies : {Matrix::rows, Matrix::columns, Matrix::sliced_rows}) {
      for (const Matrix b_lies : {Matrix::rows, Matrix::columns, Matrix::sliced_rows}) {
        Tensor a = matrix(c.batch, c.m, c.k, a_lies), b = matrix(c.batch, c.k, c.n, b_lies),
               out = matrix(c.batch, c.m, c.n, Matrix::rows);
        fill(a, 1);
        fill(b, 2);
        Ready r = product(a, b, out);
        expect_same_bits_for_any_threads(
            *routine_, r,
            fmt::format("{}x{}x{} lying {} {}", c.m, c.k, c.n, static_cast<int>(a_lies),
                        static_cast<int>(b_lies)));
      }
    }
  }
}

TEST_F(OneDnnMatmul, RefusesWhatItCannotDo) {
  Tensor a = matrix({2}, 4, 5, Matrix::rows), b = matrix({2}, 5, 6, Matrix::rows),
         out = matrix({2}, 4, 6, Matrix::rows);
  const Ready right = product(a, b, out);
  ASSERT_TRUE(routine_->accepts(right.call));
  const auto refuses = [&](const char* what, const std::function<void(LibraryCall&)>& change) {
    LibraryCall call = right.call;
    change(call);
    EXPECT_FALSE(routine_->accepts(call)) << what;
    EXPECT_THROW(routine_->prepare(call), InternalError) << what;
  };
  refuses("float64", [](LibraryCall& call) { call.inputs[1].dtype = float64; });
  refuses("row stride 0", [](LibraryCall& call) { call.inputs[0].strides[1] = 0; });
  refuses("negative stride", [](LibraryCall& call) { call.inputs[0].strides[2] = -1; });
  refuses("output broadcast", [](LibraryCall& call) { call.output.strides[0] = 0; });
  refuses("inner extents", [](LibraryCall& call) { call.inputs[0].shape[2] = 4; });
  refuses("batch extents", [](LibraryCall& call) { call.inputs[0].shape[0] = 1; });
  refuses("zero extent",
          [](LibraryCall& call) { call.inputs[0].shape[1] = call.output.shape[1] = 0; });
  refuses("rank", [](LibraryCall& call) { call.inputs[0].shape.erase(0); });
  refuses("another kind", [](LibraryCall& call) { call.kind = Kind::convolution; });
}

}  // namespace
}  // namespace noyau
