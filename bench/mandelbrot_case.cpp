// The Mandelbrot set: a loop with an exit in every lane, beside the scalar loop of a C++ program.
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>

#include "bench/style_case.hpp"
#include "core/device.hpp"
#include "jit/program.hpp"
#include "tests/jit/program_texts.hpp"

namespace ny = noyau;

namespace bench {
namespace {

constexpr std::size_t side = 2048;
constexpr std::int32_t iterations = 256;
constexpr float left = -2.0f, top = -1.5f, pixel = 3.0f / static_cast<float>(side);

std::int32_t steps_at(std::size_t px, std::size_t py) {
  const float cx = left + static_cast<float>(px) * pixel;
  const float cy = top + static_cast<float>(py) * pixel;
  float x = 0, y = 0;
  std::int32_t k = 0;
  for (; x * x + y * y <= 4 && k < iterations; ++k) {
    const float next = x * x - y * y + cx;
    y = 2 * (x * y) + cy;
    x = next;
  }
  return k;
}

/// The loop that one writes without a library; every thread takes each `threads`-th row.
std::vector<std::int32_t> scalar_loop(int threads) {
  std::vector<std::int32_t> steps(side * side);
  const auto work = [&](std::size_t first) {
    for (std::size_t py = first; py < side; py += static_cast<std::size_t>(threads))
      for (std::size_t px = 0; px < side; ++px) steps[py * side + px] = steps_at(px, py);
  };
  std::vector<std::thread> team;
  for (int t = 1; t < threads; ++t) team.emplace_back(work, static_cast<std::size_t>(t));
  work(0);
  for (std::thread& t : team) t.join();
  return steps;
}

template <class T>
std::uint64_t bits_of(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

/// The kernel and the device memory of its result.
class Picture {
 public:
  Picture()
      : device_(ny::default_device().backend()),
        kernel_(device_.compile(ny::jit::parse_program(ny::jit::testing::mandelbrot_text))),
        steps_(device_.allocate(bytes)) {}
  ~Picture() { device_.release(steps_, bytes); }
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;

  void draw() {
    ny::LaunchStep step;
    step.executable = kernel_.get();
    step.extent[0] = step.extent[1] = static_cast<std::int64_t>(side);
    step.pointers = {steps_};
    step.parameters = {side, bits_of(iterations), bits_of(left), bits_of(top), bits_of(pixel)};
    step.bytes = static_cast<std::int64_t>(bytes);
    step.name = "mandelbrot";
    ny::Submission submission;
    submission.steps.push_back(std::move(step));
    submission.owner = kernel_;
    device_.wait(device_.submit(std::move(submission)));
  }
  /// The share of pixels that differ from the scalar loop's.
  double error() const {
    const std::vector<std::int32_t> wanted = scalar_loop(1);
    std::size_t different = 0;
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      std::int32_t got = 0;
      std::memcpy(&got, steps_ + k * sizeof got, sizeof got);
      different += got != wanted[k];
    }
    return static_cast<double>(different) / static_cast<double>(wanted.size());
  }

 private:
  static constexpr std::size_t bytes = side * side * sizeof(std::int32_t);
  ny::DeviceBackend& device_;
  ny::ExecutableRef kernel_;
  std::byte* steps_;
};

}  // namespace

Run mandelbrot_case() {
  auto picture = std::make_shared<Picture>();
  Run run;
  run.once = [=] { picture->draw(); };
  run.error = [=] { return picture->error(); };
  run.limit_ms = [](int threads) {
    const auto start = std::chrono::steady_clock::now();
    (void)scalar_loop(threads);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  };
  return run;
}

}  // namespace bench
