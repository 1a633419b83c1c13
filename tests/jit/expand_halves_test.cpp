// float16 and bfloat16 become integers: the expanded program computes what the plain one does.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "jit/emit_c.hpp"
#include "jit/legalise.hpp"
#include "jit/simplify.hpp"
#include "tests/common/program_cases.hpp"

namespace noyau::jit {
namespace {

bool has_halves(const Program& p) {
  const auto half = [](const auto& thing) { return is_half(thing.dtype); };
  return std::ranges::any_of(p.memory, half) || std::ranges::any_of(p.parameters, half) ||
         std::ranges::any_of(p.instructions, [](const Instruction& i) { return is_half(i.type); });
}

/// Whether expanded and flattened programs compute the same as `program`.
void check(const Program& program, const testing::Extent& extent,
           const std::vector<std::uint64_t>& parameters,
           const std::vector<testing::HostBuffer>& buffers) {
  const std::vector<testing::HostBuffer> wanted =
      testing::interpreted(program, extent, parameters, buffers);
  for (const Program& plain : {expand_halves(program), flatten(program)}) {
    verify(plain);
    EXPECT_FALSE(has_halves(plain)) << print(plain);
    EXPECT_TRUE(testing::same(wanted, testing::interpreted(plain, extent, parameters, buffers)))
        << print(program) << print(plain);
  }
  const Program native = flatten(program, true);
  verify(native);
  EXPECT_TRUE(testing::same(wanted, testing::interpreted(native, extent, parameters, buffers)))
      << print(program) << print(native);
}

TEST(ExpandHalves, ConversionsOfEveryType) {
  for (int t = 0; t < dtype_count; ++t) testing::visit_conversions(static_cast<DType>(t), check);
}

TEST(ExpandHalves, FunctionsRegionsMemoryAndShuffles) {
  const testing::HandWritten h = testing::halves_program();
  const Program program = parse_program(h.text);
  ASSERT_TRUE(has_halves(program));
  check(program, h.extent, h.parameters, h.buffers);
}

TEST(ExpandHalves, LeavesOtherProgramsAlone) {
  for (const testing::HandWritten& h : testing::hand_written_programs()) {
    const Program program = parse_program(h.text);
    EXPECT_TRUE(has_halves(program) || expand_halves(program) == program) << h.name;
  }
}

TEST(ExpandHalves, PrintsFloats) {
  const Program program =
      flatten(parse_program("format \"%g\"\n%h: float16 = constant 0.5\nprint 0, %h"));
  verify(program);
  const Instruction& last = program.instructions.back();
  ASSERT_EQ(last.op, Opcode::print);
  EXPECT_EQ(program[program.operands_of(last)[0]].type, float32);
}

// What goes to float32 and back stays: nothing is computed.
TEST(ExpandHalves, WideningAndComingBackIsNothing) {
  for (const char* wide : {"float32", "float64"}) {
    const Program program = simplify(parse_program(
        std::string("buffer x: bfloat16 read\nbuffer y: bfloat16 written\n%i = item 0\n"
                    "%v = load x[%i]\n%w: ") +
        wide + " = convert %v\n%b: bfloat16 = convert %w\nstore y[%i], %b"));
    EXPECT_EQ(program.size(), 3) << print(program);
  }
  // By way of the other half it is not.
  const Program program = simplify(
      parse_program("buffer x: bfloat16 read\nbuffer y: bfloat16 written\n%i = item 0\n"
                    "%v = load x[%i]\n%w: float16 = convert %v\n%b: bfloat16 = convert %w\n"
                    "store y[%i], %b"));
  EXPECT_EQ(program.size(), 5) << print(program);
}

// No type, function or extension of half precision is asked of a compiler.
TEST(ExpandHalves, TextsKnowNoHalves) {
  const Program program = parse_program(testing::halves_text);
  for (const Dialect* dialect : {&cuda_dialect(), &opencl_dialect()}) {
    const std::string text = emit_c(program, *dialect, {}).text;
    for (const char* word : {"half", "fp16", "bf16", "float16"}) {
      EXPECT_EQ(text.substr(text.find('\n')).find(word), std::string::npos) << word << "\n" << text;
    }
  }
}

TEST(ExpandHalves, ConstantsReadBackAsPrinted) {
  for (int bits = 0; bits < 0x10000; bits += 7) {
    for (const DType half : {float16, bfloat16}) {
      KernelBuilder b("constant");
      b.store(b.buffer(half, false, true), b.item(0),
              b.constant({half, static_cast<std::uint64_t>(bits)}));
      const Program program = b.finish();
      EXPECT_EQ(parse_program(print(program)), program) << print(program);
    }
  }
}

}  // namespace
}  // namespace noyau::jit
