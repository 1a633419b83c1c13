// A libcudnn.so.9 for tests: computes plainly on the host's memory, and refuses what the real one
// would refuse or read wrongly. $NOYAU_FAKE_CUDNN makes it fail: "init" (cudnnCreate), "old"
// (another version), "none" (no algorithm).
// SPDX-License-Identifier: Apache-2.0
#include "backends/cudnn/functions.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "tests/common/fake_calls.hpp"
#include "tests/cuda/fake/rounding.hpp"
#include "tests/cuda/fake/stream.hpp"

namespace noyau::cudnn {

struct HandleOfDnn {
  void* context;
  void* stream = nullptr;
};
struct TensorOfDnn {
  DataType type = real_32;
  int extent[4] = {0, 0, 0, 0}, stride[4] = {0, 0, 0, 0};
  std::int64_t at(int n, int c, int h, int w) const {
    return std::int64_t{n} * stride[0] + std::int64_t{c} * stride[1] + std::int64_t{h} * stride[2] +
           std::int64_t{w} * stride[3];
  }
  std::size_t bytes() const {
    const std::int64_t last = at(extent[0] - 1, extent[1] - 1, extent[2] - 1, extent[3] - 1) + 1;
    return static_cast<std::size_t>(last) * (type == real_64 ? 8 : 4);
  }
};
struct FilterOfDnn : TensorOfDnn {};
struct ConvolutionOfDnn {
  int pad[2] = {-1, -1}, stride[2] = {0, 0}, dilation[2] = {0, 0}, groups = 1;
  DataType type = real_32;
  Math math = default_math;
};
struct ActivationOfDnn {
  ActivationMode mode;
  NanPropagation nan;
};

namespace {

constexpr Status not_initialized = 1001, bad_parameter = 2000;
constexpr std::size_t workspace_wanted = 1 << 12;

bool wants(const char* mode) { return test::fake_mode_is("NOYAU_FAKE_CUDNN", mode); }
Status refuse(const char* why) {
  fprintf(stderr, "fake cudnn refuses: %s\n", why);
  return bad_parameter;
}

/// Why x, weights and y do not make a convolution, or nullptr.
const char* fault_of(const TensorOfDnn& x, const FilterOfDnn& w, const ConvolutionOfDnn& c,
                     const TensorOfDnn& y) {
  if (x.type != w.type || x.type != y.type || x.type != c.type) return "types";
  for (const TensorOfDnn* t : {&x, static_cast<const TensorOfDnn*>(&w), &y})
    for (int k = 0; k < 4; ++k)
      if (t->extent[k] < 1 || t->stride[k] < 1) return "extents or strides";
  if (x.extent[0] != y.extent[0] || w.extent[0] != y.extent[1] ||
      w.extent[1] * c.groups != x.extent[1] || w.extent[0] % c.groups != 0)
    return "channels";
  for (int k = 0; k < 2; ++k) {
    if (c.stride[k] < 1 || c.dilation[k] < 1 || c.pad[k] < 0) return "window";
    const int room = x.extent[2 + k] + 2 * c.pad[k] - ((w.extent[2 + k] - 1) * c.dilation[k] + 1);
    if (room < 0 || room / c.stride[k] + 1 != y.extent[2 + k]) return "extent of y";
  }
  return nullptr;
}

struct Run {
  TensorOfDnn x, y;
  FilterOfDnn w;
  ConvolutionOfDnn c;
  void *px, *pw, *py;
  const void* bias = nullptr;

