// Brush strokes: many short, bent, overlapping marks that follow the scene's flow.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "samples/paint/scene.hpp"

namespace paint {

/// One layer of strokes; lengths in pixels of a picture 640 pixels high.
struct Brush {
  double spacing;           ///< one stroke for each square of this side, at a random place in it
  double width, length;     ///< of a stroke
  double presence, detail;  ///< the share of strokes painted: presence + detail * scene.interest
  double color_spread;      ///< how much colours differ from the scene's
};

/// A canvas of height x width pixels.
struct Canvas {
  std::int64_t height, width;
  Color color;
};

/// The scene without strokes.
Canvas underpainting(const Scene& scene, std::int64_t height, std::int64_t width);
/// The canvas with a layer of strokes over it, evaluated.
Canvas paint_layer(const Canvas& canvas, const Scene& scene, const Brush& brush,
                   noyau::random::Generator& rng);

}  // namespace paint
