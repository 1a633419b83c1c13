// What the routines share: oneDNN's engine, layouts, and the making of its primitives. Everything
// that differs between oneDNN 2.x and 3.x is in common.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/products.hpp"
#include "oneapi/dnnl/dnnl.hpp"

namespace noyau::onednn {

using Dims = dnnl::memory::dims;
using Layout = dnnl::memory::desc;
/// A primitive that was chosen and not yet compiled: 0.1 ms, the primitive itself 0.25-0.5 ms.
using Choice = dnnl::primitive_desc;

/// The one CPU engine. Its threads are the OpenMP team of the thread that runs a call.
const dnnl::engine& engine();
/// "2.6.3"
std::string library_version();

Dims dims_of(const Shape& shape);
/// As a view lies in memory.
Layout layout_of(const TensorView& view);
/// The same for any extents and strides; an extent of 1 may have any stride.
Layout strided_layout(const Dims& dims, const Dims& strides);
Layout dense_layout(const Dims& dims);
Layout channels_last_layout(const Dims& dims);
/// The primitive chooses.
Layout any_layout(const Dims& dims);

/// A convolution of any direction in oneDNN's terms: weights have 4 axes, or 5 with groups;
/// dilation 0 is dense.
struct Convolution {
  Dims x, weights, y, stride, dilation, padding_low, padding_high;
  bool bias = false;
  bool relu = false;
  bool adds = false;  ///< forward only: to what y holds
  std::int64_t groups() const { return weights.size() == 5 ? weights[0] : 1; }
};

/// The best implementation for channels-last images whose results do not depend on the number of
/// threads; nothing when only oneDNN's reference loops would do it (1 GF/s: generated kernels are
/// better). Where only a gemm does it, which splits sums by the number of threads, the choice is
/// for one image and one thread: works_by_image() tells.
std::optional<Choice> choose_forward(const Convolution& convolution);
std::optional<Choice> choose_input_gradient(const Convolution& convolution);
std::optional<Choice> choose_weight_gradient(const Convolution& convolution);
bool works_by_image(const Choice& choice);
/// out = a b (+ bias[n]) (then relu), over 2 or 3 axes.
std::optional<Choice> choose_matmul(const Layout& a, const Layout& b, const Layout& out, bool bias,
                                    bool relu);

/// True when the choice splits its sums by the number of threads that run it.
bool splits_sums(const Choice& choice);

/// Where a primitive wants an argument: DNNL_ARG_WEIGHTS and so on.
Layout layout_wanted(const Choice& choice, int argument);
/// A primitive with the scratch memory that it wants.
struct Compiled {
  dnnl::primitive primitive;
  Layout scratchpad;
};
Compiled compile(const Choice& choice);
/// The strides of a layout without blocks.
Dims strides_of(const Layout& layout);
/// Copies from one layout to another: DNNL_ARG_FROM, DNNL_ARG_TO.
Compiled reorder_between(const Layout& from, const Layout& to);
/// A memory object whose pointer is set at every run.
dnnl::memory unbound(const Layout& layout);

/// Makes primitives for one thread inside: for those that run side by side in a parallel loop.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

/// Calls `body`; what oneDNN throws becomes OutOfMemory or InternalError naming the routine.
void translate_errors(std::string_view routine, const std::function<void()>& body);

}  // namespace noyau::onednn
