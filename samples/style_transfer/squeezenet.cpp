// SqueezeNet v1.1: its shape, its parameters, its features.
// SPDX-License-Identifier: Apache-2.0
#include "samples/style_transfer/squeezenet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ny = noyau;

namespace style {
namespace {

constexpr LayerInfo layer_table[] = {
    {"conv1", 64, 2},   {"fire2", 128, 4},  {"fire3", 128, 4},
    {"fire4", 256, 8},  {"fire5", 256, 8},  {"fire6", 384, 16},
    {"fire7", 384, 16}, {"fire8", 512, 16}, {"fire9", 512, 16},
};

struct ParameterShape {
  std::string name;
  std::int64_t outputs, inputs, window;
};

/// Every convolution: conv1, then squeeze, expand1x1 and expand3x3 of the fire modules.
std::vector<ParameterShape> convolutions() {
  std::vector<ParameterShape> list{{"conv1", 64, 3, 3}};
  constexpr int squeezed[] = {16, 16, 32, 32, 48, 48, 64, 64};
  std::int64_t inputs = 64;
  for (int n = 2; n <= 9; ++n) {
    const std::int64_t s = squeezed[n - 2];
    const std::string fire = fmt::format("fire{}/", n);
    list.push_back({fire + "squeeze1x1", s, inputs, 1});
    list.push_back({fire + "expand1x1", 4 * s, s, 1});
    list.push_back({fire + "expand3x3", 4 * s, s, 3});
    inputs = 8 * s;
  }
  return list;
}

ny::Array take(const std::map<std::string, ny::Array>& tensors, const std::string& path,
               const std::string& name, const ny::Shape& shape) {
  const auto found = tensors.find(name);
  if (found == tensors.end())
    throw ny::FileError(
        fmt::format("'{}' are not SqueezeNet's weights: there is no tensor '{}'", path, name));
  if (found->second.shape() != shape || !ny::is_floating(found->second.dtype()))
    throw ny::FileError(
        fmt::format("'{}' are not SqueezeNet's weights: tensor '{}' is {} of shape {}, not floats "
                    "of shape {}",
                    path, name, ny::name(found->second.dtype()),
                    ny::to_string(found->second.shape()), ny::to_string(shape)));
  return found->second;
}

}  // namespace

std::span<const LayerInfo> layers() { return layer_table; }

SqueezeNet SqueezeNet::load(const std::string& path, ny::DType dtype) {
  const std::map<std::string, ny::Array> tensors = ny::io::load_safetensors(path);
  SqueezeNet network(dtype);
  for (const auto& [name, outputs, inputs, window] : convolutions()) {
    const ny::Shape shape{outputs, inputs, window, window};
    network.parameters_[name + ".weight"] =
        astype(take(tensors, path, name + ".weight", shape), dtype);
    network.parameters_[name + ".bias"] =
        astype(take(tensors, path, name + ".bias", {outputs}), dtype);
  }
  for (const auto& [name, values] : network.parameters_) values.eval();
  return network;
}

SqueezeNet SqueezeNet::random(std::uint64_t seed, ny::DType dtype) {
  ny::random::Generator rng(seed);
  SqueezeNet network(dtype);
  for (const auto& [name, outputs, inputs, window] : convolutions()) {
    // He initialisation: the variance stays through convolution and relu.
    const double deviation = std::sqrt(2.0 / static_cast<double>(inputs * window * window));
    network.parameters_[name + ".weight"] =
        deviation * rng.normal({outputs, inputs, window, window}, dtype);
    network.parameters_[name + ".bias"] = 0.1 * rng.normal({outputs}, dtype);
  }
  for (const auto& [name, values] : network.parameters_) values.eval();
  return network;
}

ny::Array SqueezeNet::convolve(const ny::Array& x, const std::string& name,
                               ny::Conv2dOptions options) const {
  const ny::Array& bias = parameters_.at(name + ".bias");
  return relu(conv2d(x, parameters_.at(name + ".weight"), options) +
              reshape(bias, {1, bias.size(), 1, 1}));
}

ny::Array SqueezeNet::fire(const ny::Array& x, const std::string& name) const {
  const ny::Array squeezed = convolve(x, name + "/squeeze1x1", {});
  return ny::concatenate({convolve(squeezed, name + "/expand1x1", {}),
                          convolve(squeezed, name + "/expand3x3", {.padding = 1})},
                         1);
}

Features SqueezeNet::features(const ny::Array& x, std::span<const std::string> wanted) const {
  const auto pool = [](const ny::Array& f) {
    return max_pool2d(f, 3, {.stride = 2, .ceil_mode = true});
  };
  Features found;
  ny::Array f = x;
  for (const LayerInfo& layer : layer_table) {
    if (found.size() == wanted.size()) break;
    const std::string name = layer.name;
    if (name == "conv1") f = convolve(f, name, {.stride = 2});
    else f = fire(name == "fire2" || name == "fire4" || name == "fire6" ? pool(f) : f, name);
    if (std::find(wanted.begin(), wanted.end(), name) != wanted.end()) found[name] = f;
  }
  return found;
}

ny::Array mean_color(ny::DType dtype) {
  const std::vector<double> mean = {104.006, 116.669, 122.679};
  const ny::Shape shape{1, 3, 1, 1};
  if (dtype == ny::float64) return ny::array(mean, shape);
  return ny::array(std::vector<float>(mean.begin(), mean.end()), shape);  // of any device
}

}  // namespace style