  /// As a factor is rounded: to TF32 unless that is forbidden.
  float rounded(float value) const {
    return c.math == default_math ? fake_cuda::with_mantissa(value, 10) : value;
  }
  double rounded(double value) const { return value; }
  /// Calls body(address in x, in w, in y) for each product.
  template <class T, class Body>
  void each(Body body) const {
    const int outputs = w.extent[0] / c.groups;
    for (int n = 0; n < y.extent[0]; ++n)
      for (int o = 0; o < y.extent[1]; ++o)
        for (int oh = 0; oh < y.extent[2]; ++oh)
          for (int ow = 0; ow < y.extent[3]; ++ow)
            for (int i = 0; i < w.extent[1]; ++i)
              for (int kh = 0; kh < w.extent[2]; ++kh)
                for (int kw = 0; kw < w.extent[3]; ++kw) {
                  const int h = oh * c.stride[0] - c.pad[0] + kh * c.dilation[0],
                            v = ow * c.stride[1] - c.pad[1] + kw * c.dilation[1];
                  if (h < 0 || v < 0 || h >= x.extent[2] || v >= x.extent[3]) continue;
                  body(static_cast<T*>(px)[x.at(n, o / outputs * w.extent[1] + i, h, v)],
                       static_cast<T*>(pw)[w.at(o, i, kh, kw)],
                       static_cast<T*>(py)[y.at(n, o, oh, ow)]);
                }
  }
  template <class T>
  static void clear(const TensorOfDnn& t, void* p) {
    each_element(t, [&](std::int64_t at, int) { static_cast<T*>(p)[at] = 0; });
  }
  template <class Body>
  static void each_element(const TensorOfDnn& t, Body body) {
    for (int n = 0; n < t.extent[0]; ++n)
      for (int i = 0; i < t.extent[1]; ++i)
        for (int h = 0; h < t.extent[2]; ++h)
          for (int w = 0; w < t.extent[3]; ++w) body(t.at(n, i, h, w), i);
  }
  template <class T>
  void forward() const {
    clear<T>(y, py);
    each<T>([&](T& a, T& b, T& sum) { sum = std::fma(rounded(a), rounded(b), sum); });
    if (bias == nullptr) return;
    each_element(y, [&](std::int64_t at, int channel) {
      T& v = static_cast<T*>(py)[at];
      v += static_cast<const T*>(bias)[channel];
      v = v <= 0 ? 0 : v;  // NaN stays
    });
  }
  template <class T>
  void backward_data() const {
    clear<T>(x, px);
    each<T>([&](T& sum, T& b, T& dy) { sum = std::fma(rounded(dy), rounded(b), sum); });
  }
  template <class T>
  void backward_filter() const {
    clear<T>(w, pw);
    each<T>([&](T& a, T& sum, T& dy) { sum = std::fma(rounded(a), rounded(dy), sum); });
  }
};

/// The common checks of the three calls.
const char* fault_of_call(Handle handle, const Run& run, const void* alpha, const void* beta,
                          Algorithm algorithm, Algorithm with_workspace, const void* workspace,
                          std::size_t bytes) {
  if (handle == nullptr || handle->context != fake_cuda::current_context()) return "handle";
  if (const char* why = fault_of(run.x, run.w, run.c, run.y)) return why;
  const bool wide = run.x.type == real_64;
  if (wide ? *static_cast<const double*>(alpha) != 1 || *static_cast<const double*>(beta) != 0
           : *static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0)
    return "alpha or beta";
  if (algorithm == with_workspace &&
      (bytes < workspace_wanted || !fake_cuda::holds(workspace, bytes)))
    return "workspace";
  if (!fake_cuda::holds(run.px, run.x.bytes()) || !fake_cuda::holds(run.pw, run.w.bytes()) ||
      !fake_cuda::holds(run.py, run.y.bytes()))
    return "memory";
  return nullptr;
}

Status go(Handle handle, const Run& run, const char* name, Algorithm algorithm,
          void (Run::*narrow)() const, void (Run::*wide)() const) {
  const std::string launched = std::string(name) + " algorithm " + std::to_string(algorithm) +
                               (run.bias != nullptr ? " bias relu" : "");
  if (const Status told = fake_cuda::called(launched.c_str())) return told;
  char words[120];
  snprintf(words, sizeof words, "%s algorithm %d math %d%s%s%s", name, algorithm, run.c.math,
           run.x.stride[1] == 1 && run.x.extent[1] > 1 ? " nhwc" : "",
           run.c.groups > 1 ? " groups" : "", run.bias != nullptr ? " bias relu" : "");
  const std::string said = words;
  const auto method = run.x.type == real_64 ? wide : narrow;
  const int status = fake_cuda::on_stream(handle->stream, [run, said, method] {
    fake_cuda::called("", said);
    (run.*method)();
    return 0;
  });
  return status == 0 ? success : refuse("stream");
}

Status list(Handle handle, const char* why, Math math, int wanted, int* found, Performance* all,
            std::initializer_list<Performance> offered) {
  *found = 0;
  if (handle == nullptr || handle->context != fake_cuda::current_context()) return not_initialized;
  if (why != nullptr) return refuse(why);
  fake_cuda::called("cudnnGet", "heuristic");
  if (wants("none")) return not_supported;
  for (const Performance& p : offered) {
    if (*found == wanted) break;
    if (math == fma_math && p.math == tensor_math) continue;
    all[(*found)++] = p;
  }
  return success;
}

constexpr std::size_t much = std::size_t{1} << 20;

}  // namespace
}  // namespace noyau::cudnn

using namespace noyau::cudnn;  // NOLINT: a file of C functions
namespace fake = noyau::fake_cuda;

