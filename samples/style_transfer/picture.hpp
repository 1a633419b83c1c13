// Pictures between files, sizes and what the network reads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <noyau/noyau.hpp>
#include <string>
#include <utility>

namespace style {

/// A file as [height, width, 3], RGB of 0 to 255.
noyau::Array load_picture(const std::string& path, noyau::DType dtype);
/// Saves [1, 3, height, width] as the network has it; the file appears by rename.
void save_picture(const std::string& path, const noyau::Array& x);

/// Height and width with the longer side `side`, each rounded to the nearest multiple of 16, at
/// least 32, which is what the network's three pools need.
std::pair<std::int64_t, std::int64_t> size_for(const noyau::Shape& picture, std::int64_t side);

/// RGB [height, width, 3] to BGR less the mean [1, 3, height, width], and back.
noyau::Array to_network(const noyau::Array& picture);
noyau::Array from_network(const noyau::Array& x);

/// A picture resized (bicubic, whole values of 0 to 255) for the network.
noyau::Array prepare(const noyau::Array& picture, std::int64_t height, std::int64_t width);
/// [1, 3, h, w] resized, bicubic.
noyau::Array resize_network(const noyau::Array& x, std::int64_t height, std::int64_t width);

}  // namespace style
