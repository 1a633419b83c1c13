// One iteration of style transfer, and the empty kernel.
// SPDX-License-Identifier: Apache-2.0
#include "bench/style_case.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include "core/device.hpp"
#include "jit/program.hpp"
#include "samples/style_transfer/losses.hpp"

namespace ny = noyau;

namespace bench {

namespace {

/// From a picture to the features of the wanted layers.
using Network = std::function<style::Features(const ny::Array&, std::span<const std::string>)>;

/// One iteration without the step: loss and gradient.
Run iteration(const Network& network, const std::vector<std::string>& style_layers,
              const std::string& content_layer, std::int64_t side) {
  struct State {
    style::Targets content, style;
    ny::Array image;
  };
  auto picture = [side](std::uint64_t seed) {
    return ny::random::Generator(seed).uniform({1, 3, side, side}, -128.0, 128.0);
  };
  std::vector<std::string> wanted = style_layers;
  if (std::find(wanted.begin(), wanted.end(), content_layer) == wanted.end())
    wanted.push_back(content_layer);
  auto state = std::make_shared<State>(
      State{style::content_targets(network(picture(1), std::vector{content_layer})),
            style::style_targets(network(picture(2), style_layers)), picture(3)});
  state->image.eval();
  for (const style::Targets* t : {&state->content, &state->style}) {
    for (const auto& [layer, value] : t->values) value.eval();
    for (const auto& [layer, value] : t->norms) value.eval();
  }
  const auto loss = [=](const ny::Array& x) {
    return style::losses(x, network(x, wanted), state->content, state->style, {3, 30, 0}).total;
  };
  const auto evaluated = [=] {
    const auto [value, gradient] = ny::value_and_grad(loss, state->image);
    ny::eval({value, gradient});
    return gradient;
  };
  Run run;
  run.once = [=] { evaluated().wait(); };
  run.enqueue = [=] { evaluated(); };
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

struct Convolution {
  const char* name;  ///< of the relu after it
  std::int64_t channels;
  bool pooled;  ///< what it is given
};
constexpr Convolution vgg_layers[] = {
    {"relu1_1", 64, false},  {"relu1_2", 64, false},  {"relu2_1", 128, true},
    {"relu2_2", 128, false}, {"relu3_1", 256, true},  {"relu3_2", 256, false},
    {"relu3_3", 256, false}, {"relu3_4", 256, false}, {"relu4_1", 512, true},
    {"relu4_2", 512, false}, {"relu4_3", 512, false}, {"relu4_4", 512, false},
    {"relu5_1", 512, true}};

Network random_vgg(std::uint64_t seed) {
  ny::random::Generator rng(seed);
  std::vector<ny::Array> weights, biases;
  std::int64_t inputs = 3;
  for (const Convolution& layer : vgg_layers) {
    // He initialisation: the variance stays through convolution and relu.
    const double deviation = std::sqrt(2.0 / static_cast<double>(inputs * 9));
    weights.push_back(deviation * rng.normal({layer.channels, inputs, 3, 3}));
    biases.push_back(0.1 * rng.normal({1, layer.channels, 1, 1}));
    ny::eval({weights.back(), biases.back()});
    inputs = layer.channels;
  }
  return [=](const ny::Array& x, std::span<const std::string> wanted) {
    style::Features found;
    ny::Array f = x;
    for (std::size_t k = 0; k < std::size(vgg_layers) && found.size() < wanted.size(); ++k) {
      if (vgg_layers[k].pooled) f = max_pool2d(f, 2);
      f = relu(conv2d(f, weights[k], {.padding = 1}) + biases[k]);
      const std::string name = vgg_layers[k].name;
      if (std::find(wanted.begin(), wanted.end(), name) != wanted.end()) found[name] = f;
    }
    return found;
  };
}

}  // namespace

Run squeeze_case(std::int64_t side) {
  const auto network = std::make_shared<const style::SqueezeNet>(style::SqueezeNet::random(7));
  return iteration(
      [=](const ny::Array& x, std::span<const std::string> wanted) {
        return network->features(x, wanted);
      },
      {"conv1", "fire2", "fire3", "fire4", "fire5", "fire7"}, "fire3", side);
}

Run vgg_case(std::int64_t side) {
  return iteration(random_vgg(7), {"relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"},
                   "relu4_2", side);
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
