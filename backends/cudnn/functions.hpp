// The functions of cuDNN that Noyau calls, found in libcudnn when it is there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <mutex>
#include <string>

namespace noyau::cudnn {

// The types and numbers of cuDNN 9's binary interface.
using Status = int;
using Handle = struct HandleOfDnn*;
using Tensor = struct TensorOfDnn*;
using Filter = struct FilterOfDnn*;
using ConvolutionDescriptor = struct ConvolutionOfDnn*;
using Activation = struct ActivationOfDnn*;

inline constexpr Status success = 0, not_supported = 3000;
/// Of the GPU, not of the call.
constexpr bool is_failure_of_execution(Status status) { return status >= 5000 && status < 6000; }
enum DataType : int { real_32 = 0, real_64 = 1 };
enum Format : int { nchw = 0, nhwc = 1 };
enum Mode : int { cross_correlation = 1 };
/// fma_math: products and sums as they are; default_math: TF32 where the GPU has it.
enum Math : int { default_math = 0, tensor_math = 1, converting_math = 2, fma_math = 3 };
enum Determinism : int { varies = 0, deterministic = 1 };
enum ActivationMode : int { activation_relu = 1 };
enum NanPropagation : int { propagate_nan = 1 };
/// cudnnConvolutionFwdAlgo_t, cudnnConvolutionBwdDataAlgo_t, cudnnConvolutionBwdFilterAlgo_t
using Algorithm = int;

/// cudnnConvolutionFwdAlgoPerf_t, and those of the gradients.
struct Performance {
  Algorithm algorithm;
  Status status;
  float milliseconds;
  std::size_t workspace_bytes;
  Determinism determinism;
  Math math;
  int reserved[3];
};

/// Each member is the function `cudnn` + its name.
struct Functions {
  std::size_t (*get_version)();
  const char* (*get_error_string)(Status);
  Status (*create)(Handle*);
  Status (*set_stream)(Handle, void* stream);
  Status (*create_tensor_descriptor)(Tensor*);
  Status (*destroy_tensor_descriptor)(Tensor);
  Status (*set_tensor_4d_descriptor_ex)(Tensor, DataType, int n, int c, int h, int w, int n_stride,
                                        int c_stride, int h_stride, int w_stride);
  Status (*create_filter_descriptor)(Filter*);
  Status (*destroy_filter_descriptor)(Filter);
  Status (*set_filter_4d_descriptor)(Filter, DataType, Format, int outputs, int inputs, int h,
                                     int w);
  Status (*create_convolution_descriptor)(ConvolutionDescriptor*);
  Status (*destroy_convolution_descriptor)(ConvolutionDescriptor);
  Status (*set_convolution_2d_descriptor)(ConvolutionDescriptor, int pad_h, int pad_w, int stride_h,
                                          int stride_w, int dilation_h, int dilation_w, Mode,
                                          DataType);
  Status (*set_convolution_math_type)(ConvolutionDescriptor, Math);
  Status (*set_convolution_group_count)(ConvolutionDescriptor, int groups);
  Status (*create_activation_descriptor)(Activation*);
  Status (*destroy_activation_descriptor)(Activation);
  Status (*set_activation_descriptor)(Activation, ActivationMode, NanPropagation, double);

  Status (*get_convolution_forward_algorithm)(Handle, Tensor x, Filter, ConvolutionDescriptor,
                                              Tensor y, int wanted, int* found, Performance*);
  Status (*get_convolution_forward_workspace_size)(Handle, Tensor x, Filter, ConvolutionDescriptor,
                                                   Tensor y, Algorithm, std::size_t*);
  Status (*convolution_forward)(Handle, const void* alpha, Tensor, const void* x, Filter,
                                const void* weights, ConvolutionDescriptor, Algorithm,
                                void* workspace, std::size_t, const void* beta, Tensor, void* y);
  Status (*convolution_bias_activation_forward)(Handle, const void* alpha, Tensor, const void* x,
                                                Filter, const void* weights, ConvolutionDescriptor,
                                                Algorithm, void* workspace, std::size_t,
                                                const void* alpha_of_z, Tensor, const void* z,
                                                Tensor, const void* bias, Activation, Tensor,
                                                void* y);
  Status (*get_convolution_backward_data_algorithm)(Handle, Filter, Tensor dy,
                                                    ConvolutionDescriptor, Tensor dx, int wanted,
                                                    int* found, Performance*);
  Status (*get_convolution_backward_data_workspace_size)(Handle, Filter, Tensor dy,
                                                         ConvolutionDescriptor, Tensor dx,
                                                         Algorithm, std::size_t*);
  Status (*convolution_backward_data)(Handle, const void* alpha, Filter, const void* weights,
                                      Tensor, const void* dy, ConvolutionDescriptor, Algorithm,
                                      void* workspace, std::size_t, const void* beta, Tensor,
                                      void* dx);
  Status (*get_convolution_backward_filter_algorithm)(Handle, Tensor x, Tensor dy,
                                                      ConvolutionDescriptor, Filter, int wanted,
                                                      int* found, Performance*);
  Status (*get_convolution_backward_filter_workspace_size)(Handle, Tensor x, Tensor dy,
                                                           ConvolutionDescriptor, Filter, Algorithm,
                                                           std::size_t*);
  Status (*convolution_backward_filter)(Handle, const void* alpha, Tensor, const void* x, Tensor,
                                        const void* dy, ConvolutionDescriptor, Algorithm,
                                        void* workspace, std::size_t, const void* beta, Filter,
                                        void* dweights);

  std::string description;  ///< "libcudnn.so.9 (...), cuDNN 9.13.0"
};

/// Loads it once. DeviceError that says what is wrong: no library, one of another version, or one
/// without some function.
const Functions& functions();

/// The handle of a context (a CUcontext), used by one thread at a time, which has the context.
class HandleScope {
 public:
  /// Makes it when it is first asked for. DeviceError.
  explicit HandleScope(void* context);
  Handle get() const { return handle_; }

 private:
  std::unique_lock<std::mutex> lock_;
  Handle handle_ = nullptr;
};

/// "3000 (CUDNN_STATUS_NOT_SUPPORTED)"
std::string status_text(Status status);
/// InternalError naming the call unless `status` is success.
void check(Status status, const char* call);

}  // namespace noyau::cudnn