extern "C" {

std::size_t cudnnGetVersion() { return wants("old") ? 8907 : 91301; }
const char* cudnnGetErrorString(Status status) {
  return status == not_supported     ? "CUDNN_STATUS_NOT_SUPPORTED"
         : status == not_initialized ? "CUDNN_STATUS_NOT_INITIALIZED"
                                     : "CUDNN_STATUS_FAKE";
}
Status cudnnCreate(Handle* handle) {
  if (wants("init") || fake::current_context() == nullptr) return not_initialized;
  *handle = new HandleOfDnn{fake::current_context()};
  return success;
}
Status cudnnSetStream(Handle handle, void* stream) {
  handle->stream = stream;
  return success;
}
Status cudnnCreateTensorDescriptor(Tensor* made) {
  *made = new TensorOfDnn;
  return success;
}
Status cudnnDestroyTensorDescriptor(Tensor t) {
  delete t;
  return success;
}
Status cudnnSetTensor4dDescriptorEx(Tensor t, DataType type, int n, int c, int h, int w, int sn,
                                    int sc, int sh, int sw) {
  *t = {type, {n, c, h, w}, {sn, sc, sh, sw}};
  return success;
}
Status cudnnCreateFilterDescriptor(Filter* made) {
  *made = new FilterOfDnn;
  return success;
}
Status cudnnDestroyFilterDescriptor(Filter f) {
  delete f;
  return success;
}
Status cudnnSetFilter4dDescriptor(Filter f, DataType type, Format format, int o, int i, int h,
                                  int w) {
  static_cast<TensorOfDnn&>(*f) = {type, {o, i, h, w}, {i * h * w, h * w, w, 1}};
  if (format == nhwc)
    static_cast<TensorOfDnn&>(*f) = {type, {o, i, h, w}, {i * h * w, 1, w * i, i}};
  return success;
}
Status cudnnCreateConvolutionDescriptor(ConvolutionDescriptor* made) {
  *made = new ConvolutionOfDnn;
  return success;
}
Status cudnnDestroyConvolutionDescriptor(ConvolutionDescriptor c) {
  delete c;
  return success;
}
Status cudnnSetConvolution2dDescriptor(ConvolutionDescriptor c, int ph, int pw, int sh, int sw,
                                       int dh, int dw, Mode mode, DataType type) {
  if (mode != cross_correlation) return refuse("mode");
  *c = {{ph, pw}, {sh, sw}, {dh, dw}, 1, type, default_math};
  return success;
}
#ifndef NOYAU_FAKE_WITHOUT_MATH
Status cudnnSetConvolutionMathType(ConvolutionDescriptor c, Math math) {
  c->math = math;
  return success;
}
#endif
Status cudnnSetConvolutionGroupCount(ConvolutionDescriptor c, int groups) {
  c->groups = groups;
  return success;
}
Status cudnnCreateActivationDescriptor(Activation* made) {
  *made = new ActivationOfDnn{};
  return success;
}
Status cudnnDestroyActivationDescriptor(Activation a) {
  delete a;
  return success;
}
Status cudnnSetActivationDescriptor(Activation a, ActivationMode mode, NanPropagation nan, double) {
  *a = {mode, nan};
  return success;
}

Status cudnnGetConvolutionForwardAlgorithm_v7(Handle handle, Tensor x, Filter w,
                                              ConvolutionDescriptor c, Tensor y, int wanted,
                                              int* found, Performance* all) {
  return list(handle, fault_of(*x, *w, *c, *y), c->math, wanted, found, all,
              {{6, success, 1, much, deterministic, default_math, {}},     // Winograd
               {4, success, 2, much, deterministic, default_math, {}},     // FFT
               {0, success, 3, 0, varies, default_math, {}},               // cannot be
               {1, not_supported, 3, 0, deterministic, default_math, {}},  // not here
               {1, success, 4, 0, deterministic, tensor_math, {}},
               {1, success, 5, 0, deterministic, fma_math, {}},
               {0, success, 6, 0, deterministic, default_math, {}}});
}
Status cudnnGetConvolutionForwardWorkspaceSize(Handle, Tensor, Filter, ConvolutionDescriptor,
                                               Tensor, Algorithm algorithm, std::size_t* bytes) {
  *bytes = algorithm == 1 ? workspace_wanted : 0;
  return success;
}
Status cudnnConvolutionForward(Handle handle, const void* alpha, Tensor x, const void* px, Filter w,
                               const void* pw, ConvolutionDescriptor c, Algorithm algorithm,
                               void* workspace, std::size_t bytes, const void* beta, Tensor y,
                               void* py) {
  const Run run{*x, *y, *w, *c, const_cast<void*>(px), const_cast<void*>(pw), py};
  if (const char* why = fault_of_call(handle, run, alpha, beta, algorithm, 1, workspace, bytes))
    return refuse(why);
  return go(handle, run, "convolution", algorithm, &Run::forward<float>, &Run::forward<double>);
}
Status cudnnConvolutionBiasActivationForward(Handle handle, const void* alpha, Tensor x,
                                             const void* px, Filter w, const void* pw,
                                             ConvolutionDescriptor c, Algorithm algorithm,
                                             void* workspace, std::size_t bytes,
                                             const void* alpha_z, Tensor z, const void* pz,
                                             Tensor b, const void* bias, Activation a, Tensor y,
                                             void* py) {
  const Run run{*x, *y, *w, *c, const_cast<void*>(px), const_cast<void*>(pw), py, bias};
  if (const char* why = fault_of_call(handle, run, alpha, alpha_z, algorithm, 1, workspace, bytes))
    return refuse(why);
  if (z != y || pz != py) return refuse("z");
  if (a->mode != activation_relu || a->nan != propagate_nan) return refuse("activation");
  if (b->extent[0] != 1 || b->extent[1] != y->extent[1] || b->extent[2] != 1 || b->extent[3] != 1 ||
      !fake::holds(bias, b->bytes()))
    return refuse("bias");
  return go(handle, run, "convolution", algorithm, &Run::forward<float>, &Run::forward<double>);
}
Status cudnnGetConvolutionBackwardDataAlgorithm_v7(Handle handle, Filter w, Tensor dy,
                                                   ConvolutionDescriptor c, Tensor dx, int wanted,
                                                   int* found, Performance* all) {
  return list(handle, fault_of(*dx, *w, *c, *dy), c->math, wanted, found, all,
              {{0, success, 1, 0, varies, default_math, {}},
               {4, success, 2, much, deterministic, default_math, {}},
               {1, success, 3, 0, deterministic, default_math, {}}});
}
Status cudnnGetConvolutionBackwardDataWorkspaceSize(Handle, Filter, Tensor, ConvolutionDescriptor,
                                                    Tensor, Algorithm algorithm,
                                                    std::size_t* bytes) {
  *bytes = algorithm == 1 ? workspace_wanted : 0;
  return success;
}
Status cudnnConvolutionBackwardData(Handle handle, const void* alpha, Filter w, const void* pw,
                                    Tensor dy, const void* pdy, ConvolutionDescriptor c,
                                    Algorithm algorithm, void* workspace, std::size_t bytes,
                                    const void* beta, Tensor dx, void* pdx) {
  const Run run{*dx, *dy, *w, *c, pdx, const_cast<void*>(pw), const_cast<void*>(pdy)};
  if (const char* why = fault_of_call(handle, run, alpha, beta, algorithm, 1, workspace, bytes))
    return refuse(why);
  return go(handle, run, "input gradient", algorithm, &Run::backward_data<float>,
            &Run::backward_data<double>);
}
Status cudnnGetConvolutionBackwardFilterAlgorithm_v7(Handle handle, Tensor x, Tensor dy,
                                                     ConvolutionDescriptor c, Filter dw, int wanted,
                                                     int* found, Performance* all) {
  return list(handle, fault_of(*x, *dw, *c, *dy), c->math, wanted, found, all,
              {{3, success, 1, 0, varies, default_math, {}},
               {5, success, 2, much, deterministic, default_math, {}},
               {1, success, 3, 0, deterministic, default_math, {}}});
}
Status cudnnGetConvolutionBackwardFilterWorkspaceSize(Handle, Tensor, Tensor, ConvolutionDescriptor,
                                                      Filter, Algorithm algorithm,
                                                      std::size_t* bytes) {
  *bytes = algorithm == 1 ? workspace_wanted : 0;
  return success;
}
Status cudnnConvolutionBackwardFilter(Handle handle, const void* alpha, Tensor x, const void* px,
                                      Tensor dy, const void* pdy, ConvolutionDescriptor c,
                                      Algorithm algorithm, void* workspace, std::size_t bytes,
                                      const void* beta, Filter dw, void* pdw) {
  const Run run{*x, *dy, *dw, *c, const_cast<void*>(px), pdw, const_cast<void*>(pdy)};
  if (const char* why = fault_of_call(handle, run, alpha, beta, algorithm, 1, workspace, bytes))
    return refuse(why);
  return go(handle, run, "weight gradient", algorithm, &Run::backward_filter<float>,
            &Run::backward_filter<double>);
}

}  // extern "C"
