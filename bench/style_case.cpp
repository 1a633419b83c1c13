// One iteration of style transfer, and the empty kernel.
// SPDX-License-Identifier: Apache-2.0
#include "bench/style_case.hpp"

#include <chrono>
#include <cmath>

#include "core/device.hpp"
#include "jit/program.hpp"
#include "samples/style_transfer/losses.hpp"

namespace ny = noyau;

namespace bench {

Run style_case() {
  const std::vector<std::string> wanted{"conv1", "fire2", "fire3", "fire4", "fire5", "fire7"},
      content_layers{"fire3"};
  struct State {
    style::SqueezeNet network;
    style::Targets content, style;
    ny::Array image;
  };
  auto picture = [](std::uint64_t seed) {
    return ny::random::Generator(seed).uniform({1, 3, 512, 512}, -128.0, 128.0);
  };
  auto network = style::SqueezeNet::random(7);
  auto state = std::make_shared<State>(
      State{network, style::content_targets(network.features(picture(1), content_layers)),
            style::style_targets(network.features(picture(2), wanted)), picture(3)});
  state->image.eval();
  for (const style::Targets* t : {&state->content, &state->style}) {
    for (const auto& [layer, value] : t->values) value.eval();
    for (const auto& [layer, value] : t->norms) value.eval();
  }
  const auto loss = [state, wanted](const ny::Array& x) {
    return style::losses(x, state->network.features(x, wanted), state->content, state->style,
                         {3, 30, 0})
        .total;
  };
  Run run;
  run.once = [=] {
    const auto [value, gradient] = ny::value_and_grad(loss, state->image);
    ny::eval({value, gradient});
    gradient.wait();
  };
  run.error = [=] {
    // Along the gradient, a small step changes the loss by its squared length.
    const auto [value, gradient] = ny::value_and_grad(loss, state->image);
    const double squared = sum(square(astype(gradient, ny::float64))).item<double>();
    const double h = 0.05 / std::sqrt(squared);
    const double up = loss(state->image + static_cast<float>(h) * gradient).item<float>();
    const double down = loss(state->image - static_cast<float>(h) * gradient).item<float>();
    return std::abs((up - down) / (2 * h) / squared - 1);
  };
  return run;
}

double empty_kernel_ms(unsigned number) {
  using namespace ny::jit;
  KernelBuilder b("empty" + std::to_string(number));
  const int in = b.buffer(ny::float32, true, false), out = b.buffer(ny::float32, false, true);
  // Another private array makes another program; nothing reads it.
  b.private_array(ny::float32, 1 + number % 4096);
  const Value i = b.item(0);
  b.store(out, i, b.load(in, i));
  const Program program = b.finish();
  ny::DeviceBackend& device = ny::default_device().backend();
  const auto start = std::chrono::steady_clock::now();
  const ny::ExecutableRef executable = device.compile(program);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace bench
