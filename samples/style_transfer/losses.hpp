// What a styled picture is judged by: content, style and smoothness (Gatys, Ecker, Bethge 2016),
// each divided by its target's own size, so that layers and pictures weigh alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "samples/style_transfer/squeezenet.hpp"

namespace style {

struct LossWeights {
  double content = 3, style = 30, tv = 0.005;
};

/// What to come near: values by layer, and the sum of their squares.
struct Targets {
  Features values, norms;
};
/// The features themselves.
Targets content_targets(const Features& features);
/// Their Gram matrices.
Targets style_targets(const Features& features);

struct Losses {
  noyau::Array content, style, tv, total;
};

/// F F^T / (C N) of features [1, C, h, w], N = h w: a matrix [C, C].
noyau::Array gram(const noyau::Array& features);

/// mean over the content layers of |F - P|^2 / |P|^2, over the style layers of |G - A|^2 / |A|^2,
/// and (mean dx^2 + mean dy^2) / 127.5 of the picture x [1, 3, h, w] on the scale 0 to 255.
Losses losses(const noyau::Array& x, const Features& features, const Targets& content,
              const Targets& style, const LossWeights& weights);

}  // namespace style
