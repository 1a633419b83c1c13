// Programs on every device give the interpreter's bits: each instruction, control flow, blocks.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/device.hpp"
#include "noyau/error.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/program_cases.hpp"

namespace noyau::test {
namespace {

using jit::Program;
using jit::testing::Extent;
using jit::testing::HostBuffer;

/// cpu:0 has tests of its own, of both its tiers and of the shapes of blocks that it can run.
std::vector<std::string> other_devices() {
  std::vector<std::string> names = running_devices();
  std::erase_if(names, [](const std::string& name) { return name.starts_with("cpu"); });
  return names;
}

class Programs : public DeviceTest {
 protected:
  jit::testing::Visit visit() {
    return [this](const Program& program, const Extent& extent,
                  const std::vector<std::uint64_t>& parameters,
                  const std::vector<HostBuffer>& buffers) {
      if (failures_ < 3) run(program, extent, parameters, buffers);
    };
  }

 private:
  void run(const Program& program, const Extent& extent,
           const std::vector<std::uint64_t>& parameters, const std::vector<HostBuffer>& buffers) {
    DeviceBackend& backend = device_.backend();
    if (!(last_ && jit::hash(program) == last_hash_)) last_ = backend.compile(program);
    last_hash_ = jit::hash(program);
    LaunchStep step;
    step.executable = last_.get();
    std::copy(extent.begin(), extent.end(), step.extent);
    step.parameters = parameters;
    step.name = program.name;
    for (const HostBuffer& b : buffers) {
      std::byte* memory = backend.allocate(b.bytes.size());
      backend.copy_from_host(b.bytes.data(), memory, b.bytes.size());
      step.pointers.push_back(memory);
    }
    Submission submission;
    submission.steps.push_back(step);
    submission.owner = last_;
    backend.wait(backend.submit(std::move(submission)));
    std::vector<HostBuffer> after = buffers;
    for (std::size_t k = 0; k < buffers.size(); ++k) {
      backend.copy_to_host(step.pointers[k], after[k].bytes.data(), after[k].bytes.size());
      backend.release(step.pointers[k], after[k].bytes.size());
    }
    const auto wanted = jit::testing::interpreted(program, extent, parameters, buffers);
    if (const auto result = jit::testing::same(after, wanted); !result) {
      ++failures_;
      ADD_FAILURE() << result.message() << "\n" << jit::print(program) << backend.code(program);
    }
  }

  ExecutableRef last_;
  jit::Hash128 last_hash_;
  int failures_ = 0;
};

TEST_P(Programs, HandWritten) {
  for (const jit::testing::HandWritten& h : jit::testing::hand_written_programs()) {
    visit()(jit::parse_program(h.text), h.extent, h.parameters, h.buffers);
  }
}
// Devices that compile in two tiers start with the quick one, in the other tests.
TEST_P(Programs, OptimisedAtOnce) {
  ::setenv("NOYAU_TIER", "1", 1);
  for (const jit::testing::HandWritten& h : jit::testing::hand_written_programs()) {
    visit()(jit::parse_program(h.text), h.extent, h.parameters, h.buffers);
  }
  jit::testing::visit_private_arrays(visit());
  jit::testing::visit_fma_and_select(visit());
  int k = 0;
  jit::testing::visit_random_control_flow([&](auto&&... launch) {
    if (k++ % 4 == 0) visit()(launch...);
  });
  ::unsetenv("NOYAU_TIER");
}
TEST_P(Programs, EveryInstruction) {
  for (int t = 0; t < dtype_count; ++t) {
    const auto type = static_cast<DType>(t);
    jit::testing::visit_binary(type, visit());
    jit::testing::visit_unary(type, visit());
    jit::testing::visit_conversions(type, visit());
    int k = 0;
    jit::testing::visit_constant_operands(type, [&](auto&&... launch) {
      if (k++ % 4 == 0) visit()(launch...);
    });
  }
}
TEST_P(Programs, FmaAndSelect) { jit::testing::visit_fma_and_select(visit()); }
TEST_P(Programs, MathematicalFunctions) { jit::testing::visit_math(visit()); }
TEST_P(Programs, AddressesOfEveryKind) { jit::testing::visit_addresses(float32, visit()); }
TEST_P(Programs, TransposedLoads) { jit::testing::visit_transposed_loads(visit()); }
TEST_P(Programs, PrivateArrays) { jit::testing::visit_private_arrays(visit()); }
TEST_P(Programs, RowsOfBlocks) { jit::testing::visit_streamed_rows(visit()); }
TEST_P(Programs, ShufflesAndVotes) { jit::testing::visit_shuffles_and_votes(visit()); }
TEST_P(Programs, BlocksOfEveryShape) { jit::testing::visit_block_shapes(visit()); }
TEST_P(Programs, Atomics) { jit::testing::visit_atomics(visit()); }
TEST_P(Programs, RandomControlFlow) { jit::testing::visit_random_control_flow(visit()); }

TEST_P(Programs, AFaultIsThrownByEveryWaitForIt) {
  const Program program = jit::parse_program(
      "buffer x: int64 written\n%i = item 0\n%two: int64 = constant 2\n"
      "%c = greater_equal %i, %two\nfault 7, %c, %i\nstore x[%i], %i");
  DeviceBackend& backend = device_.backend();
  const ExecutableRef kernel = backend.compile(program);
  std::byte* memory = backend.allocate(800);
  const auto submit = [&](std::int64_t n) {
    LaunchStep step;
    step.executable = kernel.get();
    step.extent[0] = n;
    step.pointers = {memory};
    step.name = "fault";
    Submission submission;
    submission.steps.push_back(step);
    submission.owner = kernel;
    return backend.submit(std::move(submission));
  };
  const std::uint64_t good = submit(2), bad = submit(100), after = submit(2);
  EXPECT_NO_THROW(backend.wait(after));
  EXPECT_NO_THROW(backend.wait(good));
  EXPECT_THROW(backend.wait(bad), IndexError);
  EXPECT_THROW(backend.wait(bad), IndexError);
  EXPECT_NO_THROW(backend.synchronize());
  backend.release(memory, 800);
}

TEST_P(Programs, ObjectsLoadAgainAndDamageIsRefused) {
  const Program program = jit::parse_program(
      "buffer x: float32 read written\n%i = item 0\n%v = load x[%i]\n%w = add %v, %v\n"
      "store x[%i], %w");
  DeviceBackend& backend = device_.backend();
  std::vector<std::byte> object = backend.compile(program)->object();
  ASSERT_FALSE(object.empty());
  EXPECT_NE(backend.load(object, program), nullptr);
  EXPECT_EQ(backend.load(std::span(object).first(20), program), nullptr);
  object[3] ^= std::byte{1};
  EXPECT_EQ(backend.load(object, program), nullptr);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Programs);
INSTANTIATE_TEST_SUITE_P(device, Programs, ::testing::ValuesIn(other_devices()), test_name);

}  // namespace
}  // namespace noyau::test
