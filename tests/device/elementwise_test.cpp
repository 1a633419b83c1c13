// Every elementwise operation, on every dtype it takes, against the reference.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/common/devices.hpp"
#include "tests/common/expected.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

using ops::ElementwiseOp;
using reference::Value;

class Elementwise : public DeviceTest {};

DType dtype_of_input(const ops::OpRow& row, int k, DType dtype) {
  return row.rule == ops::TypeRule::select && k == 0 ? bool_ : dtype;
}

/// All operations that take `dtype`, each applied to inputs that make(row, k, dtype) gives.
template <class F>
void for_each_operation(DType dtype, F f) {
  for (int code = 0; code < ops::op_count; ++code) {
    const ops::OpRow& row = ops::op_table[code];
    const std::vector<DType> dtypes = dtypes_of(row.rule);
    if (std::find(dtypes.begin(), dtypes.end(), dtype) == dtypes.end()) continue;
    f(static_cast<ElementwiseOp>(code), row);
  }
}

TEST(Devices, OneRunsAtLeast) { EXPECT_FALSE(running_devices().empty()) << doctor_report(); }

// Each operation in a kernel of its own, on an odd number of sampled elements.
TEST_P(Elementwise, SampledInputs) {
  Numbers numbers(1);
  for (DType dtype : all_dtypes) {
    for_each_operation(dtype, [&](ElementwiseOp op, const ops::OpRow& row) {
      SCOPED_TRACE(std::string(row.name) + " of " + std::string(name(dtype)));
      std::vector<Array> inputs;
      for (int k = 0; k < row.inputs; ++k) {
        inputs.push_back(random_array(numbers, dtype_of_input(row, k, dtype), {133}, row.sample_low,
                                      row.sample_high));
      }
      EXPECT_TRUE(agrees(call(op, inputs)));
    });
  }
}

/// Every combination of the special values of the inputs of an operation.
std::vector<Array> special_inputs(const ops::OpRow& row, DType dtype) {
  std::vector<Value> specials;
  Shape shape;
  for (int k = 0; k < row.inputs; ++k) {
    specials.push_back(special_values(dtype_of_input(row, k, dtype)));
    shape.push_back(static_cast<std::int64_t>(specials.back().size()));
  }
  std::vector<Array> inputs;
  for (int k = 0; k < row.inputs; ++k) {
    Value all(specials[static_cast<std::size_t>(k)].dtype, shape);
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::size_t rest = i;
      for (int axis = row.inputs - 1; axis > k; --axis)
        rest /= static_cast<std::size_t>(shape[axis]);
      all.copy_element(i, specials[static_cast<std::size_t>(k)],
                       rest % static_cast<std::size_t>(shape[k]));
    }
    inputs.push_back(array_of(all));
  }
  return inputs;
}

TEST_P(Elementwise, SpecialValues) {
  for (DType dtype : all_dtypes) {
    for_each_operation(dtype, [&](ElementwiseOp op, const ops::OpRow& row) {
      SCOPED_TRACE(std::string(row.name) + " of " + std::string(name(dtype)));
      EXPECT_TRUE(agrees(call(op, special_inputs(row, dtype))));
    });
  }
}

/// Ways in which an array of a shape can lie in memory.
enum class Layout { dense, strided, reversed, transposed, row, column, scalar };
Array laid_out(Numbers& numbers, Layout layout, DType dtype, std::int64_t rows,
               std::int64_t columns, double low, double high) {
  const auto make = [&](const Shape& shape) {
    return random_array(numbers, dtype, shape, low, high);
  };
  switch (layout) {
    case Layout::dense:
      return make({rows, columns});
    case Layout::strided:
      return make({rows * 2, columns * 3})[{slice(0, std::nullopt, 2), slice(1, std::nullopt, 3)}];
    case Layout::reversed:
      return flip(make({rows, columns}));
    case Layout::transposed:
      return transpose(make({columns, rows}));
    case Layout::row:
      return make({columns});
    case Layout::column:
      return make({rows, 1});
    case Layout::scalar:
      return make({});
  }
  return {};
}

