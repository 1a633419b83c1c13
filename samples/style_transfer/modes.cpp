// What noyau-style does besides styling: features, gradient check, benchmark, lists.
// SPDX-License-Identifier: Apache-2.0
#include "samples/style_transfer/modes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "samples/style_transfer/picture.hpp"

namespace ny = noyau;

namespace style {
namespace {

using Json = nlohmann::ordered_json;

/// --content and --style at one size, as the network reads them.
struct Pair {
  ny::Array content, style;
};
Pair load_pair(const Options& options, std::int64_t side, ny::DType dtype) {
  if (options.content.empty() || options.style.empty())
    throw ny::ValueError("two pictures are needed: noyau-style CONTENT STYLE ...");
  const auto prepared = [&](const std::string& path) {
    const ny::Array picture = load_picture(path, dtype);
    const auto [height, width] = size_for(picture.shape(), side);
    return prepare(picture, height, width);
  };
  return {prepared(options.content), prepared(options.style)};
}

}  // namespace

void print_features(const Options& options) {
  const SqueezeNet network = SqueezeNet::load(options.weights, options.dtype);
  std::vector<std::string> wanted;
  for (const LayerInfo& layer : layers()) wanted.emplace_back(layer.name);
  const Features features =
      network.features(to_network(load_picture(options.features_of, options.dtype)), wanted);
  Json all = Json::object();
  for (const std::string& name : wanted) {
    const ny::Array& f = features.at(name);
    all[name] = {{"shape", {f.shape()[1], f.shape()[2], f.shape()[3]}},
                 {"mean", mean(f).item<double>()},
                 {"rms", std::sqrt(mean(square(f)).item<double>())},
                 {"gram", std::sqrt(sum(square(gram(f))).item<double>())}};
  }
  fmt::print("{}\n", all.dump(1));
}

bool check_gradient(const Options& options) {
  const SqueezeNet network = SqueezeNet::load(options.weights, ny::float64);
  const Pair pictures = load_pair(options, std::min<std::int64_t>(options.size, 128), ny::float64);
  // Away from the content, where its loss and that loss's slope are zero.
  const ny::Array x = pictures.content +
                      8.0 * ny::random::Generator(1).normal(pictures.content.shape(), ny::float64);
  Stage stage(network, options.settings, pictures.content, pictures.style, x, 1);
  const auto loss = [&](const ny::Array& at) { return stage.losses_of(at).total; };

  const auto [value, gradient] = ny::value_and_grad(loss, x);
  const double length = std::sqrt(sum(square(gradient)).item<double>());
  const ny::Array direction = gradient / length;
  constexpr double h = 1e-3;
  const double slope =
      (loss(x + h * direction).item<double>() - loss(x - h * direction).item<double>()) / (2 * h);
  const double difference = std::abs(slope - length) / length;
  const bool same = difference < 1e-6;
  fmt::print(
      "loss {:.10g}\nslope by the gradient    {:.12g}\nslope by differences     {:.12g}\n"
      "relative difference      {:.2e}: {}\n",
      value.item<double>(), length, slope, difference, same ? "they agree" : "THEY DIFFER");
  return same;
}

void print_benchmark(const Options& options) {
  const SqueezeNet network = SqueezeNet::load(options.weights, options.dtype);
  const Pair pictures = load_pair(options, options.size, options.dtype);
  constexpr int warm_up = 5;
  const int steps = options.benchmark_steps + warm_up;
  Stage stage(network, options.settings, pictures.content, pictures.style, pictures.content, steps);
  std::vector<double> times;
  const int most = options.settings.jitter;
  for (int i = 0; i < steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto shift = [&](int stride) {
      return most == 0 ? 0 : i * stride % (2 * most + 1) - most;
    };
    stage.step(i, shift(2), shift(7)).total.wait();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    if (i >= warm_up) times.push_back(time.count());
  }
  std::sort(times.begin(), times.end());
  const Json result = {{"device", ny::default_device().name()},
                       {"width", pictures.content.shape()[3]},
                       {"height", pictures.content.shape()[2]},
                       {"iterations", times.size()},
                       {"ms", times[times.size() / 2]},
                       {"ms_min", times.front()},
                       {"ms_max", times.back()}};
  fmt::print("{}\n", result.dump());
}

void print_layers() {
  fmt::print("{:<8} {:>8} {:>8}\n", "layer", "channels", "stride");
  for (const LayerInfo& layer : layers())
    fmt::print("{:<8} {:>8} {:>8}\n", layer.name, layer.channels, layer.stride);
}

void print_devices() {
  for (const ny::Device& device : ny::devices())
    fmt::print("{:<10} {:<8} {}\n", device.name(), device.can_run() ? "runs" : "plans",
               device.description());
}

}  // namespace style
