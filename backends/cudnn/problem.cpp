// Calls in cuDNN's descriptors.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cudnn/problem.hpp"

#include <limits>

#include "core/products.hpp"

namespace noyau::cudnn {
namespace {

constexpr std::int64_t most_elements = std::numeric_limits<std::int32_t>::max();

bool is_dense(const TensorView& view) {
  std::int64_t stride = 1;
  for (int axis = view.shape.rank(); axis-- > 0;) {
    if (view.shape[axis] > 1 && view.strides[axis] != stride) return false;
    stride *= view.shape[axis];
  }
  return true;
}

/// The stride along an axis of one element may be anything: here what it would be by rows.
std::int64_t stride_of(const TensorView& view, int axis) {
  if (view.shape[axis] > 1) return view.strides[axis];
  std::int64_t stride = 1;
  for (int inner = axis + 1; inner < 4; ++inner) stride *= view.shape[inner];
  return stride;
}

int narrow(std::int64_t value) { return static_cast<int>(value); }

}  // namespace

bool can_describe(const LibraryCall& call, LibraryCall::Kind kind) {
  if (call.context == nullptr || !is_convolution(call, kind, most_elements)) return false;
  const auto [x, weights, y] = views_of(call);
  if (x->dtype != float32 && x->dtype != float64) return false;
  // What it does of a NaN is documented for f32 images with bias and relu together.
  if (call.bias != call.relu || (call.bias && x->dtype != float32)) return false;
  if (!is_dense(*weights) && !is_channels_last(*weights)) return false;
  for (int k = 0; k < 2; ++k) {  // cuDNN pads both sides alike, and finds the extent of y itself
    const std::int64_t room = x->shape[2 + k] + 2 * call.padding_low[k] -
                              call.dilation[k] * (weights->shape[2 + k] - 1) - 1;
    if (room < 0 || room / call.stride[k] + 1 != y->shape[2 + k]) return false;
  }
  return true;
}

Descriptors::Descriptors(const LibraryCall& call) {
  try {
    describe(call);
  } catch (...) {
    destroy();
    throw;
  }
}
Descriptors::~Descriptors() { destroy(); }

void Descriptors::destroy() {
  const Functions& f = functions();
  for (const Tensor tensor : {x, y, bias})
    if (tensor != nullptr) f.destroy_tensor_descriptor(tensor);
  if (weights != nullptr) f.destroy_filter_descriptor(weights);
  if (convolution != nullptr) f.destroy_convolution_descriptor(convolution);
  if (activation != nullptr) f.destroy_activation_descriptor(activation);
}

void Descriptors::describe(const LibraryCall& call) {
  const Functions& f = functions();
  const auto views = views_of(call);
  const DataType type = views.x->dtype == float64 ? real_64 : real_32;
  const auto image = [&](Tensor& tensor, const TensorView& view) {
    check(f.create_tensor_descriptor(&tensor), "cudnnCreateTensorDescriptor");
    const Shape& s = view.shape;
    check(f.set_tensor_4d_descriptor_ex(tensor, type, narrow(s[0]), narrow(s[1]), narrow(s[2]),
                                        narrow(s[3]), narrow(stride_of(view, 0)),
                                        narrow(stride_of(view, 1)), narrow(stride_of(view, 2)),
                                        narrow(stride_of(view, 3))),
          "cudnnSetTensor4dDescriptorEx");
  };
  image(x, *views.x);
  image(y, *views.y);
  check(f.create_filter_descriptor(&weights), "cudnnCreateFilterDescriptor");
  const Shape& w = views.weights->shape;
  check(f.set_filter_4d_descriptor(weights, type, is_dense(*views.weights) ? nchw : nhwc,
                                   narrow(w[0]), narrow(w[1]), narrow(w[2]), narrow(w[3])),
        "cudnnSetFilter4dDescriptor");
  check(f.create_convolution_descriptor(&convolution), "cudnnCreateConvolutionDescriptor");
  check(f.set_convolution_2d_descriptor(convolution, narrow(call.padding_low[0]),
                                        narrow(call.padding_low[1]), narrow(call.stride[0]),
                                        narrow(call.stride[1]), narrow(call.dilation[0]),
                                        narrow(call.dilation[1]), cross_correlation, type),
        "cudnnSetConvolution2dDescriptor");
  check(f.set_convolution_math_type(convolution, may_round(call) ? default_math : fma_math),
        "cudnnSetConvolutionMathType");
  check(f.set_convolution_group_count(convolution, narrow(call.groups)),
        "cudnnSetConvolutionGroupCount");
  if (!call.bias) return;
  check(f.create_tensor_descriptor(&bias), "cudnnCreateTensorDescriptor");
  const int channels = narrow(w[0]);
  check(f.set_tensor_4d_descriptor_ex(bias, type, 1, channels, 1, 1, channels, 1, 1, 1),
        "cudnnSetTensor4dDescriptorEx");
  check(f.create_activation_descriptor(&activation), "cudnnCreateActivationDescriptor");
  check(f.set_activation_descriptor(activation, activation_relu, propagate_nan, 0),
        "cudnnSetActivationDescriptor");
}

}  // namespace noyau::cudnn
