// Kernels: ordering and collapsing of axes, text.
// SPDX-License-Identifier: Apache-2.0
#include "jit/kernel.hpp"

#include <numeric>

#include "ops/op_table.hpp"

namespace noyau::jit {

std::int64_t Kernel::parallel_size() const {
  std::int64_t size = 1;
  for (const KernelAxis& axis : axes)
    if (!axis.row) size *= axis.extent;
  return size;
}
std::int64_t Kernel::row_size() const {
  std::int64_t size = 1;
  for (const KernelAxis& axis : axes)
    if (axis.row) size *= axis.extent;
  return size;
}
bool Kernel::has_rows() const {
  return std::any_of(axes.begin(), axes.end(), [](const KernelAxis& a) { return a.row; });
}

namespace {

template <class F>
void for_each_map(Kernel& kernel, F&& f) {
  for (KernelOp& op : kernel.ops)
    for (AffineMap& map : op.maps) f(map);
}

void permute_axes(Kernel& kernel, std::span<const std::size_t> order) {
  std::vector<KernelAxis> axes;
  for (std::size_t a : order) axes.push_back(kernel.axes[a]);
  kernel.axes = axes;
  for_each_map(kernel, [&](AffineMap& map) {
    std::vector<std::int64_t> strides;
    for (std::size_t a : order) strides.push_back(map.strides[a]);
    map.strides = strides;
  });
}

/// An arg reduction numbers the elements of its rows: its row axes stay in row-major order.
void keep_row_order(const Kernel& kernel, std::vector<std::size_t>& order) {
  if (std::none_of(kernel.ops.begin(), kernel.ops.end(),
                   [](const KernelOp& op) { return op.kind == KernelOp::Kind::arg_reduce; }))
    return;
  std::size_t next = 0;
  for (std::size_t& a : order) {
    if (!kernel.axes[a].row) continue;
    while (!kernel.axes[next].row) ++next;
    a = next++;
  }
}

/// The axes by falling stride of the first access whose memory is not in row-major order.
void order_axes(Kernel& kernel) {
  for (const KernelOp& op : kernel.ops) {
    if (op.buffer < 0 || op.maps.size() != 1 ||
        !kernel.buffers[static_cast<std::size_t>(op.buffer)].permuted)
      continue;
    std::vector<std::size_t> order(kernel.axes.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto& strides = op.maps[0].strides;
    if (std::any_of(order.begin(), order.end(),
                    [&](std::size_t a) { return strides[a] == 0 && kernel.axes[a].extent > 1; }))
      continue;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::abs(strides[a]) > std::abs(strides[b]);
    });
    keep_row_order(kernel, order);
    permute_axes(kernel, order);
    return;
  }
}

void remove_axis(Kernel& kernel, std::size_t axis) {
  kernel.axes.erase(kernel.axes.begin() + static_cast<std::ptrdiff_t>(axis));
  for_each_map(kernel, [&](AffineMap& map) {
    map.strides.erase(map.strides.begin() + static_cast<std::ptrdiff_t>(axis));
  });
}

bool can_merge(Kernel& kernel, std::size_t axis) {
  if (kernel.axes[axis].row != kernel.axes[axis + 1].row) return false;
  bool fits = true;
  for_each_map(kernel, [&](AffineMap& map) {
    fits &= map.strides[axis] == map.strides[axis + 1] * kernel.axes[axis + 1].extent;
  });
  return fits;
}

}  // namespace

void order_and_collapse(Kernel& kernel) {
  order_axes(kernel);
  for (std::size_t a = kernel.axes.size(); a-- > 0;)
    if (kernel.axes[a].extent == 1 && !kernel.axes[a].row) remove_axis(kernel, a);
  for (std::size_t a = kernel.axes.size(); a-- > 1;) {
    if (!can_merge(kernel, a - 1)) continue;
    kernel.axes[a].extent *= kernel.axes[a - 1].extent;
    remove_axis(kernel, a - 1);
  }
}

std::string print(const Kernel& kernel) {
  static constexpr std::string_view kinds[] = {"load",   "roll_load",  "pad_load", "scalar",
                                               "iota",   "random",     "",         "cast",
                                               "reduce", "arg_reduce", "store"};
  std::string text = fmt::format("kernel {}\n  axes", kernel.name);
  for (const KernelAxis& axis : kernel.axes)
    text += fmt::format(" {}{}", axis.extent, axis.row ? " (row)" : "");
  text += '\n';
  for (std::size_t k = 0; k < kernel.ops.size(); ++k) {
    const KernelOp& op = kernel.ops[k];
    text += fmt::format("  {}%{} = {}", op.row ? "  " : "", k,
                        op.kind == KernelOp::Kind::elementwise ? ops::row(op.code).name
                                                               : kinds[static_cast<int>(op.kind)]);
    text += fmt::format(" {}", noyau::name(op.dtype));
    for (std::int32_t a : op.args)
      if (a >= 0) text += fmt::format(" %{}", a);
    if (op.buffer >= 0) text += fmt::format(" buffer {}", op.buffer);
    if (op.slot >= 0) text += fmt::format(" slot {}", op.slot);
    for (const AffineMap& map : op.maps) text += fmt::format(" [{}]", fmt::join(map.strides, ", "));
    if (op.stage > 0) text += fmt::format("  stage {}", op.stage);
    text += '\n';
  }
  return text;
}

}  // namespace noyau::jit
