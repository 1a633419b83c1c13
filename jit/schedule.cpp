// Choosing schedules.
// SPDX-License-Identifier: Apache-2.0
#include "jit/schedule.hpp"

#include <fmt/format.h>

namespace noyau::jit {

Schedule choose_schedule(const Kernel& kernel, const DeviceLimits& limits) {
  Schedule s;
  std::int64_t written = 0;
  bool aligned = true;
  const bool empty = kernel.axes.empty();
  for (const KernelOp& op : kernel.ops) {
    if (op.kind != KernelOp::Kind::store) continue;
    std::int64_t size = static_cast<std::int64_t>(size_of(op.dtype));
    for (std::size_t a = 0; a < kernel.axes.size(); ++a)
      if (op.maps[0].strides[a] != 0) size *= kernel.axes[a].extent;
    written += size;
    aligned &= !empty && op.maps[0].strides.back() == 1;
  }
  // Worth it when the output would push everything else out of the cache and is not read next.
  s.streamed = aligned && written > limits.cache_bytes / 2;
  if (!kernel.has_rows()) {
    const bool tiny =
        kernel.axes.size() > 1 && kernel.axes.back().extent < 16 && kernel.parallel_size() >= 64;
    s.shape = tiny ? Schedule::Shape::flat : Schedule::Shape::map;
    return s;
  }
  const std::int64_t rows = kernel.row_size();
  const bool inner = kernel.axes.back().row;
  if (rows <= serial_rows) s.shape = Schedule::Shape::serial;
  else if (rows > chunk_rows) s.shape = Schedule::Shape::split;
  else s.shape = inner && limits.gangs ? Schedule::Shape::gang : Schedule::Shape::column;
  s.strips = !limits.gangs &&
             (s.shape == Schedule::Shape::split || (s.shape == Schedule::Shape::column && inner));
  s.row_buffer = s.shape == Schedule::Shape::gang;
  if (s.shape != Schedule::Shape::gang) s.streamed = false;
  return s;
}

std::string print(const Schedule& s) {
  static constexpr std::string_view names[] = {"map", "flat", "serial", "column", "gang", "split"};
  return fmt::format("{}{}{}{}", names[static_cast<int>(s.shape)], s.streamed ? ", streamed" : "",
                     s.row_buffer ? ", row buffer" : "", s.strips ? ", strips" : "");
}

}  // namespace noyau::jit
