// Brush strokes by array operations: each pixel looks at the strokes of the grid cells around its
// own and takes the topmost that covers it. No pixel is written twice, so no order has to be kept.
// SPDX-License-Identifier: Apache-2.0
#include "samples/paint/strokes.hpp"

#include <cmath>
#include <numbers>

namespace ny = noyau;
using ny::Array;

namespace paint {
namespace {

constexpr double reference_height = 640;

/// A grid of cells that covers the canvas and `margin` cells around it; lengths in pixels.
struct Grid {
  std::int64_t cell, margin, rows, columns;
};

Grid grid_for(const Canvas& canvas, const Brush& brush, double scale) {
  Grid grid{};
  grid.cell = std::max<std::int64_t>(2, std::llrint(brush.spacing * scale));
  grid.margin = 1 + static_cast<std::int64_t>(
                        std::ceil(0.5 * brush.length * scale / static_cast<double>(grid.cell)));
  grid.rows = (canvas.height + grid.cell - 1) / grid.cell + 2 * grid.margin;
  grid.columns = (canvas.width + grid.cell - 1) / grid.cell + 2 * grid.margin;
  return grid;
}

/// The strokes of a grid, arrays [rows, columns].
struct Strokes {
  Array x, y;      ///< the middle, in pixels of the canvas
  Array cos, sin;  ///< the direction
  Array bend;      ///< curvature, in 1 / pixels
  Array half_length, half_width;
  Array height;    ///< the topmost is seen; -1: not painted
  Array bristles;  ///< where the pattern of the hairs begins
  Color color;
  std::vector<Array> all() const {
    return {x,          y,      cos,      sin,      bend,     half_length,
            half_width, height, bristles, color[0], color[1], color[2]};
  }
};

Strokes make_strokes(const Canvas& canvas, const Scene& scene, const Brush& brush, double scale,
                     const Grid& grid, ny::random::Generator& rng) {
  const auto random = [&](double low, double high) {
    return rng.uniform({grid.rows, grid.columns}, low, high);
  };
  const auto cell = static_cast<double>(grid.cell), margin = static_cast<double>(grid.margin);
  Strokes s;
  s.y = (reshape(ny::arange(0.0, static_cast<double>(grid.rows)), {grid.rows, 1}) - margin +
         random(0, 1)) *
        cell;
  s.x = (reshape(ny::arange(0.0, static_cast<double>(grid.columns)), {1, grid.columns}) - margin +
         random(0, 1)) *
        cell;
  ny::eval({s.x, s.y});
  const double unit = 1 / static_cast<double>(canvas.height);
  const Place place{s.x * unit, s.y * unit};
  const Direction here = scene.flow(place);

  // How the direction turns a little further on is how the stroke is bent.
  constexpr double ahead = 0.01;
  const Direction there = scene.flow({place.x + ahead * here.x, place.y + ahead * here.y});
  const double length = brush.length * scale, sharpest = 0.9 / length;
  s.bend = clamp((here.x * there.y - here.y * there.x) * (unit / ahead), -sharpest, sharpest);

  const Array tilt = random(-0.175, 0.175);
  s.cos = here.x * cos(tilt) - here.y * sin(tilt);
  s.sin = here.y * cos(tilt) + here.x * sin(tilt);
  s.half_length = 0.5 * length * random(0.6, 1.2);
  s.half_width = 0.5 * brush.width * scale * random(0.7, 1.2);
  const Array painted = random(0, 1) < brush.presence + brush.detail * scene.interest(place);
  s.height = where(painted, random(0, 1), -1.0);
  s.bristles = random(0, 2 * std::numbers::pi);

  const Array bright = random(1 - brush.color_spread, 1 + brush.color_spread);
  const Array warm = random(-0.25 * brush.color_spread, 0.25 * brush.color_spread);
  s.color = scene.color(place);
  s.color = {clamp(s.color[0] * bright + warm, 0.0, 1.0), clamp(s.color[1] * bright, 0.0, 1.0),
             clamp(s.color[2] * bright - warm, 0.0, 1.0)};
  ny::eval(s.all());
  return s;
}

/// The topmost stroke of each pixel so far, arrays [rows, cell, columns, cell].
struct Seen {
  Array height;
  Color color;
};

/// Lets every pixel look at the strokes dy cells above and dx cells to the left of its own cell.
/// The grid's arrays broadcast over the pixels of a cell: nothing is gathered.
Seen look(const Seen& seen, const Strokes& strokes, const Grid& grid, const Place& pixel,
          std::int64_t dy, std::int64_t dx) {
  const auto of = [&](const Array& values) {
    return reshape(roll(values, {dy, dx}, {0, 1}), {grid.rows, 1, grid.columns, 1});
  };
  const Array x = pixel.x - of(strokes.x), y = pixel.y - of(strokes.y);
  const Array c = of(strokes.cos), s = of(strokes.sin), start = of(strokes.bristles);
  const Array along = x * c + y * s;
  const Array across = y * c - x * s - 0.5 * of(strokes.bend) * square(along);
  const Array u = along / of(strokes.half_length), v = across / of(strokes.half_width);

  const Array height = of(strokes.height);
  const Array covers = (square(square(u)) + square(v) < 1.0) & (height > seen.height);
  const Array hairs = sin(9.0 * v + start + 1.5 * sin(3.0 * u + start));
  const Array light = 1.0 + 0.10 * hairs - 0.12 * v * c + 0.06 * u;  // thick paint, lit from above
  Seen next;
  next.height = where(covers, height, seen.height);
  for (std::size_t k = 0; k < 3; ++k)
    next.color[k] = where(covers, of(strokes.color[k]) * light, seen.color[k]);
  ny::eval({next.height, next.color[0], next.color[1], next.color[2]});
  return next;
}

}  // namespace

Canvas underpainting(const Scene& scene, std::int64_t height, std::int64_t width) {
  const double unit = 1 / static_cast<double>(height);
  const Array y = (reshape(ny::arange(0.0, static_cast<double>(height)), {height, 1}) + 0.5) * unit;
  const Array x = (reshape(ny::arange(0.0, static_cast<double>(width)), {1, width}) + 0.5) * unit;
  Canvas canvas{height, width, scene.color({x, y})};
  ny::eval({canvas.color[0], canvas.color[1], canvas.color[2]});
  return canvas;
}

Canvas paint_layer(const Canvas& canvas, const Scene& scene, const Brush& brush,
                   ny::random::Generator& rng) {
  const double scale = static_cast<double>(canvas.height) / reference_height;
  const Grid grid = grid_for(canvas, brush, scale);
  const Strokes strokes = make_strokes(canvas, scene, brush, scale, grid, rng);

  const auto pixels = [&](std::int64_t cells) {
    return ny::arange(0.0, static_cast<double>(cells * grid.cell)) + 0.5 -
           static_cast<double>(grid.margin * grid.cell);
  };
  const Place pixel{reshape(pixels(grid.columns), {1, 1, grid.columns, grid.cell}),
                    reshape(pixels(grid.rows), {grid.rows, grid.cell, 1, 1})};
  const ny::Shape shape{grid.rows, grid.cell, grid.columns, grid.cell};
  Seen seen{ny::full(shape, -0.5), {ny::zeros(shape), ny::zeros(shape), ny::zeros(shape)}};
  ny::eval({seen.height, seen.color[0], seen.color[1], seen.color[2], pixel.x, pixel.y});
  const std::int64_t reach = grid.margin - 1;
  for (std::int64_t dy = -reach; dy <= reach; ++dy)
    for (std::int64_t dx = -reach; dx <= reach; ++dx)
      seen = look(seen, strokes, grid, pixel, dy, dx);

  const auto crop = [&](const Array& values) {
    const std::int64_t from = grid.margin * grid.cell;
    return reshape(values, {grid.rows * grid.cell, grid.columns * grid.cell})[{
        ny::slice(from, from + canvas.height), ny::slice(from, from + canvas.width)}];
  };
  Canvas painted = canvas;
  for (std::size_t k = 0; k < 3; ++k)
    painted.color[k] = where(crop(seen.height) >= 0.0, crop(seen.color[k]), canvas.color[k]);
  ny::eval({painted.color[0], painted.color[1], painted.color[2]});
  return painted;
}

}  // namespace paint
