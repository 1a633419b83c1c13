// Mistakes with operations: each message names the operation, what was given, the rule and the
// remedy.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>

#include "noyau/noyau.hpp"

namespace noyau {
namespace {

/// One mistake, and words that its message must have.
struct Mistake {
  const char* name;
  std::function<void()> make;
  std::vector<std::string> words;
};
void PrintTo(const Mistake& m, std::ostream* out) { *out << m.name; }

template <class E>
std::function<void()> throws(std::function<void()> mistake) {
  return [mistake] {
    try {
      mistake();
    } catch (const E&) {
      throw;
    } catch (const std::exception& other) {
      FAIL() << "another exception: " << other.what();
    }
  };
}

Array f(const Shape& shape) { return ones(shape); }

const Mistake mistakes[] = {
    {"add_shapes",
     throws<ShapeError>([] {
       (void)(f({2, 3}) + f({2, 4}));
     }),
     {"[add]", "(2, 3)", "(2, 4)", "axis 1"}},
    {"and_of_floats",
     throws<DtypeError>([] { (void)(f({2}) & f({2})); }),
     {"[bitwise_and]", "float32", "astype"}},
    {"shift_of_floats",
     throws<DtypeError>([] { (void)(f({2}) << 1); }),
     {"[left_shift]", "float32", "integers"}},
    {"subtract_bools",
     throws<DtypeError>([] { (void)((f({2}) > 0) - (f({2}) > 0)); }),
     {"[subtract]", "bool", "logical_xor"}},
    {"number_too_large",
     throws<DtypeError>([] { (void)(arange(0, 3, 1, uint8) + 300); }),
     {"[add]", "300", "uint8"}},
    {"negative_unsigned",
     throws<DtypeError>([] { (void)(arange(0, 3, 1, uint64) + -1); }),
     {"[add]", "-1", "uint64"}},
    {"empty_array", throws<ValueError>([] { (void)(f({2}) + Array()); }), {"holds nothing"}},
    {"matmul_shapes",
     throws<ShapeError>([] {
       (void)matmul(f({2, 3}), f({2, 4}));
     }),
     {"[matmul]", "(2, 3)", "(2, 4)", "3", "2"}},
    {"matmul_number",
     throws<ShapeError>([] {
       (void)matmul(f({2, 3}), 2.0);
     }),
     {"[matmul]", "()", "x * y"}},
    {"matmul_batches",
     throws<ShapeError>([] {
       (void)matmul(f({2, 3, 4}), f({3, 4, 5}));
     }),
     {"[matmul]", "(2,)", "(3,)"}},
    {"matmul_bools",
     throws<DtypeError>([] {
       (void)matmul(f({2, 2}) > 0, f({2, 2}) > 0);
     }),
     {"[matmul]", "bool"}},
    {"outer_of_matrices",
     throws<ShapeError>([] {
       (void)outer(f({2, 2}), f({2}));
     }),
     {"[outer]", "(2, 2)"}},
    {"reshape_size",
     throws<ShapeError>([] {
       (void)reshape(f({2, 3}), {4, 2});
     }),
     {"[reshape]", "6", "8", "(2, 3)", "(4, 2)"}},
    {"reshape_unknown",
     throws<ShapeError>([] {
       (void)reshape(f({2, 3}), {4, -1});
     }),
     {"[reshape]", "6", "4"}},
    {"reshape_two_unknown",
     throws<ShapeError>([] {
       (void)reshape(f({2, 3}), {-1, -1});
     }),
     {"[reshape]", "-1", "axis 1"}},
    {"sum_axis",
     throws<ShapeError>([] {
       (void)sum(f({2, 3}), 2);
     }),
     {"[sum]", "axis 2", "[-2, 1]"}},
    {"sum_axis_twice",
     throws<ShapeError>([] {
       (void)sum(f({2, 3}), {0, -2});
     }),
     {"[sum]", "(0, -2)", "twice"}},
    {"sum_axis_of_number", throws<ShapeError>([] { (void)sum(f({}), 0); }), {"[sum]", "no axes"}},
    {"max_of_nothing",
     throws<ShapeError>([] {
       (void)max(f({0, 3}), 0);
     }),
     {"[max]", "(0, 3)", "no elements"}},
    {"argmax_axes",
     throws<ShapeError>([] {
       (void)argmax(f({2, 3}), {0, 1});
     }),
     {"[argmax]", "2 axes"}},
    {"softmax_of_integers",
     throws<DtypeError>([] { (void)softmax(arange(3)); }),
     {"[softmax]", "int64"}},
    {"index_range",
     throws<IndexError>([] {
       (void)f({2, 3})[{0, 3}];
     }),
     {"[index]", "3", "axis 1", "(2, 3)", "[-3, 2]"}},
    {"index_too_many",
     throws<IndexError>([] {
       (void)f({2})[{0, 0}];
     }),
     {"[index]", "(2,)"}},
    {"index_step", throws<ValueError>([] { (void)f({2})[slice(0, 2, 0)]; }), {"[index]", "step 0"}},
    {"index_array", throws<NotImplemented>([] { (void)f({2})[f({2}) > 0]; }), {"[index]", "where"}},
    {"set_shape",
     throws<ShapeError>([] {
       (void)set(f({2, 3}), 0, f({2}));
     }),
     {"[set]", "(2,)", "(3,)"}},
    {"set_shape_larger",
     throws<ShapeError>([] {
       (void)set(f({2, 3}), {0, slice(0, 1)}, f({3}));
     }),
     {"[set]", "(3,)", "(1,)"}},
    {"permute_axes",
     throws<ShapeError>([] {
       (void)permute(f({2, 3}), {0, 0});
     }),
     {"[permute]", "(0, 0)", "(2, 3)"}},
    {"squeeze_extent",
     throws<ShapeError>([] {
       (void)squeeze(f({2, 1}), 0);
     }),
     {"[squeeze]", "(2, 1)", "extent 2"}},
    {"broadcast_to",
     throws<ShapeError>([] {
       (void)broadcast_to(f({2, 3}), {3, 2});
     }),
     {"[broadcast_to]", "(2, 3)", "(3, 2)"}},
    {"concatenate_shapes",
     throws<ShapeError>([] {
       (void)concatenate({f({2, 3}), f({3, 2})});
     }),
     {"[concatenate]", "(3, 2)", "(2, 3)", "axis 0"}},
    {"concatenate_nothing", throws<ShapeError>([] { (void)concatenate({}); }), {"[concatenate]"}},
    {"stack_shapes",
     throws<ShapeError>([] {
       (void)stack({f({2}), f({3})});
     }),
     {"[stack]", "(3,)", "(2,)"}},
    {"roll_lists",
     throws<ShapeError>([] {
       (void)roll(f({2, 3}), {1, 2}, {0});
     }),
     {"[roll]", "2 shifts", "1 axes"}},
    {"repeat_negative",
     throws<ValueError>([] { (void)repeat(f({2}), -1, 0); }),
     {"[repeat]", "-1"}},
    {"pad_axes",
     throws<ShapeError>([] {
       (void)pad(f({2, 3}), {{1, 1}});
     }),
     {"[pad]", "1 pairs", "(2, 3)"}},
    {"pad_negative",
     throws<ShapeError>([] {
       (void)pad(f({2}), {{-1, 1}});
     }),
     {"[pad]", "-1"}},
    {"pad_reflect",
     throws<ShapeError>([] {
       (void)pad(f({3}), {{3, 0}}, Pad::reflect);
     }),
     {"[pad]", "3", "(3,)", "less than"}},
    {"conv_ranks",
     throws<ShapeError>([] {
       (void)conv2d(f({3, 4, 4}), f({1, 3, 2, 2}));
     }),
     {"[conv2d]", "(3, 4, 4)", "[n, c, h, w]"}},
    {"conv_channels",
     throws<ShapeError>([] {
       (void)conv2d(f({1, 4, 4, 4}), f({2, 3, 2, 2}));
     }),
     {"[conv2d]", "(1, 4, 4, 4)", "4 channels", "not 3"}},
    {"conv_groups",
     throws<ShapeError>([] {
       (void)conv2d(f({1, 4, 4, 4}), f({2, 1, 2, 2}), {.groups = 3});
     }),
     {"[conv2d]", "3 groups"}},
    {"conv_window",
     throws<ShapeError>([] {
       (void)conv2d(f({1, 1, 2, 9}), f({1, 1, 3, 3}));
     }),
     {"[conv2d]", "height", "2", "3"}},
    {"conv_stride",
     throws<ShapeError>([] {
       (void)conv2d(f({1, 1, 4, 4}), f({1, 1, 3, 3}), {.stride = -1});
     }),
     {"[conv2d]", "stride -1"}},
    {"conv_integers",
     throws<DtypeError>([] {
       (void)conv2d(astype(f({1, 1, 4, 4}), int32), astype(f({1, 1, 3, 3}), int32));
     }),
     {"[conv2d]", "int32"}},
    {"pool_rank",
     throws<ShapeError>([] {
       (void)max_pool2d(f({4, 4}), 2);
     }),
     {"[max_pool2d]", "(4, 4)"}},
    {"pool_padding",
     throws<ShapeError>([] {
       (void)avg_pool2d(f({1, 1, 4, 4}), 2, {.padding = 2});
     }),
     {"[avg_pool2d]", "padding 2", "half"}},
    {"pool_window",
     throws<ShapeError>([] {
       (void)max_pool2d(f({1, 1, 2, 2}), 3);
     }),
     {"[max_pool2d]", "3", "2"}},
    {"arange_step", throws<ValueError>([] { (void)arange(0, 3, 0); }), {"[arange]", "step of 0"}},
    {"arange_bool", throws<DtypeError>([] { (void)arange(0, 3, 1, bool_); }), {"[arange]", "bool"}},
    {"linspace_count", throws<ValueError>([] { (void)linspace(0, 1, -1); }), {"[linspace]", "-1"}},
    {"array_count",
     throws<ShapeError>([] {
       (void)array(std::vector<float>{1, 2, 3}, {2, 2});
     }),
     {"[array]", "3 values", "(2, 2)", "4"}},
    {"negative_extent",
     throws<ShapeError>([] {
       (void)zeros({2, -3});
     }),
     {"(2, -3)", "-3"}},
    {"too_many_elements",
     throws<ShapeError>([] {
       (void)zeros({1L << 40, 1L << 40});
     }),
     {"2^63 - 1"}},
    {"external_null",
     throws<ValueError>([] { (void)from_external(nullptr, {2}, float32, device("null:0"), {}); }),
     {"[from_external]", "(2,)", "8 bytes"}},
    {"item_shape",
     throws<ShapeError>([] {
       (void)f({2, 3}).item<float>();
     }),
     {"[item]", "(2, 3)"}},
    {"item_integer",
     throws<DtypeError>([] { (void)array({2.5}).item<int>(); }),
     {"2.5", "int32", "float64", "astype"}},
    {"uniform_bounds",
     throws<ValueError>([] { random::Generator().uniform({2}, 1, 0); }),
     {"[uniform]", "[1, 0)"}},
    {"uniform_too_far",
     throws<ValueError>([] { random::Generator().uniform({2}, -3e38, 3e38); }),
     {"[uniform]", "float32", "distance"}},
    {"uniform_of_halves_too_far",
     throws<ValueError>([] { random::Generator().uniform({2}, 0, 1e5, float16); }),
     {"[uniform]", "100000", "float16"}},
    {"uniform_integers",
     throws<DtypeError>([] { random::Generator().uniform({2}, int32); }),
     {"[uniform]", "int32", "integers"}},
    {"integers_range",
     throws<DtypeError>([] { random::Generator().integers(0, 300, {2}, uint8); }),
     {"[integers]", "300", "uint8"}},
    {"grad_of_integers",
     throws<DtypeError>([] { grad([](const Array& x) { return sum(x); }, arange(3)); }),
     {"[grad]", "int64"}},
    {"grad_of_many",
     throws<ShapeError>([] {
       grad([](const Array& x) { return x; }, f({2, 3}));
     }),
     {"[grad]", "(2, 3)", "vjp"}},
    {"vjp_shape",
     throws<ShapeError>([] {
       vjp([](const Array& x) { return x; }, f({2, 3}), f({2}));
     }),
     {"[vjp]", "(2,)", "(2, 3)"}},
};

struct Mistakes : ::testing::TestWithParam<Mistake> {
  DeviceScope scope_{device("null:0")};
};

TEST_P(Mistakes, AreExplained) {
  try {
    GetParam().make();
    FAIL() << "no exception";
  } catch (const Error& error) {
    const std::string text = error.what();
    for (const std::string& word : GetParam().words) {
      EXPECT_NE(text.find(word), std::string::npos) << word << " is missing in: " << text;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Operations, Mistakes, ::testing::ValuesIn(mistakes),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST(MistakesOfDevices, InputsOnTwoDevices) {
  const Device null = device("null:0");
  const DeviceScope scope(null);
  const Array here = ones({2});
  for (const Device& other : devices()) {
    if (other == null) continue;
    const Array there = [&] {
      const DeviceScope inner(other);
      return arange(0.0, 2.0);
    }();
    try {
      (void)(arange(0.0, 2.0) * there);
      FAIL() << "no exception";
    } catch (const DeviceError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("[multiply]"), std::string::npos) << text;
      EXPECT_NE(text.find("null:0"), std::string::npos) << text;
      EXPECT_NE(text.find(other.name()), std::string::npos) << text;
      EXPECT_NE(text.find(".to("), std::string::npos) << text;
    }
    EXPECT_EQ(there.to(null).device(), null);
    EXPECT_EQ(here.to(null).node(), here.node());
  }
}

}  // namespace
}  // namespace noyau
