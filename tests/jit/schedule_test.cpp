// Schedules: which are chosen for what, and that all of them compute the same bits.
// SPDX-License-Identifier: Apache-2.0
#include "jit/schedule.hpp"

#include <gtest/gtest.h>

#include "jit/interpret.hpp"
#include "jit/lower.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/interpreter_device.hpp"
#include "tests/common/schedule_cases.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

/// A GPU with 48 KiB of shared memory.
DeviceLimits gpu() {
  DeviceLimits limits;
  limits.block_threads = 256;
  limits.compute_units = 100;
  limits.fast_memory_bytes = 48 << 10;
  limits.vector_bytes = 16;
  return limits;
}

struct Operand {
  DType dtype;
  std::vector<std::int64_t> strides;
  bool aligned = true;
};
/// Loads, a sum of them, stored or reduced over the axes marked as rows.
jit::Kernel kernel(const std::vector<jit::KernelAxis>& axes, const std::vector<Operand>& loads,
                   const Operand& result) {
  jit::Kernel k;
  k.axes = axes;
  for (const Operand& load : loads) {
    jit::KernelOp op;
    op.dtype = load.dtype;
    op.buffer = static_cast<std::int32_t>(k.buffers.size());
    op.maps.push_back({0, load.strides});
    op.row = k.has_rows();
    k.buffers.push_back({.dtype = load.dtype, .aligned = load.aligned});
    k.ops.push_back(op);
  }
  jit::KernelOp store;
  store.kind = jit::KernelOp::Kind::store;
  store.dtype = result.dtype;
  store.buffer = static_cast<std::int32_t>(k.buffers.size());
  store.args[0] = 0;
  store.maps.push_back({0, result.strides});
  k.buffers.push_back({.dtype = result.dtype, .written = true, .aligned = result.aligned});
  k.ops.push_back(store);
  return k;
}

TEST(Schedule, OfMaps) {
  constexpr std::int64_t n = std::int64_t{1} << 22;
  const auto chosen = [](const jit::Kernel& k) { return print(choose_schedule(k, gpu())); };
  const Operand f32{float32, {1}}, f64{float64, {1}}, u8{uint8, {1}};
  EXPECT_EQ(chosen(kernel({{n}}, {f32, f32}, f32)),
            "map, 256 threads, vectors of 4, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{n}}, {f32}, f32)),
            "map, 256 threads, vectors of 4, 2 at once, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{n + 1}}, {f32}, f32)),
            "map, 256 threads, vectors of 4, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{n}}, {f32}, f64)),
            "map, 256 threads, vectors of 2, 2 at once, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{n}}, {u8, f32}, u8)), "map, 256 threads, vectors of 4, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{n}}, {{float32, {1}, false}}, {float32, {1}, false})),
            "map, 256 threads, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{n}}, {{float32, {3}}}, {float32, {2}})),
            "map, 256 threads, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{1000}}, {f32}, f32)), "map, 256 threads, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{n << 9}}, {f32, f32}, f32)),
            "map, 256 threads, vectors of 4, 64-bit indices");
  // Rows: whole vectors only, and only where rows begin at a multiple of their size.
  const Operand rows{float32, {1024, 1}}, odd{float32, {1026, 1}}, bias{float32, {0, 1}};
  EXPECT_EQ(chosen(kernel({{1024}, {1024}}, {rows, bias}, rows)),
            "map, 256 threads, vectors of 4, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{1024}, {1022}}, {rows, bias}, rows)),
            "map, 256 threads, vectors of 2, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{1024}, {1024}}, {odd}, odd)),
            "map, 256 threads, vectors of 2, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{1024}, {1023}}, {odd}, odd)), "map, 256 threads, 32-bit indices");
  // Transposed loads.
  EXPECT_EQ(chosen(kernel({{1024}, {1024}}, {{float32, {1, 1024}}}, rows)),
            "tile, 256 threads over axis 0, 32-bit indices");
  EXPECT_EQ(chosen(kernel({{4096}, {1024}}, {{float32, {1, 4096}}}, rows)),
            "tile, 256 threads, 2 at once over axis 0, 32-bit indices");
}

TEST(Schedule, OfRows) {
  const auto chosen = [](std::int64_t parallel, std::int64_t rows, bool inner) {
    std::vector<jit::KernelAxis> axes{{parallel}, {rows, true}};
    Operand load{float32, {rows, 1}}, result{float32, {1, 0}};
    if (!inner) {
      std::swap(axes[0], axes[1]);
      load.strides = {parallel, 1};
      result.strides = {0, 1};
    }
    return print(choose_schedule(kernel(axes, {load}, result), gpu()));
  };
  EXPECT_EQ(chosen(1000, 5, true), "serial, 256 threads, 5 at once, 32-bit indices");
  EXPECT_EQ(chosen(1000, 6, true), "serial, 256 threads, vectors of 2, 6 at once, 32-bit indices");
  EXPECT_EQ(chosen(1000, 32, true), "serial, 256 threads, vectors of 4, 8 at once, 32-bit indices");
  EXPECT_EQ(chosen(1000, 33, true),
            "gang, 256 threads, 2 at once, rows in 49152 bytes, 32-bit indices");
  EXPECT_EQ(chosen(1000, 1024, true),
            "gang, 256 threads, 8 at once, rows in 49152 bytes, 32-bit indices");
  EXPECT_EQ(chosen(1000, 1025, true),
            "block, 256 threads, 8 at once, rows in 28672 bytes, 32-bit indices");
  EXPECT_EQ(chosen(1000, 16385, true), "split, 256 threads, 8 at once, 32-bit indices");
  EXPECT_EQ(chosen(1000, 32, false), "serial, 256 threads, 8 at once, 32-bit indices");
  EXPECT_EQ(chosen(1000, 33, false),
            "column, 256 threads, 8 side by side, 2 at once, 32-bit indices");
  EXPECT_EQ(chosen(1000, 4096, false),
            "column, 256 threads, 8 side by side, 16 at once, 32-bit indices");
  EXPECT_EQ(chosen(10000, 4096, false),
            "column, 256 threads, 16 side by side, 16 at once, 32-bit indices");
  EXPECT_EQ(chosen(100000, 33, false), "column, 256 threads, 8 at once, 32-bit indices");
  EXPECT_EQ(chosen(1000, 16385, false),
            "split, 256 threads, columns, 8 side by side, 16 at once, 32-bit indices");
  EXPECT_EQ(chosen(3, 100, false),
            "gang, 256 threads, 4 at once, rows in 49152 bytes, 32-bit indices")
      << "too few columns to read side by side";
}

