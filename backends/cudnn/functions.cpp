// Finding cuDNN, and its handles.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cudnn/functions.hpp"

#include <fmt/format.h>

#include <map>

#include "backends/cuda/driver.hpp"
#include "backends/cuda/library.hpp"
#include "noyau/error.hpp"

namespace noyau::cudnn {
namespace {

constexpr const char* remedy =
    "install cuDNN 9 (or the package nvidia-cudnn-cu13), and put its folder on LD_LIBRARY_PATH; "
    "without it convolution runs on generated kernels";

Functions load() {
  constexpr const char* files[] = {"libcudnn.so.9"};
  const cuda::Library library = cuda::open_library(cuda::in_toolkit(files), remedy);
  Functions f;
  library.find(f.get_version, "cudnnGetVersion");
  const std::size_t version = f.get_version();
  const std::size_t unit = version < 90000 ? 1000 : 10000;  // of the major version
  f.description = fmt::format("{}, cuDNN {}.{}.{}", library.description(), version / unit,
                              version % unit / 100, version % 100);
  if (version / 10000 != 9) {
    throw DeviceError(
        fmt::format("{}: of another version than is known; {}", f.description, remedy));
  }
  library.find(f.get_error_string, "cudnnGetErrorString");
  library.find(f.create, "cudnnCreate");
  library.find(f.set_stream, "cudnnSetStream");
  library.find(f.create_tensor_descriptor, "cudnnCreateTensorDescriptor");
  library.find(f.destroy_tensor_descriptor, "cudnnDestroyTensorDescriptor");
  library.find(f.set_tensor_4d_descriptor_ex, "cudnnSetTensor4dDescriptorEx");
  library.find(f.create_filter_descriptor, "cudnnCreateFilterDescriptor");
  library.find(f.destroy_filter_descriptor, "cudnnDestroyFilterDescriptor");
  library.find(f.set_filter_4d_descriptor, "cudnnSetFilter4dDescriptor");
  library.find(f.create_convolution_descriptor, "cudnnCreateConvolutionDescriptor");
  library.find(f.destroy_convolution_descriptor, "cudnnDestroyConvolutionDescriptor");
  library.find(f.set_convolution_2d_descriptor, "cudnnSetConvolution2dDescriptor");
  library.find(f.set_convolution_math_type, "cudnnSetConvolutionMathType");
  library.find(f.set_convolution_group_count, "cudnnSetConvolutionGroupCount");
  library.find(f.create_activation_descriptor, "cudnnCreateActivationDescriptor");
  library.find(f.destroy_activation_descriptor, "cudnnDestroyActivationDescriptor");
  library.find(f.set_activation_descriptor, "cudnnSetActivationDescriptor");
  library.find(f.get_convolution_forward_algorithm, "cudnnGetConvolutionForwardAlgorithm_v7");
  library.find(f.get_convolution_forward_workspace_size, "cudnnGetConvolutionForwardWorkspaceSize");
  library.find(f.convolution_forward, "cudnnConvolutionForward");
  library.find(f.convolution_bias_activation_forward, "cudnnConvolutionBiasActivationForward");
  library.find(f.get_convolution_backward_data_algorithm,
               "cudnnGetConvolutionBackwardDataAlgorithm_v7");
  library.find(f.get_convolution_backward_data_workspace_size,
               "cudnnGetConvolutionBackwardDataWorkspaceSize");
  library.find(f.convolution_backward_data, "cudnnConvolutionBackwardData");
  library.find(f.get_convolution_backward_filter_algorithm,
               "cudnnGetConvolutionBackwardFilterAlgorithm_v7");
  library.find(f.get_convolution_backward_filter_workspace_size,
               "cudnnGetConvolutionBackwardFilterWorkspaceSize");
  library.find(f.convolution_backward_filter, "cudnnConvolutionBackwardFilter");
  return f;
}

struct Shared {
  std::mutex mutex;
  Handle handle = nullptr;
};

/// Of a context; leaked, as calls come until the very end.
Shared& shared(void* context) {
  static auto& all = *new std::map<void*, Shared>;
  static auto& mutex = *new std::mutex;
  const std::lock_guard lock(mutex);
  return all[context];
}

}  // namespace

const Functions& functions() {
  static const Functions& loaded = *new Functions(load());
  return loaded;
}

HandleScope::HandleScope(void* context) {
  Shared& its = shared(context);
  lock_ = std::unique_lock(its.mutex);
  if (its.handle == nullptr) {
    const cuda::ContextScope scope(static_cast<cuda::Context>(context));
    if (const Status status = functions().create(&its.handle); status != success) {
      its.handle = nullptr;
      throw DeviceError(fmt::format("cudnnCreate failed: {}; {}", status_text(status), remedy));
    }
  }
  handle_ = its.handle;
}

std::string status_text(Status status) {
  return fmt::format("{} ({})", status, functions().get_error_string(status));
}

void check(Status status, const char* call) {
  if (status == success) return;
  throw InternalError(fmt::format("{} failed: {}", call, status_text(status)));
}

}  // namespace noyau::cudnn
