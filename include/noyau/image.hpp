// Images: load, save, resize.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "noyau/array.hpp"

namespace noyau {
enum class Resize { nearest, bilinear, bicubic };
}

namespace noyau::image {

/// A PNG, JPEG or BMP file as uint8 [height, width, 3], alpha dropped. FileError names the file and
/// what is wrong; at most 16,384 pixels a side and 2^28 in all.
Array load(const std::string& path);
/// Saves [height, width, 1 or 3]: uint8 as it is, floats in [0, 1] clipped, times 255, rounded half
/// to even. PNG, JPEG or BMP by the name's ending. The file appears by rename, never half-written.
/// FileError, ShapeError.
void save(const std::string& path, Operand image);
/// uint8 to float32 in [0, 1].
Array to_float(Operand image);
/// [height, width, channels] (floats) to the given size as Pillow does: half-pixel centres,
/// antialiased when shrinking, bicubic with a = -0.5, weights renormalised at the edges.
Array resize(Operand image, std::int64_t height, std::int64_t width,
             Resize method = Resize::bilinear);

}  // namespace noyau::image
