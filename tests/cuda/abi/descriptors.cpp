// Gives the real cuBLASLt and cuDNN, where they are, the descriptors that Noyau makes: they check
// attributes, sizes, extents and strides without a GPU. Exits with 77 where neither is there.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>

#include "backends/cublaslt/functions.hpp"
#include "backends/cudnn/functions.hpp"
#include "noyau/error.hpp"

namespace {

int failures = 0;

void accepted(int status, const char* what) {
  if (status == 0) return;
  std::fprintf(stderr, "%s: status %d\n", what, status);
  ++failures;
}

void check_cublaslt() {
  using namespace noyau::cublaslt;
  const Functions& f = functions();
  std::printf("%s\n", f.description.c_str());
  for (const auto& [compute, type] : {std::pair{compute_32, real_32},
                                      {compute_32_tf32, real_32},
                                      {compute_32_bf16, real_32},
                                      {compute_64, real_64}}) {
    Operation operation = nullptr;
    accepted(f.matmul_desc_create(&operation, compute, type), "operation");
    const auto set = [&](OperationAttribute attribute, const auto& value, const char* what) {
      accepted(f.matmul_desc_set_attribute(operation, attribute, &value, sizeof value), what);
    };
    set(transpose_a, transposed, "transpose a");
    set(transpose_b, transposed, "transpose b");
    set(epilogue, epilogue_bias, "epilogue");
    set(bias_pointer, static_cast<const void*>(&operation), "bias");
    accepted(f.matmul_desc_destroy(operation), "destroy");
    Layout layout = nullptr;
    accepted(f.matrix_layout_create(&layout, type, 7, 3, 9), "layout");
    const std::int32_t count = 3;
    const std::int64_t stride = 0;
    accepted(f.matrix_layout_set_attribute(layout, batch_count, &count, sizeof count), "batch");
    accepted(f.matrix_layout_set_attribute(layout, batch_stride, &stride, sizeof stride), "stride");
    accepted(f.matrix_layout_destroy(layout), "destroy");
  }
  Preference wish = nullptr;
  accepted(f.matmul_preference_create(&wish), "preference");
  const auto set = [&](PreferenceAttribute attribute, const auto& value, const char* what) {
    accepted(f.matmul_preference_set_attribute(wish, attribute, &value, sizeof value), what);
  };
  set(most_workspace_bytes, std::uint64_t{1} << 25, "workspace");
  set(reduction_schemes, reduce_in_compute_type, "reduction schemes");
  for (const auto which : {alignment_a, alignment_b, alignment_c, alignment_d})
    set(which, std::uint32_t{16}, "alignment");
  accepted(f.matmul_preference_destroy(wish), "destroy");
}

void check_cudnn() {
  using namespace noyau::cudnn;
  const Functions& f = functions();
  std::printf("%s\n", f.description.c_str());
  struct Image {
    int extent[4], stride[4];
  };
  const Image images[] = {{{2, 3, 9, 8}, {216, 72, 8, 1}},     // by rows
                          {{2, 3, 9, 8}, {216, 1, 24, 3}},     // channels last
                          {{2, 3, 4, 4}, {1000, 100, 20, 1}},  // part of another
                          {{1, 1, 1, 1}, {1, 1, 1, 1}},
                          {{1, 5, 1, 1}, {5, 1, 1, 1}}};
  for (const DataType type : {real_32, real_64}) {
    for (const auto& [e, s] : images) {
      Tensor tensor = nullptr;
      accepted(f.create_tensor_descriptor(&tensor), "tensor");
      accepted(f.set_tensor_4d_descriptor_ex(tensor, type, e[0], e[1], e[2], e[3], s[0], s[1], s[2],
                                             s[3]),
               "strides");
      accepted(f.destroy_tensor_descriptor(tensor), "destroy");
    }
    Filter filter = nullptr;
    accepted(f.create_filter_descriptor(&filter), "filter");
    for (const Format format : {nchw, nhwc})
      accepted(f.set_filter_4d_descriptor(filter, type, format, 4, 3, 3, 2), "format");
    accepted(f.destroy_filter_descriptor(filter), "destroy");
    ConvolutionDescriptor convolution = nullptr;
    accepted(f.create_convolution_descriptor(&convolution), "convolution");
    accepted(
        f.set_convolution_2d_descriptor(convolution, 1, 0, 1, 2, 1, 2, cross_correlation, type),
        "window");
    for (const Math math : {default_math, fma_math})
      accepted(f.set_convolution_math_type(convolution, math), "math");
    accepted(f.set_convolution_group_count(convolution, 2), "groups");
    accepted(f.destroy_convolution_descriptor(convolution), "destroy");
  }
  Activation activation = nullptr;
  accepted(f.create_activation_descriptor(&activation), "activation");
  accepted(f.set_activation_descriptor(activation, activation_relu, propagate_nan, 0), "relu");
  accepted(f.destroy_activation_descriptor(activation), "destroy");
}

}  // namespace

int main() {
  int absent = 0;
  for (const auto check : {check_cublaslt, check_cudnn}) {
    try {
      check();
    } catch (const noyau::DeviceError& error) {
      std::printf("%s\n", error.what());
      ++absent;
    }
  }
  return failures > 0 ? 1 : absent == 2 ? 77 : 0;
}
