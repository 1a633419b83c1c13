// Choosing schedules.
// SPDX-License-Identifier: Apache-2.0
#include "jit/schedule.hpp"

#include <fmt/format.h>

#include "jit/schedule_blocks.hpp"

namespace noyau::jit {

Schedule choose_schedule(const Kernel& kernel, const DeviceLimits& limits) {
  if (limits.block_threads > 0) return choose_schedule_of_blocks(kernel, limits);
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
  static constexpr std::string_view names[] = {"map",  "flat",  "serial", "column",
                                               "gang", "split", "block",  "tile"};
  std::string text(names[static_cast<int>(s.shape)]);
  if (s.streamed) text += ", streamed";
  if (s.row_buffer) text += ", row buffer";
  if (s.strips) text += ", strips";
  if (s.threads == 0) return text;
  text += fmt::format(", {} threads", s.threads);
  if (s.columns) text += ", columns";
  if (s.width < 32) text += fmt::format(", {} side by side", s.width);
  if (s.vector > 1) text += fmt::format(", vectors of {}", s.vector);
  if (s.batch > 1) text += fmt::format(", {} at once", s.batch);
  if (s.tile_axis >= 0) text += fmt::format(" over axis {}", s.tile_axis);
  if (s.row_bytes > 0) text += fmt::format(", rows in {} bytes", s.row_bytes);
  return text + (s.narrow ? ", 32-bit indices" : ", 64-bit indices");
}

}  // namespace noyau::jit