/// A sum over the rows of the one load, stored.
jit::Kernel row_sum(const std::vector<jit::KernelAxis>& axes, const Operand& load,
                    const Operand& result) {
  jit::Kernel k = kernel(axes, {load}, result);
  jit::KernelOp reduce;
  reduce.kind = jit::KernelOp::Kind::reduce;
  reduce.code = static_cast<std::uint8_t>(ReduceOp::sum);
  reduce.args[0] = 0;
  reduce.stage = 1;
  k.ops.insert(k.ops.begin() + 1, reduce);
  k.ops.back().args[0] = 1;
  k.ops.back().stage = 1;
  return k;
}

/// What the kernel leaves in its last buffer, by the interpreter.
std::vector<float> result_of(const jit::Kernel& k, const jit::Schedule& schedule) {
  const jit::LoweredKernel lowered = lower(k, schedule, {});
  jit::verify(lowered.program);
  constexpr std::size_t elements = 100000;
  std::vector<std::vector<float>> memory(k.buffers.size(), std::vector<float>(elements));
  for (std::size_t b = 0; b < memory.size(); ++b)
    for (std::size_t i = 0; i < elements; ++i)
      memory[b][i] = static_cast<float>(i * 7919 % 1009) / 64.0f - static_cast<float>(b);
  std::vector<jit::InterpreterBuffer> buffers;
  for (auto& m : memory) buffers.push_back({m.data(), static_cast<std::int64_t>(elements)});
  std::vector<std::vector<std::uint64_t>> scratch;
  for (const std::int64_t bytes : lowered.scratch_bytes)
    scratch.emplace_back(static_cast<std::size_t>(bytes / 8 + 1));
  if (lowered.ticket_bytes > 0)
    scratch.emplace_back(static_cast<std::size_t>(lowered.ticket_bytes / 8 + 1));
  for (auto& m : scratch) buffers.push_back({m.data(), static_cast<std::int64_t>(2 * m.size())});
  std::vector<std::uint64_t> parameters;
  for (const jit::ParameterSource& p : lowered.parameters) parameters.push_back(p.bits);
  interpret(lowered.program, lowered.extent, buffers, parameters);
  return memory.back();
}

TEST(Schedule, WideIndicesGiveTheSameBits) {
  const Operand f32{float32, {1}};
  const jit::Kernel kernels[] = {
      kernel({{5001}}, {f32, f32}, f32),
      kernel({{50}, {64}}, {{float32, {64, 1}}, {float32, {0, 1}}}, {float32, {64, 1}}),
      kernel({{50}, {40}}, {{float32, {1, 50}}}, {float32, {40, 1}}),
      row_sum({{300}, {30, true}}, {float32, {30, 1}}, {float32, {1, 0}}),
      row_sum({{8}, {300, true}}, {float32, {300, 1}}, {float32, {1, 0}}),
      row_sum({{3}, {2000, true}}, {float32, {2000, 1}}, {float32, {1, 0}}),
      row_sum({{300, true}, {40}}, {float32, {40, 1}}, {float32, {0, 1}}),
      row_sum({{2}, {40000, true}}, {float32, {40000, 1}}, {float32, {1, 0}}),
  };
  DeviceLimits limits = gpu();
  limits.compute_units = 1;
  for (const jit::Kernel& k : kernels) {
    jit::Schedule schedule = choose_schedule(k, limits);
    EXPECT_TRUE(schedule.narrow);
    const std::vector<float> narrow = result_of(k, schedule);
    schedule.narrow = false;
    EXPECT_EQ(result_of(k, schedule), narrow) << print(schedule);
  }
}

TEST(Schedule, AllComputeTheSameBits) {
  int cases = 0;
  visit_schedule_cases([&](const ScheduleCase& c) {
    const auto on = [&](const Device& device) {
      const DeviceScope scope(device);
      return reference::computed(c.make());
    };
    const reference::Value wanted = on(interpreter_device());
    EXPECT_TRUE(same_bits(on(blocks_device(64)), wanted)) << c.name;
    if (++cases % 3 == 0) {
      EXPECT_TRUE(same_bits(on(blocks_device(256)), wanted)) << c.name;
    }
  });
}

}  // namespace
}  // namespace noyau::test
