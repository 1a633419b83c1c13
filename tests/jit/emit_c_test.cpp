// The text that Programs become in each dialect, whole for small ones; literals; what is refused.
// SPDX-License-Identifier: Apache-2.0
#include "jit/emit_c.hpp"

#include <gtest/gtest.h>

#include <clocale>

#include "jit/emit_c_text.hpp"
#include "jit/interpret.hpp"
#include "jit/legalise.hpp"
#include "noyau/error.hpp"
#include "tests/common/generated_cases.hpp"
#include "tests/common/program_cases.hpp"

namespace noyau::jit {
namespace {

constexpr const char* saxpy = R"(program "multiply_add"
parameter a: float32
buffer x: float32 read
buffer y: float32 read written
%i = item 0
%a = parameter a
%x = load x[%i]
%y = load y[%i]
%p = multiply %a, %x
%s = add %p, %y
store y[%i], %s
)";

constexpr const char* row_maximum = R"(program "row_maximum"
blocks 32
parameter n: int64
buffer x: float32 read
buffer y: float32 written
%t = thread 0
%n = parameter n
%step: int64 = constant 32
%low: float32 = constant -inf
loop %t, %low
  %i = loop_param
  %m = loop_param
  %more = less %i, %n
while %more
  %v = load x[%i]
  %m2 = maximum %m, %v
  %i2 = add %i, %step
  yield %i2, %m2
%mask: int64 = constant 16
%other = shuffle exclusive_or %m, %mask
%both = maximum %m, %other
%zero: int64 = constant 0
%first = equal %t, %zero
if %first
  store y[%t], %both
  yield
)";

std::string text(const char* program, const Dialect& dialect, bool runs = false) {
  return emit_c(parse_program(program), dialect, {runs}).text;
}

TEST(EmitC, ItemsInOpenCl) {
  EXPECT_EQ(text(saxpy, opencl_dialect()), R"C(// multiply_add
#pragma OPENCL FP_CONTRACT OFF
__kernel void noyau_kernel(__global const float* b0_handle,
    const long b0_offset,
    __global float* b1_handle,
    const long b1_offset,
    const float p0,
    const long n0,
    const long n1,
    const long n2) {
  __global const float* b0 = b0_handle + b0_offset;
  __global float* b1 = b1_handle + b1_offset;
  for (long i2 = (long)get_global_id(2); i2 < n2; i2 += (long)get_global_size(2)) {
    for (long i1 = (long)get_global_id(1); i1 < n1; i1 += (long)get_global_size(1)) {
      for (long i0 = (long)get_global_id(0); i0 < n0; i0 += (long)get_global_size(0)) {
        const float v2 = b0[i0];
        const float v3 = b1[i0];
        const float v4 = p0 * v2;
        const float v5 = v4 + v3;
        b1[i0] = v5;
      }
    }
  }
}
)C");
}
TEST(EmitC, ItemsInRuns) {
  EXPECT_EQ(text(saxpy, opencl_dialect(), true), R"C(// multiply_add
#pragma OPENCL FP_CONTRACT OFF
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void noyau_kernel(__global const float* b0_handle,
    const long b0_offset,
    __global float* b1_handle,
    const long b1_offset,
    const float p0,
    const long n0,
    const long n1,
    const long n2,
    const long run0,
    const long run1,
    const long run2) {
  __global const float* b0 = b0_handle + b0_offset;
  __global float* b1 = b1_handle + b1_offset;
  const long first2 = (long)get_global_id(2) * run2;
  const long end2 = n2 - first2 < run2 ? n2 : first2 + run2;
  const long first1 = (long)get_global_id(1) * run1;
  const long end1 = n1 - first1 < run1 ? n1 : first1 + run1;
  const long first0 = (long)get_global_id(0) * run0;
  const long end0 = n0 - first0 < run0 ? n0 : first0 + run0;
  for (long i2 = first2; i2 < end2; i2 += 1) {
    for (long i1 = first1; i1 < end1; i1 += 1) {
      #pragma clang loop vectorize(assume_safety)
      for (long i0 = first0; i0 < end0; i0 += 1) {
        const float v2 = b0[i0];
        const float v3 = b1[i0];
        const float v4 = p0 * v2;
        const float v5 = v4 + v3;
        b1[i0] = v5;
      }
    }
  }
}
)C");
}
TEST(EmitC, RunsOfATransposeGoInSquares) {
  constexpr const char* copy = R"(program "copy"
parameter across: int64
parameter n: int64
buffer x: float32 read
buffer y: float32 written
%i = item 0
%j = item 1
%a = parameter across
%n = parameter n
%m = multiply IN, %a
%at = add %m, OUT
%x = load x[%at]
%r = multiply %j, %n
%to = add %r, %i
store y[%to], %x
)";
  const auto reading = [&](const std::string& far, const std::string& near) {
    std::string program = copy;
    program.replace(program.find("IN"), 2, far);
    program.replace(program.find("OUT"), 3, near);
    return text(program.c_str(), opencl_dialect(), true);
  };
  EXPECT_NE(reading("%i", "%j").find("for (long square0 = first0; square0 < end0; square0 += 16)"),
            std::string::npos);
  EXPECT_EQ(reading("%j", "%i").find("square"), std::string::npos);
}
TEST(EmitC, ItemsInCuda) {
  EXPECT_EQ(text(saxpy, cuda_dialect()), R"C(// multiply_add
extern "C" __global__ void noyau_kernel(const float* b0,
    float* b1,
    const float p0,
    const long long n0,
    const long long n1,
    const long long n2) {
  for (long long i2 = blockIdx.z * (long long)blockDim.z + threadIdx.z; i2 < n2; i2 += (long long)gridDim.z * blockDim.z) {
    for (long long i1 = blockIdx.y * (long long)blockDim.y + threadIdx.y; i1 < n1; i1 += (long long)gridDim.y * blockDim.y) {
      for (long long i0 = blockIdx.x * (long long)blockDim.x + threadIdx.x; i0 < n0; i0 += (long long)gridDim.x * blockDim.x) {
        const float v2 = b0[i0];
        const float v3 = b1[i0];
        const float v4 = p0 * v2;
        const float v5 = v4 + v3;
        b1[i0] = v5;
      }
    }
  }
}
)C");
}
TEST(EmitC, BlocksInCuda) {
  EXPECT_EQ(text(row_maximum, cuda_dialect()), R"C(// row_maximum
static __device__ __forceinline__ float noyau_maximum_f32(const float a, const float b) {
  const float further = a > b ? a : b, equal = __builtin_bit_cast(float, __builtin_bit_cast(unsigned int, a) & __builtin_bit_cast(unsigned int, b)), sum = a + b;
  const float best = a == b ? equal : further;
  return (a != a) | (b != b) ? sum : best;
}
static __device__ __forceinline__ int noyau_lane_exclusive_or(const long long thread, const long long n) {
  const long long self = thread & 31;
  const long long lanes = 32 - (thread - self);
  const long long from = self ^ n;
  return (int)(from < 0 || from >= 32 || from >= lanes ? self : from);
}
extern "C" __global__ void __launch_bounds__(32) noyau_kernel(const float* b0,
    float* b1,
    const long long p0,
    const long long n0,
    const long long n1,
    const long long n2) {
  const long long t0 = (long long)threadIdx.x;
  const long long t1 = (long long)threadIdx.y;
  const long long t2 = (long long)threadIdx.z;
  const long long thread = t0 + 32 * (t1 + 1 * t2);
  long long v5 = t0;
  float v6 = __builtin_bit_cast(float, 4286578688u);
  for (;;) {
    const bool v7 = v5 < p0;
    if (!v7) break;
    const float v9 = b0[v5];
    const float v10 = noyau_maximum_f32(v6, v9);
    const long long v11 = (long long)((unsigned long long)v5 + (unsigned long long)32LL);
    v5 = v11;
    v6 = v10;
  }
  const float v14 = __shfl_sync(0xffffffffu, v6, noyau_lane_exclusive_or(thread, 16LL));
  const float v15 = noyau_maximum_f32(v6, v14);
  const bool v17 = t0 == 0LL;
  if (v17) {
    b1[t0] = v15;
  }
}
)C");
}

