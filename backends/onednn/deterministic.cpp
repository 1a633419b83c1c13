// Runs what oneDNN would split by the number of threads in parts that depend on sizes only: its
// gemm, which does matmul on CPUs without AVX-512 and convolutions of odd numbers of channels.
// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/deterministic.hpp"

#include <algorithm>
#include <map>

#include "noyau/error.hpp"

namespace noyau::onednn {
namespace {

/// At most so many parts of one matrix, of at least so many rows.
constexpr std::int64_t most_parts = 16;
constexpr std::int64_t least_rows = 32;

Dims last_two(const Dims& dims) { return Dims(dims.end() - 2, dims.end()); }

/// One matrix of a batch, or some rows of it, with its first element `offset` further.
Operand part_of(const Operand& whole, const Dims& dims, std::int64_t offset) {
  Operand part = whole;
  part.layout = Layout(dims, dnnl::memory::data_type::f32, last_two(strides_of(whole.layout)));
  part.offset += offset;
  return part;
}

/// How far apart the matrices of a batch lie.
std::int64_t step_of(const Layout& layout) {
  return layout.dims().size() == 3 && layout.dims()[0] > 1 ? strides_of(layout)[0] : 0;
}

}  // namespace

void execute_convolution(Sequence& sequence, const Convolution& c, const Choice& choice,
                         int from_argument, const Operand& from, int to_argument, const Operand& to,
                         Arguments others) {
  if (!works_by_image(choice)) {
    others.emplace_back(from_argument, from);
    others.emplace_back(to_argument, to);
    return sequence.execute(choice, std::move(others));
  }
  const OneThread scope;
  std::vector<std::vector<Work>> tasks;
  Operand source = from, target = to;
  source.layout = layout_wanted(choice, from_argument);
  target.layout = layout_wanted(choice, to_argument);
  for (std::int64_t image = 0; image < c.x[0]; ++image) {
    Arguments arguments = others;
    arguments.emplace_back(from_argument, source);
    arguments.emplace_back(to_argument, target);
    tasks.push_back({work(choice, std::move(arguments))});
    source.offset += static_cast<std::int64_t>(source.layout.get_size() / sizeof(float));
    target.offset += static_cast<std::int64_t>(target.layout.get_size() / sizeof(float));
  }
  sequence.side_by_side(tasks);
}

void execute_product(Sequence& sequence, const Choice& choice, const Operand& a, const Operand& b,
                     const Operand& out, const Operand* bias, bool relu) {
  if (!splits_sums(choice)) {
    Arguments arguments = {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, out}};
    if (bias != nullptr) arguments.emplace_back(DNNL_ARG_BIAS, *bias);
    return sequence.execute(choice, std::move(arguments));
  }
  const OneThread scope;
  const Dims dims = out.layout.dims();
  const std::int64_t count = dims.size() == 3 ? dims[0] : 1;
  const std::int64_t m = dims[dims.size() - 2], n = dims.back(), k = a.layout.dims().back();
  const std::int64_t rows = std::max(least_rows, (m + most_parts - 1) / most_parts);
  const std::int64_t a_row = last_two(strides_of(a.layout))[0];
  const std::int64_t out_row = last_two(strides_of(out.layout))[0];
  std::map<std::int64_t, Choice> choices;
  std::vector<std::vector<Work>> tasks;
  for (std::int64_t i = 0; i < count; ++i) {
    const Operand b_part = part_of(b, {k, n}, i * step_of(b.layout));
    for (std::int64_t row = 0; row < m; row += rows) {
      const std::int64_t some = std::min(rows, m - row);
      const Operand a_part = part_of(a, {some, k}, i * step_of(a.layout) + row * a_row);
      const Operand out_part = part_of(out, {some, n}, i * step_of(out.layout) + row * out_row);
      auto known = choices.find(some);
      if (known == choices.end()) {
        const auto found =
            choose_matmul(a_part.layout, b_part.layout, out_part.layout, bias != nullptr, relu);
        if (!found) throw InternalError("onednn: no implementation for some rows of a product");
        known = choices.emplace(some, *found).first;
      }
      Arguments arguments = {
          {DNNL_ARG_SRC, a_part}, {DNNL_ARG_WEIGHTS, b_part}, {DNNL_ARG_DST, out_part}};
      if (bias != nullptr) {
        Operand values = *bias;
        values.layout = layout_wanted(known->second, DNNL_ARG_BIAS);
        arguments.emplace_back(DNNL_ARG_BIAS, values);
      }
      tasks.push_back({work(known->second, std::move(arguments))});
    }
  }
  sequence.side_by_side(tasks);
}

}  // namespace noyau::onednn