// All operations of one dtype as one plan, whose inputs lie in memory in different ways.
TEST_P(Elementwise, LayoutsAndBroadcasts) {
  constexpr Layout layouts[] = {Layout::dense,      Layout::strided, Layout::reversed,
                                Layout::transposed, Layout::row,     Layout::column,
                                Layout::scalar};
  constexpr std::pair<std::int64_t, std::int64_t> sizes[] = {{1, 1},  {5, 7}, {1, 67},
                                                             {33, 1}, {0, 4}, {3, 0}};
  Numbers numbers(2);
  int turn = 0;
  for (DType dtype : {int32, uint8, float32, float64, float16, bfloat16}) {
    for (const auto& [rows, columns] : sizes) {
      for (Layout layout : layouts) {
        SCOPED_TRACE(std::string(name(dtype)) + " " + std::to_string(rows) + " by " +
                     std::to_string(columns) + " layout " +
                     std::to_string(static_cast<int>(layout)));
        std::vector<Array> results;
        for_each_operation(dtype, [&](ElementwiseOp op, const ops::OpRow& row) {
          std::vector<Array> inputs;
          for (int k = 0; k < row.inputs; ++k) {
            const Layout own = k == 0 ? layout : layouts[static_cast<std::size_t>(turn++) % 7];
            inputs.push_back(laid_out(numbers, own, dtype_of_input(row, k, dtype), rows, columns,
                                      row.sample_low, row.sample_high));
          }
          results.push_back(call(op, inputs));
        });
        EXPECT_TRUE(all_agree(results));
      }
    }
  }
}

TEST_P(Elementwise, PromotionOfPairs) {
  Numbers numbers(3);
  std::vector<Array> results;
  for (DType a : all_dtypes) {
    for (DType b : all_dtypes) {
      const Array x = random_array(numbers, a, {3, 1}, 0, 9),
                  y = random_array(numbers, b, {5}, 0, 9);
      EXPECT_EQ((x + y).dtype(), promote(a, b));
      for (const Array& r :
           {x + y, x * y, x < y, maximum(x, y), where(x > y, x, y), divide(x, y)}) {
        results.push_back(r);
      }
    }
  }
  EXPECT_TRUE(all_agree(results));
}

TEST_P(Elementwise, WeakScalars) {
  Numbers numbers(4);
  for (DType dtype : all_dtypes) {
    const Array x = random_array(numbers, dtype, {19}, 0, 9);
    std::vector<Array> results = {x == 3, x < 2.5, where(x > 1, x, 0), maximum(x, 1)};
    if (dtype != bool_) {
      results.push_back(x + 1);
      results.push_back(3 - x);
      EXPECT_EQ((x + 1).dtype(), dtype);
    }
    if (is_floating(dtype)) {
      results.push_back(x * 2.5);
      EXPECT_EQ((x * 2.5).dtype(), dtype);
    }
    EXPECT_TRUE(all_agree(results)) << name(dtype);
  }
}

TEST_P(Elementwise, CastsBetweenAllPairs) {
  Numbers numbers(5);
  for (DType from : all_dtypes) {
    const Array special = array_of(special_values(from));
    const Array wide = random_array(numbers, from, {201}, -1e5, 1e5);
    for (DType to : all_dtypes) {
      EXPECT_TRUE(agrees(astype(special, to))) << name(from) << " to " << name(to);
      EXPECT_TRUE(agrees(astype(wide, to))) << name(from) << " to " << name(to);
    }
  }
}

// Composites of the library, and constants that are folded when a node is made.
TEST_P(Elementwise, CompositesAndFoldedPowers) {
  Numbers numbers(6);
  for (DType dtype : {float32, float64, float16, bfloat16}) {
    const Array x = random_array(numbers, dtype, {257}, 0.1, 5);
    std::vector<Array> results = {clamp(x, 1, 3), softplus(x), softplus(-x), sigmoid(x)};
    for (double exponent : {2.0, 1.0, 0.5, -1.0, 3.0, -2.0, 0.0, 1.5}) {
      results.push_back(power(x, exponent));
    }
    EXPECT_TRUE(all_agree(results)) << name(dtype);
  }
}

// A dependent chain of many operations is cut into kernels and stays right.
TEST_P(Elementwise, LongExpressions) {
  Numbers numbers(7);
  const Array x = random_array(numbers, float32, {71}), y = random_array(numbers, float32, {71});
  Array z = x;
  for (int i = 0; i < 300; ++i) z = i % 3 == 0 ? z + y : i % 3 == 1 ? maximum(z - x, y) : z * 0.5;
  EXPECT_TRUE(agrees(z));
}

NOYAU_FOR_EACH_DEVICE(Elementwise);

}  // namespace
}  // namespace noyau::test