TEST(EmitC, ArgumentsInOrder) {
  using Kind = KernelArgument::Kind;
  const std::vector<KernelArgument> wanted = {
      {Kind::buffer, 0, float32}, {Kind::offset, 0, int64},      {Kind::buffer, 1, float32},
      {Kind::offset, 1, int64},   {Kind::parameter, 0, float32}, {Kind::extent, 0, int64},
      {Kind::extent, 1, int64},   {Kind::extent, 2, int64},      {Kind::run, 0, int64},
      {Kind::run, 1, int64},      {Kind::run, 2, int64}};
  EXPECT_EQ(emit_c(parse_program(saxpy), opencl_dialect(), {true}).arguments, wanted);
}

TEST(EmitC, LiteralsAreExactInEveryLocale) {
  const char* before = std::setlocale(LC_ALL, nullptr);
  std::setlocale(LC_ALL, "de_DE.UTF-8");
  const CText c(cuda_dialect());
  const auto of = [&](auto value) {
    return c.literal(dtype_of<decltype(value)>(), Scalar::of(value).bits);
  };
  EXPECT_EQ(of(0.1f), "0x1.99999ap-4f");
  EXPECT_EQ(of(-0.0f), "(-0x0p+0f)");
  EXPECT_EQ(of(1e-45f), "0x1p-149f");
  EXPECT_EQ(of(0.1), "0x1.999999999999ap-4");
  EXPECT_EQ(of(-INFINITY), "__builtin_bit_cast(float, 4286578688u)");
  EXPECT_EQ(of(std::int64_t{-5}), "(-5LL)");
  EXPECT_EQ(of(std::numeric_limits<std::int64_t>::min()), "(-9223372036854775807LL - 1)");
  EXPECT_EQ(of(std::numeric_limits<std::int32_t>::min()), "(-2147483647 - 1)");
  EXPECT_EQ(of(std::int8_t{-128}), "(signed char)(-128)");
  EXPECT_EQ(of(std::uint64_t{7}), "7ULL");
  EXPECT_EQ(of(true), "true");
  std::setlocale(LC_ALL, before);
}

