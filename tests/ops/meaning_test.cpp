// Every row of ops.def in every dtype: its meaning in the interpreter against the reference
// evaluator.
// SPDX-License-Identifier: Apache-2.0
#include "ops/meaning.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "core/convert.hpp"
#include "jit/interpret.hpp"
#include "noyau/noyau.hpp"
#include "ops/build.hpp"
#include "tests/ops/evaluate.hpp"

namespace noyau {
namespace {

constexpr std::int64_t count = 64;

/// Bytes of `count` values of a dtype.
using Bytes = std::vector<std::uint64_t>;

struct Case {
  int op;
  DType type;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << ops::op_table[c.op].name << " of " << name(c.type);
}

/// Values in the row's range, and the awkward ones of the dtype.
Bytes inputs(const ops::OpRow& row, DType type, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> spread(row.sample_low, row.sample_high);
  Bytes bytes(count);
  auto* out = reinterpret_cast<std::byte*>(bytes.data());
  const double awkward[] = {0, -0.0, 1, -1, 2, INFINITY, -INFINITY, NAN, 1e300, -1e300, 1e-3, 0.5};
  for (std::int64_t i = 0; i < count; ++i) {
    const bool odd = i < 40 && row.rule != ops::TypeRule::floating;
    const double value = odd ? awkward[random() % std::size(awkward)] : spread(random);
    const Scalar s = Scalar::of(value).as(type);
    std::memcpy(out + static_cast<std::size_t>(i) * size_of(type), &s.bits, size_of(type));
  }
  return bytes;
}

/// Runs the meaning of an operation, element by element.
Bytes interpreted(const ops::OpRow& row, const Case& c, std::vector<Bytes>& in,
                  const std::vector<DType>& types, DType result) {
  jit::KernelBuilder b(std::string(row.name));
  std::vector<int> buffers;
  for (DType type : types) buffers.push_back(b.buffer(type, true, false));
  buffers.push_back(b.buffer(result, false, true));
  const jit::Value item = b.item(0);
  std::vector<jit::Value> values;
  for (std::size_t k = 0; k < types.size(); ++k) values.push_back(b.load(buffers[k], item));
  const ops::Meaning meaning = ops::meaning(static_cast<ops::ElementwiseOp>(c.op), c.type);
  b.store(buffers.back(), item,
          b.inline_function(*meaning.program, meaning.function, values).at(0));
  const jit::Program program = b.finish();
  jit::verify(program);

  Bytes out(count);
  std::vector<jit::InterpreterBuffer> arguments;
  for (Bytes& bytes : in) arguments.push_back({bytes.data(), count});
  arguments.push_back({out.data(), count});
  const std::int64_t extent[3] = {count, 1, 1};
  EXPECT_EQ(jit::interpret(program, extent, arguments, {}), 0);
  return out;
}

struct Meanings : ::testing::TestWithParam<Case> {
  DeviceScope scope_{device("null:0")};
};

TEST_P(Meanings, AgreesWithTheReference) {
  const Case c = GetParam();
  const ops::OpRow& row = ops::op_table[c.op];
  const DType result = ops::result_dtype(row, c.type);
  std::vector<DType> types;
  std::vector<Bytes> in;
  std::vector<Array> arrays;
  for (int k = 0; k < row.inputs; ++k) {
    types.push_back(row.rule == ops::TypeRule::select && k == 0 ? bool_ : c.type);
    in.push_back(inputs(row, types.back(), static_cast<unsigned>(100 * c.op + k)));
    arrays.push_back(
        detail::make_array_checked(in.back().data(), count, types.back(), {count}, types.back()));
  }
  const Array node = make_node({.kind = NodeKind::elementwise,
                                .code = static_cast<std::uint8_t>(c.op),
                                .dtype = result,
                                .shape = {count},
                                .inputs = arrays});
  const reference::Value expected = reference::evaluate(node, reference::Rounding::each_operation);
  const Bytes bytes = interpreted(row, c, in, types, result);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const auto* at = reinterpret_cast<const std::byte*>(bytes.data()) + i * size_of(result);
    Scalar got{result, 0};
    std::memcpy(&got.bits, at, size_of(result));
    if (!is_floating(result)) {
      EXPECT_EQ(is_signed(result) ? static_cast<std::uint64_t>(got.to_int64()) : got.bits,
                expected.integers[i])
          << "element " << i;
      continue;
    }
    const double want = expected.reals[i], have = got.to_double();
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(have)) << "element " << i << ": " << have;
    } else if (std::isinf(want) || want == 0) {
      EXPECT_EQ(have, want) << "element " << i;
      EXPECT_EQ(std::signbit(have), std::signbit(want)) << "element " << i;
    } else {
      const double epsilon = result == float32 ? 0x1p-23 : 0x1p-52;
      EXPECT_NEAR(have, want, 4 * epsilon * std::abs(want)) << "element " << i;
    }
  }
}

std::vector<Case> every_case() {
  std::vector<Case> list;
  for (int op = 0; op < ops::op_count; ++op) {
    for (int type = 0; type < dtype_count; ++type) {
      const auto dtype = static_cast<DType>(type);
      const bool never = dtype == bool_ && ops::op_table[op].name == "bitwise_not";  // logical_not
      if (!never && ops::computes_in(ops::op_table[op], dtype)) list.push_back({op, dtype});
    }
  }
  return list;
}
INSTANTIATE_TEST_SUITE_P(Rows, Meanings, ::testing::ValuesIn(every_case()),
                         [](const auto& parameter) {
                           return std::string(ops::op_table[parameter.param.op].name) + "_" +
                                  std::string(name(parameter.param.type));
                         });

TEST(Meaning, DerivativesAreFunctionsOfInputsAndResult) {
  const ops::Meaning d = ops::derivative(ops::ElementwiseOp::divide, 1, float32);
  ASSERT_NE(d.function, jit::no_value);
  jit::KernelBuilder b("derivative");
  const int out = b.buffer(float32, false, true);
  const std::vector<jit::Value> in = {b.constant_of(6.f), b.constant_of(2.f), b.constant_of(3.f)};
  b.store(out, b.constant_i64(0), b.inline_function(*d.program, d.function, in).at(0));
  float result = 0;
  const jit::InterpreterBuffer buffer{&result, 1};
  const std::int64_t extent[3] = {1, 1, 1};
  jit::interpret(b.finish(), extent, {&buffer, 1}, {});
  EXPECT_EQ(result, -1.5f);
  EXPECT_EQ(ops::derivative(ops::ElementwiseOp::floor, 0, float32).function, jit::no_value);
  EXPECT_EQ(ops::derivative(ops::ElementwiseOp::add, 0, int32).function, jit::no_value);
  EXPECT_THROW(ops::meaning(ops::ElementwiseOp::sqrt, int32), InternalError);
}

}  // namespace
}  // namespace noyau
