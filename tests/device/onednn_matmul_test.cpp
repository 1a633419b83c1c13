// oneDNN's matrix products, called through LibraryRoutine, against float64 sums.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "noyau/error.hpp"
#include "tests/device/onednn_calls.hpp"

namespace noyau::test {
namespace {

using Kind = LibraryCall::Kind;

struct MatmulCase {
  std::vector<std::int64_t> batch;
  std::int64_t m, k, n;
};

const std::vector<MatmulCase>& matmul_cases() {
  static const std::vector<MatmulCase> cases = {
      {{}, 1, 1, 1},      {{}, 1, 7, 1},      {{}, 1, 9, 5},        {{}, 6, 9, 1},
      {{}, 5, 1, 4},      {{}, 17, 23, 31},   {{}, 64, 64, 64},     {{}, 100, 33, 70},
      {{3}, 4, 5, 6},     {{2, 3}, 7, 8, 9},  {{2, 1, 3}, 5, 4, 3}, {{1}, 8, 8, 8},
      {{}, 16, 5000, 16}, {{}, 3, 2049, 2},   {{}, 1, 4096, 1},     {{}, 20, 3000, 33},
      {{2}, 5, 2500, 6},  {{12}, 16, 16, 16},
  };
  return cases;
}

/// How a matrix may lie: rows, columns contiguous, a slice of either, nothing contiguous, its batch
/// inside its rows.
enum class Matrix { rows, columns, sliced_rows, sliced_columns, spaced, batch_inside };
constexpr Matrix all_matrices[] = {Matrix::rows,           Matrix::columns, Matrix::sliced_rows,
                                   Matrix::sliced_columns, Matrix::spaced,  Matrix::batch_inside};

Tensor matrix(const std::vector<std::int64_t>& batch, std::int64_t rows, std::int64_t columns,
              Matrix lies) {
  std::vector<std::int64_t> extents = batch;
  extents.push_back(rows);
  extents.push_back(columns);
  const int rank = static_cast<int>(extents.size());
  std::vector<int> order;
  for (int axis = 0; axis < rank; ++axis) order.push_back(axis);
  const auto last = order.size() - 1;
  switch (lies) {
    case Matrix::rows:
      return make_tensor(extents, order);
    case Matrix::sliced_rows:
      return make_tensor(extents, order, 5);
    case Matrix::spaced:
      return make_tensor(extents, order, 0, 3);
    case Matrix::batch_inside:
      for (int axis = 0; axis < rank; ++axis)
        order[static_cast<std::size_t>(axis)] = axis == 0 ? rank - 2 : axis - 1;
      order[last] = rank - 1;
      return make_tensor(extents, order);
    default:
      break;
  }
  std::swap(order[last], order[last - 1]);
  return make_tensor(extents, order, lies == Matrix::columns ? 0 : 5);
}

ExactAt product_reference(const Tensor& a, const Tensor& b, const Tensor* bias, bool relu) {
  return [&a, &b, bias, relu](const std::vector<std::int64_t>& at) {
    Exact sum;
    std::vector<std::int64_t> left = at, right = at;
    const std::size_t last = at.size() - 1;
    for (std::int64_t k = 0; k < a.view.shape.back(); ++k) {
      left[last] = right[last - 1] = k;
      sum.add(a(left), b(right));
    }
    if (bias != nullptr) sum.add((*bias)({at[last]}), 1.0);
    if (relu) sum.value = std::max(sum.value, 0.0);
    return sum;
  };
}

Ready product(const Tensor& a, const Tensor& b, Tensor& out) {
  Ready r;
  r.call.kind = Kind::matmul;
  r.call.inputs = {a.view, b.view};
  r.call.output = out.view;
  r.inputs = {&a, &b};
  r.output = &out;
  return r;
}

class OneDnnMatmul : public ::testing::Test {
 protected:
  void SetUp() override {
    routine_ = find_routine("onednn.matmul");
    if (routine_ == nullptr) GTEST_SKIP() << why_absent();
  }
  const LibraryRoutine* routine_ = nullptr;
};

TEST_F(OneDnnMatmul, AgreesWithFloat64InEveryLayout) {
  for (const MatmulCase& c : matmul_cases()) {
    for (const Matrix a_lies : all_matrices) {
      for (const Matrix b_lies : all_matrices) {
        for (const Matrix out_lies : all_matrices) {
          const int sum =
              static_cast<int>(a_lies) + static_cast<int>(b_lies) + static_cast<int>(out_lies);
          if (c.k > 1000 && sum % 3 != 0) continue;  // a third of them: long sums take long
          const auto what = fmt::format("{} batch axes, {}x{}x{}, lying {} {} {}", c.batch.size(),
                                        c.m, c.k, c.n, static_cast<int>(a_lies),
                                        static_cast<int>(b_lies), static_cast<int>(out_lies));
          Tensor a = matrix(c.batch, c.m, c.k, a_lies), b = matrix(c.batch, c.k, c.n, b_lies),
                 out = matrix(c.batch, c.m, c.n, out_lies);
          fill(a, 1);
          fill(b, 2);
          Ready r = product(a, b, out);
          ASSERT_TRUE(routine_->accepts(r.call)) << what;
          run(*routine_->prepare(r.call), r.inputs, out);
          expect_close(out, product_reference(a, b, nullptr, false), what);
        }
      }
    }
  }
}

TEST_F(OneDnnMatmul, BroadcastsBatches) {
  for (const int which : {0, 1, 2, 3, 4}) {
    Tensor a = matrix({2, 3}, 4, 5, Matrix::rows), b = matrix({2, 3}, 5, 6, Matrix::rows);
    Tensor out = matrix({2, 3}, 4, 6, Matrix::rows);
    if (which == 0) a.view.strides[0] = a.view.strides[1] = 0;
    if (which == 1) b.view.strides[0] = b.view.strides[1] = 0;
    if (which == 2) a.view.strides[0] = b.view.strides[1] = 0;
    if (which == 3) a.view.strides[1] = b.view.strides[0] = 0;
    if (which == 4)
      a.view.strides[0] = a.view.strides[1] = b.view.strides[0] = b.view.strides[1] = 0;
    fill(a, 1);
    fill(b, 2);
    Ready r = product(a, b, out);
    ASSERT_TRUE(routine_->accepts(r.call)) << which;
    run(*routine_->prepare(r.call), r.inputs, out);
    expect_close(out, product_reference(a, b, nullptr, false), fmt::format("broadcast {}", which));
  }
}

TEST_F(OneDnnMatmul, MultipliesAnArrayWithItsOwnTranspose) {
  for (const std::int64_t c : {5, 64, 130, 200}) {
    for (const std::int64_t pixels : {40, 3000}) {
      for (const Matrix lies : {Matrix::rows, Matrix::columns}) {
        Tensor f = matrix({}, c, pixels, lies), out = matrix({}, c, c, Matrix::rows);
        fill(f, 1);
        Tensor transposed = f;
        std::swap(transposed.view.strides[0], transposed.view.strides[1]);
        std::swap(transposed.view.shape[0], transposed.view.shape[1]);
        Ready r = product(f, transposed, out);
        r.inputs[1] = &f;
        run(*routine_->prepare(r.call), r.inputs, out);
        expect_close(out, product_reference(f, transposed, nullptr, false),
                     fmt::format("{} channels", c));
      }
    }
  }
}

TEST_F(OneDnnMatmul, AddsBiasAndAppliesRelu) {
  for (const MatmulCase& c : matmul_cases()) {
    for (const Matrix out_lies : {Matrix::rows, Matrix::columns}) {
      Tensor a = matrix(c.batch, c.m, c.k, Matrix::rows),
             b = matrix(c.batch, c.k, c.n, Matrix::rows), out = matrix(c.batch, c.m, c.n, out_lies),
             bias = make_tensor({c.n}, {0});
      fill(a, 1);
      fill(b, 2);
      fill(bias, 3);
      Ready r = product(a, b, out);
      r.call.inputs.push_back(bias.view);
      r.inputs.push_back(&bias);
      r.call.bias = r.call.relu = true;
      ASSERT_TRUE(routine_->accepts(r.call));
      run(*routine_->prepare(r.call), r.inputs, out);
      expect_close(out, product_reference(a, b, &bias, true),
                   fmt::format("{}x{}x{}", c.m, c.k, c.n));
    }
  }
}

TEST_F(OneDnnMatmul, GivesTheSameBitsForAnyNumberOfThreads) {
  std::vector<MatmulCase> cases = matmul_cases();
  cases.push_back({{}, 64, 11049, 64});
  cases.push_back({{}, 128, 2709, 128});
  cases.push_back({{}, 64, 1900, 64});
  cases.push_back({{}, 256, 3969, 256});
  cases.push_back({{}, 600, 3000, 600});
  for (const MatmulCase& c : cases) {
    for (const Matrix a_lies : {Matrix::rows, Matrix::columns, Matrix::sliced_rows}) {
      for (const Matrix b_lies : {Matrix::rows, Matrix::columns, Matrix::sliced_rows}) {
        Tensor a = matrix(c.batch, c.m, c.k, a_lies), b = matrix(c.batch, c.k, c.n, b_lies),
               out = matrix(c.batch, c.m, c.n, Matrix::rows);
        fill(a, 1);
        fill(b, 2);
        Ready r = product(a, b, out);
        expect_same_bits_for_any_threads(
            *routine_, r,
            fmt::format("{}x{}x{} lying {} {}", c.m, c.k, c.n, static_cast<int>(a_lies),
                        static_cast<int>(b_lies)));
      }
    }
  }
}

TEST_F(OneDnnMatmul, RefusesWhatItCannotDo) {
  Tensor a = matrix({2}, 4, 5, Matrix::rows), b = matrix({2}, 5, 6, Matrix::rows),
         out = matrix({2}, 4, 6, Matrix::rows);
  const Ready right = product(a, b, out);
  ASSERT_TRUE(routine_->accepts(right.call));
  const auto refuses = [&](const char* what, const std::function<void(LibraryCall&)>& change) {
    expect_refusal(*routine_, right.call, what, change);
  };
  refuses("float64", [](LibraryCall& call) { call.inputs[1].dtype = float64; });
  refuses("row stride 0", [](LibraryCall& call) { call.inputs[0].strides[1] = 0; });
  refuses("negative stride", [](LibraryCall& call) { call.inputs[0].strides[2] = -1; });
  refuses("output broadcast", [](LibraryCall& call) { call.output.strides[0] = 0; });
  refuses("inner extents", [](LibraryCall& call) { call.inputs[0].shape[2] = 4; });
  refuses("batch extents", [](LibraryCall& call) { call.inputs[0].shape[0] = 1; });
  refuses("zero extent",
          [](LibraryCall& call) { call.inputs[0].shape[1] = call.output.shape[1] = 0; });
  refuses("rank", [](LibraryCall& call) { call.inputs[0].shape.erase(0); });
  refuses("another kind", [](LibraryCall& call) { call.kind = Kind::convolution; });
}

}  // namespace
}  // namespace noyau::test
