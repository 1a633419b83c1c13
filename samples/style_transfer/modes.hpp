// What noyau-style does besides styling: features, gradient check, benchmark, lists.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "samples/style_transfer/options.hpp"

namespace style {

/// {LAYER: {"shape", "mean", "rms", "gram"}} of a picture at its own size, as JSON.
void print_features(const Options& options);
/// The gradient of the loss against a central difference along it, in float64. False when they
/// differ by more than a millionth.
bool check_gradient(const Options& options);
/// Times steps at --size; prints {"device", "width", "height", "iterations", "ms", "ms_min"...}.
void print_benchmark(const Options& options);
void print_layers();
void print_devices();

}  // namespace style
