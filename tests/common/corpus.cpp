// Kernels of every kind, for the tests of emitted text.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/corpus.hpp"

#include <gtest/gtest-spi.h>

#include <cstdlib>
#include <utility>

#include "noyau/noyau.hpp"
#include "tests/common/generated_cases.hpp"
#include "tests/common/random_program.hpp"
#include "tests/common/schedule_cases.hpp"

namespace noyau::test {

using namespace jit::testing;

namespace {

/// Plans, and hands on the programs that it is asked to show.
class RecordingDevice final : public DeviceBackend {
 public:
  RecordingDevice(const DeviceLimits& limits, VisitProgram visit)
      : limits_(limits), visit_(std::move(visit)) {}
  std::string name() const override { return "recording:0"; }
  std::string description() const override { return "shows its programs to a test"; }
  bool can_run() const override { return false; }
  const DeviceLimits& limits() const override { return limits_; }
  std::byte* allocate(std::size_t bytes) override {
    return static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
  }
  void release(std::byte* pointer, std::size_t) override { std::free(pointer); }
  std::string code_identity() const override { return "recording"; }
  ExecutableRef compile(const jit::Program&) override { return nullptr; }
  ExecutableRef load(std::span<const std::byte>, const jit::Program&) override { return nullptr; }
  std::string code(const jit::Program& program) override {
    visit_(program);
    return {};
  }
  std::uint64_t submit(Submission) override { return 0; }
  bool done(std::uint64_t) const override { return true; }
  void wait(std::uint64_t) override {}
  void synchronize() override {}

 private:
  DeviceLimits limits_;
  VisitProgram visit_;
};

}  // namespace

void visit_all_cases(const Visit& visit) {
  for (const HandWritten& h : hand_written_programs()) {
    visit(jit::parse_program(h.text), h.extent, h.parameters, h.buffers);
  }
  for (int t = 0; t < dtype_count; ++t) {
    const auto type = static_cast<DType>(t);
    visit_binary(type, visit);
    visit_constant_operands(type, visit);
    visit_unary(type, visit);
    visit_conversions(type, visit);
  }
  visit_addresses(float32, visit);
  visit_addresses(bool_, visit);
  visit_fma_and_select(visit);
  visit_math(visit);
  visit_transposed_loads(visit);
  visit_private_arrays(visit);
  visit_streamed_rows(visit);
  visit_shuffles_and_votes(visit);
  visit_block_shapes(visit);
  visit_atomics(visit);
  visit_random_control_flow(visit);
}

void visit_planned_programs(const DeviceLimits& limits, const VisitProgram& visit) {
  const Runner generated = [&](const jit::GeneratedKernel& kernel,
                               std::vector<std::vector<std::byte>>&) { visit(kernel.program); };
  // What they compute is of no interest here: nothing runs, so nothing agrees.
  ::testing::TestPartResultArray ignored;
  {
    const ::testing::ScopedFakeTestPartResultReporter reporter(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &ignored);
    check_matmuls(generated, false, 256);
    check_convolutions(generated, false, 256);
    check_max_pools(generated, false, 256);
    check_avg_pools(generated, false, 256);
  }
  RecordingDevice& device = *new RecordingDevice(limits, visit);  // arrays may outlive the test
  const DeviceScope scope{Device(&device)};
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const RandomProgram program = random_program(seed);
    const std::vector<Array> values = program.build();
    std::vector<Array> results;
    for (const int i : program.results) results.push_back(values[static_cast<std::size_t>(i)]);
    explain(results);
  }
  visit_schedule_cases([](const ScheduleCase& c) { explain(c.make()); });
}

}  // namespace noyau::test
