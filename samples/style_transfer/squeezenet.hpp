// SqueezeNet v1.1 (Iandola et al., 2016) with Caffe's weights: pictures to features.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <noyau/noyau.hpp>
#include <span>
#include <string>
#include <vector>

namespace style {

struct LayerInfo {
  const char* name;
  int channels;
  int stride;  ///< in pixels of the picture
};
/// The layers whose features can be asked for, in the network's order.
std::span<const LayerInfo> layers();

using Features = std::map<std::string, noyau::Array>;

/// The network up to fire9, in float32 or float64.
class SqueezeNet {
 public:
  /// From a safetensors file with "conv1.weight" (OIHW), "conv1.bias", "fire2/squeeze1x1.weight"...
  /// FileError names what is missing or has another shape.
  static SqueezeNet load(const std::string& path, noyau::DType dtype = noyau::float32);
  /// Random weights that keep magnitudes, for tests and benchmarks that must not need a file.
  static SqueezeNet random(std::uint64_t seed, noyau::DType dtype = noyau::float32);

  /// The features [1, channels, h, w] of x [1, 3, height, width], BGR less its mean, at the wanted
  /// layers; nothing behind the last of them is built.
  Features features(const noyau::Array& x, std::span<const std::string> wanted) const;
  noyau::DType dtype() const { return dtype_; }

 private:
  explicit SqueezeNet(noyau::DType dtype) : dtype_(dtype) {}
  noyau::Array convolve(const noyau::Array& x, const std::string& name,
                        noyau::Conv2dOptions options) const;
  noyau::Array fire(const noyau::Array& x, const std::string& name) const;

  noyau::DType dtype_;
  std::map<std::string, noyau::Array> parameters_;
};

/// The mean of the training pictures, as an array [1, 3, 1, 1]: blue, green, red of 0 to 255.
noyau::Array mean_color(noyau::DType dtype);

}  // namespace style
