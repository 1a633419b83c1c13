// oneDNN's engine, layouts and primitives, written for 2.6: the one file that a port to 3.x
// changes.
// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/common.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <new>
#include <vector>

#include "noyau/error.hpp"

namespace noyau::onednn {
namespace {

using Memory = dnnl::memory;

/// Sums of products in float32 as they are defined: no bfloat16 or TF32 behind the caller's back,
/// whatever the environment says. The scratchpad comes from the plan's workspace, which is warm.
dnnl::primitive_attr strict_attributes(bool relu, bool adds = false) {
  dnnl::primitive_attr attributes;
  attributes.set_fpmath_mode(dnnl::fpmath_mode::strict);
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops after;
  if (adds) after.append_sum(1.0f);
  if (relu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  attributes.set_post_ops(after);
  return attributes;
}

bool is_reference(const Choice& choice) {
  return std::string_view(choice.impl_info_str()).starts_with("ref");
}

bool is_gemm(const Choice& choice) {
  return std::string_view(choice.impl_info_str()).find("gemm") != std::string_view::npos;
}

/// brgconv blocks the input channels by the number of threads when there are many of them and
/// several taps (measured: from 256 channels on), and the sums are then rounded in another order.
bool depends_on_threads(const Choice& choice, const Convolution& convolution) {
  const auto rank = convolution.weights.size();
  const auto channels = convolution.weights[rank - 3];
  const auto taps = convolution.weights[rank - 2] * convolution.weights[rank - 1];
  return channels >= 256 && taps > 1 &&
         std::string_view(choice.impl_info_str()).starts_with("brgconv:");
}

/// The first implementation, from oneDNN's favourite on, that will do. oneDNN's iterator points
/// into the descriptor that `descriptions` was made from: the caller keeps that alive.
std::optional<Choice> first_usable(Choice& descriptions, const Convolution& convolution) {
  do {
    if (is_reference(descriptions)) break;
    if (!depends_on_threads(descriptions, convolution)) return descriptions;
  } while (descriptions.next_impl());
  return std::nullopt;
}

/// Nothing when oneDNN has no implementation.
template <class Body>
std::optional<Choice> unless_unimplemented(Body body) {
  try {
    return body();
  } catch (const dnnl::error& failure) {
    if (failure.status == dnnl_unimplemented || failure.status == dnnl_invalid_arguments)
      return std::nullopt;
    throw;
  }
}

dnnl::convolution_forward::desc forward_descriptor(const Convolution& c) {
  const auto x = channels_last_layout(c.x), y = channels_last_layout(c.y);
  const auto weights = any_layout(c.weights);
  const auto kind = dnnl::prop_kind::forward_training;
  const auto direct = dnnl::algorithm::convolution_direct;
  if (!c.bias)
    return {kind, direct, x, weights, y, c.stride, c.dilation, c.padding_low, c.padding_high};
  return {kind, direct,   x,          weights,       dense_layout({c.y[1]}),
          y,    c.stride, c.dilation, c.padding_low, c.padding_high};
}

/// Both gradients: oneDNN wants to know the forward convolution that they belong to.
template <class Routine>
std::optional<Choice> choose_gradient(const Convolution& c) {
  return unless_unimplemented([&] {
    const dnnl::primitive_attr attributes = strict_attributes(false);
    const auto forward_wanted = forward_descriptor(c);
    const dnnl::convolution_forward::primitive_desc forward(forward_wanted, attributes, engine());
    const typename Routine::desc wanted(
        dnnl::algorithm::convolution_direct, channels_last_layout(c.x), any_layout(c.weights),
        channels_last_layout(c.y), c.stride, c.dilation, c.padding_low, c.padding_high);
    typename Routine::primitive_desc descriptions(wanted, attributes, engine(), forward);
    return first_usable(descriptions, c);
  });
}

std::optional<Choice> choose_forward_as_it_is(const Convolution& c) {
  return unless_unimplemented([&] {
    const auto wanted = forward_descriptor(c);
    dnnl::convolution_forward::primitive_desc descriptions(
        wanted, strict_attributes(c.relu, c.adds), engine());
    return first_usable(descriptions, c);
  });
}

/// The choice, or where it is a gemm one for a single image and thread.
template <class Choose>
std::optional<Choice> by_image_if_gemm(const Convolution& c, Choose choose) {
  const auto choice = choose(c);
  if (!choice || !is_gemm(*choice)) return choice;
  const OneThread scope;
  Convolution single = c;
  single.x[0] = single.y[0] = 1;
  return choose(single);
}

}  // namespace

const dnnl::engine& engine() {
  // Leaked: calls may outlive every destructor at exit.
  static const auto* const cpu = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *cpu;
}

std::string library_version() {
  const auto* version = dnnl::version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

Dims dims_of(const Shape& shape) { return Dims(shape.begin(), shape.end()); }

Layout layout_of(const TensorView& view) {
  return strided_layout(dims_of(view.shape), dims_of(view.strides));
}

Layout strided_layout(const Dims& dims, const Dims& strides) {
  Dims valid = strides;
  for (std::size_t axis = 0; axis < dims.size(); ++axis)
    if (dims[axis] == 1) valid[axis] = 1;
  return Layout(dims, Memory::data_type::f32, valid);
}

Layout dense_layout(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t axis = dims.size() - 1; axis-- > 0;)
    strides[axis] = strides[axis + 1] * dims[axis + 1];
  return Layout(dims, Memory::data_type::f32, strides);
}

Layout channels_last_layout(const Dims& dims) {
  return Layout(dims, Memory::data_type::f32, Memory::format_tag::nhwc);
}

Layout any_layout(const Dims& dims) {
  return Layout(dims, Memory::data_type::f32, Memory::format_tag::any);
}

std::optional<Choice> choose_forward(const Convolution& c) {
  return by_image_if_gemm(c, choose_forward_as_it_is);
}

std::optional<Choice> choose_input_gradient(const Convolution& c) {
  return by_image_if_gemm(c, choose_gradient<dnnl::convolution_backward_data>);
}

bool works_by_image(const Choice& choice) { return is_gemm(choice); }
bool splits_sums(const Choice& choice) { return is_gemm(choice); }

std::optional<Choice> choose_weight_gradient(const Convolution& c) {
  return choose_gradient<dnnl::convolution_backward_weights>(c);
}

std::optional<Choice> choose_matmul(const Layout& a, const Layout& b, const Layout& out, bool bias,
                                    bool relu) {
  return unless_unimplemented([&]() -> std::optional<Choice> {
    Dims bias_dims(out.dims().size(), 1);
    bias_dims.back() = out.dims().back();
    const auto descriptor = bias ? dnnl::matmul::desc(a, b, dense_layout(bias_dims), out)
                                 : dnnl::matmul::desc(a, b, out);
    const dnnl::matmul::primitive_desc description(descriptor, strict_attributes(relu), engine());
    if (is_reference(description)) return std::nullopt;
    return Choice(description);
  });
}

Layout layout_wanted(const Choice& choice, int argument) {
  return choice.query_md(dnnl::query::exec_arg_md, argument);
}

Compiled compile(const Choice& choice) {
  return {dnnl::primitive(choice), choice.scratchpad_desc()};
}

Dims strides_of(const Layout& layout) {
  const auto* strides = layout.data.format_desc.blocking.strides;
  return Dims(strides, strides + layout.data.ndims);
}

Compiled reorder_between(const Layout& from, const Layout& to) {
  const dnnl::reorder::primitive_desc description(engine(), from, engine(), to,
                                                  strict_attributes(false));
  return {dnnl::reorder(description), description.scratchpad_desc()};
}

dnnl::memory unbound(const Layout& layout) {
  return dnnl::memory(layout, engine(), DNNL_MEMORY_NONE);
}

OneThread::OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
OneThread::~OneThread() { omp_set_num_threads(threads_); }

void translate_errors(std::string_view routine, const std::function<void()>& body) {
  try {
    body();
  } catch (const dnnl::error& failure) {
    if (failure.status == dnnl_out_of_memory)
      throw OutOfMemory(
          fmt::format("{}: oneDNN could not allocate memory; free arrays that are no "
                      "longer needed or use smaller ones",
                      routine));
    throw InternalError(
        fmt::format("{}: oneDNN {} failed: {}", routine, library_version(), failure.what()));
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(fmt::format("{}: out of memory while a call was prepared", routine));
  }
}

}  // namespace noyau::onednn
