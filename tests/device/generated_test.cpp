// Generated kernels on each device, bit by bit against plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "core/device.hpp"
#include "jit/simplify.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/generated_cases.hpp"

namespace noyau::test {
namespace {

class Generated : public DeviceTest {
 protected:
  /// Compiles and launches, on memory of the device itself.
  void launch(const jit::GeneratedKernel& kernel, std::vector<std::vector<std::byte>>& buffers) {
    DeviceBackend& backend = device_.backend();
    const ExecutableRef executable = backend.compile(jit::simplify(kernel.program));
    LaunchStep step;
    step.executable = executable.get();
    std::copy(kernel.extent, kernel.extent + 3, step.extent);
    step.parameters = kernel.parameters;
    step.name = "generated";
    for (const auto& bytes : buffers) {
      step.pointers.push_back(backend.allocate(bytes.size()));
      backend.copy_from_host(bytes.data(), step.pointers.back(), bytes.size());
    }
    Submission submission;
    submission.steps.push_back(step);
    submission.owner = executable;
    backend.wait(backend.submit(std::move(submission)));
    for (std::size_t k = 0; k < buffers.size(); ++k) {
      backend.copy_to_host(step.pointers[k], buffers[k].data(), buffers[k].size());
      backend.release(step.pointers[k], buffers[k].size());
    }
  }
  int threads() const { return device_.backend().limits().block_threads; }
  Runner runner() {
    return [this](const jit::GeneratedKernel& k, std::vector<std::vector<std::byte>>& b) {
      launch(k, b);
    };
  }
};

/// Of every dtype, where compiling is cheap.
bool is_thorough() { return default_device().name().starts_with("cpu"); }

TEST_P(Generated, Matmul) { check_matmuls(runner(), is_thorough(), threads()); }
TEST_P(Generated, Convolution) { check_convolutions(runner(), is_thorough(), threads()); }
TEST_P(Generated, MaxPool) { check_max_pools(runner(), is_thorough(), threads()); }
TEST_P(Generated, AvgPool) { check_avg_pools(runner(), is_thorough(), threads()); }

NOYAU_FOR_EACH_DEVICE(Generated);

}  // namespace
}  // namespace noyau::test