TEST(EmitC, PrintsShowTheirValues) {
  const std::string made = text(
      "program \"p\"\nformat \"at %5.2f: %d\\n 100%% %x\"\n%i = item 0\n%x: float32 = constant 2\n"
      "print 0, %x, %i, %i",
      opencl_dialect());
  EXPECT_NE(made.find("printf(\"at %5.2f: %ld"), std::string::npos) << made;
  EXPECT_NE(made.find("100%% %lx\", 0x1p+1f, i0, (ulong)((ulong)(i0)))"), std::string::npos)
      << made;
}

TEST(EmitC, FloatAtomicsCompareAndExchange) {
  const std::string program =
      "buffer h: float64 read written\n%i = item 0\n%v: float64 = constant 1\n"
      "%o = atomic maximum relaxed h[%i], %v";
  const std::string made = text(program.c_str(), opencl_dialect());
  EXPECT_NE(made.find("cl_khr_int64_base_atomics"), std::string::npos);
  EXPECT_NE(made.find("noyau_atomic_maximum_f64(&b0[i0], 0x1p+0)"), std::string::npos) << made;
}

TEST(EmitC, PrivateArraysNeedASize) {
  Program program = parse_program(
      "parameter n: int64\nprivate m: int32[4]\n%i = item 0\n"
      "%v = load m[%i]\nstore m[%i], %v");
  program.memory[0].size_parameter = 0;
  EXPECT_THROW(emit_c(program, cuda_dialect(), {}), NotImplemented);
}

// What shuffles and votes become without lane exchange computes the same.
TEST(Legalise, ExchangesThroughSharedMemory) {
  testing::visit_shuffles_and_votes([](const Program& program, const testing::Extent& extent,
                                       const auto& parameters, const auto& buffers) {
    const Program legal = exchange_through_shared(program);
    verify(legal);
    EXPECT_TRUE(testing::same(testing::interpreted(legal, extent, parameters, buffers),
                              testing::interpreted(program, extent, parameters, buffers)))
        << print(legal);
  });
}

/// The launch of loop_over_lanes(program); false where there is nothing to loop over.
bool agrees_by_lanes(const Program& program, const testing::Extent& extent,
                     const std::vector<std::uint64_t>& parameters,
                     const std::vector<testing::HostBuffer>& buffers) {
  const auto lanes = loop_over_lanes(flatten(program));
  if (!lanes) return false;
  verify(*lanes);
  std::vector<std::uint64_t> more = parameters;
  more.push_back(static_cast<std::uint64_t>(extent[0]));
  const testing::Extent gangs = {(extent[0] + lane_count - 1) / lane_count, extent[1], extent[2]};
  EXPECT_TRUE(testing::same(testing::interpreted(*lanes, gangs, more, buffers),
                            testing::interpreted(program, extent, parameters, buffers)))
      << print(program) << print(*lanes);
  return true;
}

TEST(Legalise, LoopsOverLanesComputeTheSame) {
  int rewritten = 0;
  const testing::Visit check = [&](auto&&... launch) { rewritten += agrees_by_lanes(launch...); };
  for (const testing::HandWritten& h : testing::hand_written_programs()) {
    check(parse_program(h.text), h.extent, h.parameters, h.buffers);
  }
  testing::visit_private_arrays(check);
  testing::visit_random_control_flow(check);
  EXPECT_GT(rewritten, 50);
}

// Products and windows of every shape: their loops are those of the style program.
TEST(Legalise, GeneratedKernelsLoopOverLanes) {
  int rewritten = 0;
  const test::Runner run = [&](const GeneratedKernel& kernel,
                               std::vector<std::vector<std::byte>>& buffers) {
    const auto lanes = loop_over_lanes(kernel.program);
    const Program& program = lanes ? *lanes : kernel.program;
    verify(program);
    std::vector<InterpreterBuffer> arguments;
    for (const MemoryObject& m : program.memory) {
      if (m.kind != MemoryObject::Kind::buffer) continue;
      auto& bytes = buffers[arguments.size()];
      arguments.push_back(
          {bytes.data(), static_cast<std::int64_t>(bytes.size() / size_of(m.dtype))});
    }
    std::vector<std::uint64_t> parameters = kernel.parameters;
    std::int64_t extent[3];
    std::copy_n(kernel.extent, 3, extent);
    if (lanes) {
      ++rewritten;
      parameters.push_back(static_cast<std::uint64_t>(extent[0]));
      extent[0] = (extent[0] + lane_count - 1) / lane_count;
    }
    interpret(program, extent, arguments, parameters);
  };
  test::check_matmuls(run, false, 0);
  test::check_convolutions(run, false, 0);
  test::check_max_pools(run, false, 0);
  test::check_avg_pools(run, false, 0);
  EXPECT_GT(rewritten, 20);
}

}  // namespace
}  // namespace noyau::jit
