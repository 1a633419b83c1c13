// Generated kernels in the interpreter, which checks every access, against plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/generated_cases.hpp"

#include <algorithm>

#include "jit/interpret.hpp"
#include "jit/simplify.hpp"

namespace noyau::test {
namespace {

void interpret(const jit::GeneratedKernel& kernel, std::vector<std::vector<std::byte>>& buffers) {
  jit::verify(kernel.program);
  std::vector<jit::InterpreterBuffer> arguments;
  std::size_t k = 0;
  for (const jit::MemoryObject& m : kernel.program.memory) {
    if (m.kind != jit::MemoryObject::Kind::buffer) continue;
    ASSERT_LT(k, buffers.size());
    arguments.push_back(
        {buffers[k].data(), static_cast<std::int64_t>(buffers[k].size() / size_of(m.dtype))});
    ++k;
  }
  jit::interpret(kernel.program, kernel.extent, arguments, kernel.parameters);
}

TEST(Generated, Matmul) { check_matmuls(interpret, false, 256); }
TEST(Generated, Convolution) { check_convolutions(interpret, false, 256); }
TEST(Generated, MaxPool) { check_max_pools(interpret, false, 256); }
TEST(Generated, AvgPool) { check_avg_pools(interpret, false, 256); }

/// The program of a max pool with its gradient's, for planes of h x w cells.
std::pair<jit::Hash128, jit::Hash128> pool_programs(std::int64_t h, std::int64_t w) {
  WindowAttributes window;
  for (int d = 0; d < 2; ++d) {
    window.window[d] = 3;
    window.stride[d] = 2;
  }
  const Strided x(float32, {1, 64, h, w}, {0, 2, 3, 1}),
      y(float32, {1, 64, (h - 3) / 2 + 1, (w - 3) / 2 + 1}, {0, 2, 3, 1}),
      i(int64, y.view.shape, {0, 2, 3, 1});
  return {jit::hash(jit::simplify(jit::max_pool_kernel(x.view, y.view, i.view, window).program)),
          jit::hash(jit::simplify(
              jit::max_pool_gradient_kernel(y.view, i.view, x.view, window).program))};
}

TEST(Generated, SizesAreParameters) {
  const auto programs = pool_programs(255, 167);
  EXPECT_EQ(programs, pool_programs(127, 83));
  EXPECT_EQ(programs, pool_programs(126, 82));
  const auto product = [](std::int64_t m, std::int64_t k, std::int64_t n) {
    const Strided a(float32, {m, k}), b(float32, {k, n}), out(float32, {m, n});
    return jit::hash(jit::simplify(jit::matmul_kernel(a.view, b.view, out.view).program));
  };
  EXPECT_EQ(product(64, 64, 64), product(100, 33, 77));
}

/// Operations on 64-bit integers in a program as it is compiled.
int wide_operations(const jit::GeneratedKernel& kernel) {
  const jit::Program program = jit::simplify(kernel.program);
  return static_cast<int>(std::ranges::count_if(
      program.instructions,
      [](const jit::Instruction& i) { return jit::is_arithmetic(i.op) && i.type == int64; }));
}

/// Where blocks have many threads, and unless an operand reaches too far.
TEST(Generated, IndicesHave32Bits) {
  using Kind = LibraryCall::Kind;
  WindowAttributes w;
  for (int d = 0; d < 2; ++d) {
    w.window[d] = w.stride[d] = 2;
    w.low[d] = w.high[d] = 1;
  }
  const auto all = [&](std::int64_t gap, int threads) {
    const auto view = [&](DType dtype, Shape shape) {
      TensorView v{dtype, shape, shape.dense_strides()};
      for (int a = 0; a < v.shape.rank(); ++a) v.strides[a] *= gap;
      return v;
    };
    const TensorView x = view(float32, {2, 16, 8, 8}), y = view(float32, {2, 16, 5, 5}),
                     i = view(int64, {2, 16, 5, 5}), k = view(float32, {16, 16, 2, 2}),
                     m = view(float32, {32, 32});
    const auto convolution = [&](Kind kind, const TensorView& a, const TensorView& b,
                                 const TensorView& out) {
      return wide_operations(jit::convolution_kernel(kind, a, b, out, w, threads));
    };
    return std::vector<int>{wide_operations(jit::matmul_kernel(m, m, m, threads)),
                            convolution(Kind::convolution, x, k, y),
                            convolution(Kind::convolution_input_gradient, y, k, x),
                            convolution(Kind::convolution_weight_gradient, x, y, k),
                            wide_operations(jit::max_pool_kernel(x, y, i, w, threads)),
                            wide_operations(jit::max_pool_gradient_kernel(y, i, x, w, threads)),
                            wide_operations(jit::max_pool_gather_kernel(x, i, y, threads)),
                            wide_operations(jit::avg_pool_kernel(x, y, w, threads)),
                            wide_operations(jit::avg_pool_gradient_kernel(y, x, w, threads))};
  };
  EXPECT_EQ(all(3, 256), std::vector<int>(9, 0));
  for (const int operations : all(3, 0)) EXPECT_GT(operations, 0);
  for (const int operations : all(std::int64_t{1} << 30, 256)) EXPECT_GT(operations, 0);
}

// What chunks leave behind would be 2 GiB otherwise.
TEST(Generated, ChunksOfManyWeightsAreFew) {
  const WindowAttributes w;
  const auto scratch = [&](std::int64_t channels) {
    const auto view = [](Shape shape) { return TensorView{float32, shape, shape.dense_strides()}; };
    const TensorView x = view({64, channels, 32, 32}), k = view({channels, channels, 1, 1});
    return jit::convolution_kernel(LibraryCall::Kind::convolution_weight_gradient, x, x, k, w, 256)
        .scratch_bytes;
  };
  EXPECT_EQ(scratch(64), 128 * 64 * 64 * 4);
  EXPECT_EQ(scratch(2048), 8 * 2048 * 2048 * 4);
  EXPECT_EQ(scratch(8192), 0) << "one chain each";
}

TEST(Generated, PoolsOfSmallWindowsAreStraight) {
  WindowAttributes window;
  for (int d = 0; d < 2; ++d) {
    window.window[d] = 3;
    window.stride[d] = 2;
  }
  const Strided x(float32, {1, 64, 9, 9}), y(float32, {1, 64, 4, 4}), i(int64, {1, 64, 4, 4});
  EXPECT_TRUE(jit::is_straight(jit::max_pool_kernel(x.view, y.view, i.view, window).program));
  EXPECT_TRUE(
      jit::is_straight(jit::max_pool_gradient_kernel(y.view, i.view, x.view, window).program));
  EXPECT_TRUE(jit::is_straight(jit::avg_pool_kernel(x.view, y.view, window).program));
  EXPECT_TRUE(jit::is_straight(jit::avg_pool_gradient_kernel(y.view, x.view, window).program));
}

}  // namespace
}  // namespace noyau::test
