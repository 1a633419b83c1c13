// Copies and fills by a device's own queue.
// SPDX-License-Identifier: Apache-2.0
#include "bench/device_probe.hpp"

#include <chrono>

#include "core/memory.hpp"

namespace ny = noyau;

namespace bench {
namespace {

/// Two blocks of a device's memory, the first full of random numbers.
class Blocks {
 public:
  explicit Blocks(std::int64_t elements)
      : device_(ny::default_device().backend()),
        bytes_(elements * static_cast<std::int64_t>(sizeof(float))),
        from_(ny::memory::allocate_for_host(device_, static_cast<std::size_t>(bytes_))),
        to_(ny::memory::allocate_for_host(device_, static_cast<std::size_t>(bytes_))) {
    const std::vector<float> values =
        ny::random::Generator(3).uniform({elements}).to_vector<float>();
    device_.copy_from_host(values.data(), from_->data, static_cast<std::size_t>(bytes_));
  }

  std::uint64_t submit(ny::LaunchStep::Kind kind, int times) const {
    ny::LaunchStep step;
    step.kind = kind;
    step.name = "probe";
    step.bytes = bytes_;
    step.pointers = {to_->data};
    if (kind == ny::LaunchStep::Kind::copy)
      step.pointers.insert(step.pointers.begin(), from_->data);
    ny::Submission submission;
    submission.steps.assign(static_cast<std::size_t>(times), step);
    submission.keep_alive = {from_, to_};
    return device_.submit(std::move(submission));
  }
  void wait(std::uint64_t ticket) const { device_.wait(ticket); }
  double bytes() const { return static_cast<double>(bytes_); }

 private:
  ny::DeviceBackend& device_;
  std::int64_t bytes_;
  ny::BufferRef from_, to_;
};

}  // namespace

Run queue_case(ny::LaunchStep::Kind kind, std::int64_t elements) {
  const auto blocks = std::make_shared<const Blocks>(elements);
  const bool copies = kind == ny::LaunchStep::Kind::copy;
  Run run;
  run.once = [=] { blocks->wait(blocks->submit(kind, 1)); };
  run.enqueue = [=] { blocks->submit(kind, 1); };
  run.error = [] { return 0.0; };
  run.limit = {copies ? Probe::copy : Probe::read, blocks->bytes() * (copies ? 2 : 1)};
  return run;
}

double device_limit_ms(double bytes, std::int64_t elements) {
  constexpr int times = 4;
  const std::int64_t memory = ny::default_device().backend().limits().memory_bytes;
  constexpr std::int64_t large = std::int64_t{1} << 28, tiny = std::int64_t{1} << 20;
  // Never destroyed: the driver may be gone when static objects are.
  static const Blocks& blocks =
      *new Blocks(elements < tiny ? elements : std::min(large, memory / 64));
  const auto start = std::chrono::steady_clock::now();
  blocks.wait(blocks.submit(ny::LaunchStep::Kind::copy, times));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return took.count() / times * bytes / (2 * blocks.bytes());
}

}  // namespace bench
