// Choosing schedules for devices whose blocks have many threads.
// SPDX-License-Identifier: Apache-2.0
#include "jit/schedule_blocks.hpp"

#include <algorithm>
#include <cstdlib>

#include "jit/lower_ops.hpp"

namespace noyau::jit {
namespace {

using Kind = KernelOp::Kind;
using Shape = Schedule::Shape;

std::int64_t size(DType t) { return static_cast<std::int64_t>(size_of(t)); }

/// Whether every index and every offset that the kernel computes is below 2^30, so that sums of two
/// of them, and of one and the launch's rounding up, have 32 bits.
bool fits_32_bits(const Kernel& kernel) {
  constexpr std::int64_t most = std::int64_t{1} << 30;
  std::int64_t elements = 1;
  for (const KernelAxis& axis : kernel.axes) {
    if (axis.extent > most / std::max<std::int64_t>(elements, 1)) return false;
    elements *= std::max<std::int64_t>(axis.extent, 1);
  }
  for (const KernelOp& op : kernel.ops) {
    for (const AffineMap& map : op.maps) {
      std::int64_t reach = std::abs(map.offset);
      for (std::size_t a = 0; a < map.strides.size(); ++a) {
        if (map.strides[a] == 0 || kernel.axes[a].extent <= 1) continue;
        if (std::abs(map.strides[a]) > most / kernel.axes[a].extent) return false;
        reach += std::abs(map.strides[a]) * kernel.axes[a].extent;
      }
      if (reach >= most) return false;
    }
    for (std::size_t k = 0; k < op.extents.size(); ++k) {
      const std::int64_t stride = k < op.strides.size() ? std::abs(op.strides[k]) : 1;
      if (op.extents[k] > most / std::max<std::int64_t>(stride, 1)) return false;
    }
  }
  return true;
}

std::int64_t inner_stride(const KernelOp& op) { return op.maps[0].strides.back(); }

/// A load that runs along another axis than the innermost, one that is worth tiles; the axis, or
/// -1.
std::int32_t tile_axis(const Kernel& kernel) {
  constexpr std::int64_t least = 16;
  if (kernel.axes.size() < 2 || kernel.axes.back().extent < least) return -1;
  for (const KernelOp& op : kernel.ops) {
    if (op.kind != Kind::load || std::abs(inner_stride(op)) <= 1) continue;
    for (std::size_t a = 0; a + 1 < kernel.axes.size(); ++a)
      if (op.maps[0].strides[a] == 1 && kernel.axes[a].extent >= least)
        return static_cast<std::int32_t>(a);
  }
  return -1;
}

/// 16 bytes at once for the widest of what can be loaded and stored so, in as many blocks as there
/// are units at least. Not where that many copies of the operations take long to compile: those
/// compute for longer than they load.
void choose_map(const Kernel& kernel, const DeviceLimits& limits, Schedule& s) {
  if (kernel.axes.empty()) return;
  std::int64_t widest = 0, loads = 0, all = 0;
  for (const KernelOp& op : kernel.ops) {
    all += weight(op);
    if (op.kind == Kind::load) ++loads;
    if (takes_vectors(kernel, op, 1)) widest = std::max(widest, size(op.dtype));
  }
  if (widest == 0) return;
  const std::int64_t inner = kernel.axes.back().extent;
  const bool one_axis = kernel.axes.size() == 1;
  const std::int64_t blocks = kernel.parallel_size() / s.threads;
  for (std::int32_t v = widest == 8 ? 2 : 4; v > 1; v /= 2) {
    if (blocks / v < limits.compute_units || (!one_axis && inner % v != 0)) continue;
    const bool any = std::any_of(kernel.ops.begin(), kernel.ops.end(),
                                 [&](const KernelOp& op) { return takes_vectors(kernel, op, v); });
    if (!any) continue;
    if (all * v > most_unrolled_weight) return;
    s.vector = v;
    // Enough loads in flight: two of them a thread, where that leaves no rest.
    if (one_axis && loads == 1 && inner % (2 * v * s.threads) == 0 &&
        2 * v * all <= most_unrolled_weight && blocks / (2 * v) >= 4 * limits.compute_units)
      s.batch = 2;
    return;
  }
}

/// A block of 256 threads has 4 KiB in flight for one load of 4 bytes, so that eight of them on a
/// multiprocessor have 32 KiB: twice that where it leaves enough blocks.
void choose_tile(const Kernel& kernel, const DeviceLimits& limits, Schedule& s) {
  constexpr std::int64_t elements = 2 * 32 * 32, most_bytes = 4;
  std::int64_t bytes = 0;
  for (const KernelOp& op : kernel.ops)
    if (op.kind == Kind::load) bytes += size(op.dtype);
  if (bytes <= most_bytes && kernel.parallel_size() / elements >= 8 * limits.compute_units)
    s.batch = 2;
}

/// How many columns a block has, and how many loads a thread has in flight: 48 KiB a multiprocessor
/// are wanted, 256 threads with 16 loads of 4 bytes are a third of that. So narrow columns where
/// wide ones make too few blocks, but not below the 32 bytes that memory gives at once.
void choose_columns(const Kernel& kernel, const DeviceLimits& limits, Schedule& s) {
  constexpr std::int64_t sector = 32, most_batch = 16;
  std::int64_t least = s.threads / virtual_lanes;  // a thread has a virtual lane at least
  for (const KernelOp& op : kernel.ops)
    if (op.kind == Kind::load && op.row) least = std::max(least, sector / size(op.dtype));
  const std::int64_t chunks = (kernel.row_size() + chunk_rows - 1) / chunk_rows;
  const auto blocks = [&](std::int64_t width) {
    return (kernel.parallel_size() + width - 1) / width * chunks;
  };
  std::int64_t width = virtual_lanes;
  while (width > least && blocks(width) < 4 * limits.compute_units) width /= 2;
  const std::int64_t gangs = s.threads / width, lanes = virtual_lanes / gangs;
  std::int64_t batch = blocks(width) < 8 * limits.compute_units ? most_batch : most_batch / 2;
  while (batch / 2 * gangs >= std::min(kernel.row_size(), chunk_rows)) batch /= 2;
  s.width = static_cast<std::int32_t>(width);
  s.batch = static_cast<std::int32_t>(std::max(batch, lanes));
}

void choose_rows(const Kernel& kernel, const DeviceLimits& limits, Schedule& s) {
  constexpr std::int64_t least_columns = 16, most_of_gang = 1024, most_bytes = 64 << 10,
                         staging_bytes = 20 << 10;
  // Where the language has no exchange between lanes, it goes through shared memory (legalise), an
  // array for each dtype: here two.
  const std::int64_t exchange_bytes = limits.gangs ? 0 : 16 * limits.block_threads;
  const std::int64_t free_bytes = limits.fast_memory_bytes - exchange_bytes;
  const std::int64_t rows = kernel.row_size();
  const bool inner = kernel.axes.back().row;
  s.batch = 8;
  s.columns = !inner && kernel.axes.back().extent >= least_columns;
  if (s.columns && rows > serial_rows) choose_columns(kernel, limits, s);
  if (rows <= serial_rows) {
    s.shape = Shape::serial;
    s.batch = static_cast<std::int32_t>(std::clamp<std::int64_t>(rows, 1, 8));
    s.columns = false;
    // Neighbouring threads read what lies apart: the less often, the better.
    for (std::int32_t v = 4; v > 1 && s.vector == 1 && inner; v /= 2)
      if (s.batch % v == 0 && kernel.axes.back().extent % v == 0 &&
          std::any_of(kernel.ops.begin(), kernel.ops.end(),
                      [&](const KernelOp& op) { return takes_vectors(kernel, op, v); }))
        s.vector = v;
  } else if (rows > chunk_rows) {
    s.shape = Shape::split;
  } else if (s.columns) {
    s.shape = Shape::column;
    s.columns = false;
  } else if (rows <= most_of_gang) {
    s.shape = Shape::gang;
    s.batch = rows <= 2 * virtual_lanes ? 2 : rows <= 4 * virtual_lanes ? 4 : 8;
    s.row_bytes = std::min(free_bytes, most_bytes);
  } else {
    s.shape = Shape::block;
    s.row_bytes = std::min(free_bytes - staging_bytes, most_bytes);
  }
}

}  // namespace

Schedule choose_schedule_of_blocks(const Kernel& kernel, const DeviceLimits& limits) {
  Schedule s;
  s.threads = limits.block_threads;
  s.narrow = fits_32_bits(kernel);
  if (kernel.has_rows()) {
    choose_rows(kernel, limits, s);
  } else if (s.tile_axis = tile_axis(kernel); s.tile_axis >= 0) {
    s.shape = Shape::tile;
    choose_tile(kernel, limits, s);
  } else {
    choose_map(kernel, limits, s);
  }
  return s;
}

std::int64_t weight(const KernelOp& op) {
  constexpr std::int64_t dear = 10;
  return OpLowering::is_dear(op) ? dear : 1;
}

bool takes_vectors(const Kernel& kernel, const KernelOp& op, std::int64_t vector) {
  if (op.kind != Kind::load && op.kind != Kind::store) return false;
  const AffineMap& map = op.maps[0];
  if (map.strides.back() != 1 || map.offset != 0) return false;
  for (std::size_t a = 0; a + 1 < map.strides.size(); ++a)
    if (map.strides[a] % vector != 0) return false;
  return kernel.buffers[static_cast<std::size_t>(op.buffer)].aligned;
}

}  // namespace noyau::jit
