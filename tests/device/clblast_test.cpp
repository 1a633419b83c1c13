// CLBlast's products, where an OpenCL device takes them: a GPU, or PoCL that poses as one.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/memory.hpp"
#include "core/module.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

class ClBlast : public DeviceTest {
 protected:
  void SetUp() override {
    for (const LibraryRoutine* routine : routines_for(device_.backend()))
      if (routine->name() == "clblast.matmul") routine_ = routine;
    if (routine_ == nullptr) GTEST_SKIP() << "no CLBlast on " << device_.name();
    if (!takes_products()) GTEST_SKIP() << device_.name() << " is no GPU";
  }
  bool takes_products() const { return routine_->accepts(call(float32, {64, 64}, {64, 64})); }

  LibraryCall call(DType dtype, const Shape& a, const Shape& b) const {
    const auto dense = [&](const Shape& shape) {
      TensorView view{dtype, shape, Shape::filled(shape.rank(), 1)};
      for (int k = shape.rank() - 1; k > 0; --k) view.strides[k - 1] = view.strides[k] * shape[k];
      return view;
    };
    Shape out = a;
    out[a.rank() - 1] = b[b.rank() - 1];
    LibraryCall made;
    made.inputs = {dense(a), dense(b)};
    made.output = dense(out);
    made.context = device_.backend().native_context();
    return made;
  }

  /// a b by one call of the library for each of `calls`, no further from the sums in float64 than
  /// their rounding allows; `epsilon`: of the dtype.
  void check(const Array& a, const Array& b, int calls, double epsilon) {
    LaunchLog log;
    const Array product = matmul(a, b);
    product.wait();
    EXPECT_EQ(log.library_calls(), calls) << to_string(a.shape()) << to_string(b.shape());
    const DeviceScope host(device("cpu:0"));
    const auto there = [](const Array& x) { return astype(x.to(default_device()), float64); };
    const Array wanted = matmul(there(a), there(b)), terms = matmul(abs(there(a)), abs(there(b)));
    const double k = static_cast<double>(a.shape()[a.rank() - 1]);
    const Array excess = abs(there(product) - wanted) - terms * (k * epsilon);
    EXPECT_LE(max(excess).item<double>(), 0) << to_string(a.shape()) << to_string(b.shape());
  }
  void check(const Array& a, const Array& b, int calls = 1) {
    check(a, b, calls, a.dtype() == float64 ? 1.2e-16 : 6e-8);
  }

  const LibraryRoutine* routine_ = nullptr;
  Numbers numbers_{11};
};

TEST_P(ClBlast, ProductsLieInAnyOrder) {
  for (const DType dtype : {float32, float64}) {
    const Array a = random_array(numbers_, dtype, {37, 51}).eval(),
                b = random_array(numbers_, dtype, {51, 23}).eval();
    const Array at = permute(random_array(numbers_, dtype, {51, 37}), {1, 0}),
                bt = permute(random_array(numbers_, dtype, {23, 51}), {1, 0});
    for (const Array& left : {a, at})
      for (const Array& right : {b, bt}) check(left, right);
    // Parts of larger matrices, which begin inside of their memory.
    const Array wide = random_array(numbers_, dtype, {90, 70}).eval();
    check(wide[{slice(3, 40), slice(5, 56)}], wide[{slice(39, 90), slice(47, 70)}]);
  }
}

TEST_P(ClBlast, LargeProductsUseScratch) {
  const Array a = random_array(numbers_, float32, {513, 300}).eval(),
              b = random_array(numbers_, float32, {300, 530}).eval();
  check(a, b);
  check(a[{slice(1, 513)}], b);
}

TEST_P(ClBlast, BatchesAreStrided) {
  const Array a = random_array(numbers_, float32, {2, 3, 8, 9}).eval(),
              b = random_array(numbers_, float32, {2, 3, 9, 7}).eval(),
              one = random_array(numbers_, float32, {1, 1, 9, 7}).eval(),
              row = random_array(numbers_, float32, {1, 3, 9, 7}).eval();
  check(a, b);
  check(a, one);
  check(a, row);  // two rounds of three
  check(permute(a, {1, 0, 2, 3}), permute(b, {1, 0, 2, 3}));
}

TEST_P(ClBlast, MemoryBeforeTheProductDoesNotCount) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Array a = random_array(numbers_, float32, {40, 40}).eval(),
              b = random_array(numbers_, float32, {40, 40}).eval();
  a.wait();
  b.wait();
  memory::trim(device_.backend());
  { full({40, 40}, nan, float32).wait(); }  // the pool hands it on
  check(a, b);
}

TEST_P(ClBlast, WhatItCannotDoIsGenerated) {
  EXPECT_FALSE(routine_->accepts(call(int32, {8, 8}, {8, 8})));
  EXPECT_FALSE(routine_->accepts(call(float32, {1 << 16, 1 << 16}, {1 << 16, 8})));
  LibraryCall bias = call(float32, {8, 8}, {8, 8});
  bias.relu = true;
  EXPECT_FALSE(routine_->accepts(bias));
  EXPECT_TRUE(routine_->accepts(call(float32, {8, 8}, {8, 8})));
  LaunchLog log;
  const Array a = random_array(numbers_, int32, {8, 8});
  matmul(a, a).wait();
  EXPECT_EQ(log.library_calls(), 0);
}

NOYAU_FOR_EACH_DEVICE(ClBlast);

}  // namespace
}  // namespace noyau::test
