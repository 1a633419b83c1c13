// Pictures as bytes: the one door to the image codecs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace noyau::io {

inline constexpr std::int64_t most_pixels_a_side = 16384;
inline constexpr std::int64_t most_pixels = std::int64_t{1} << 28;

struct Picture {
  std::int64_t height = 0, width = 0;
  std::unique_ptr<unsigned char, void (*)(void*)> rgb{nullptr, nullptr};
};

enum class PictureFormat { png, jpeg, bmp };

/// Checks from the first byte to the last that the file is a whole PNG, JPEG or BMP of an accepted
/// size: decoders fill in what is missing, so none sees a file that was cut short. Throws
/// std::runtime_error with the bare reason.
void check_structure(std::span<const unsigned char> file);

/// Decodes to 8-bit RGB a file that check_structure accepted. Throws std::runtime_error with the
/// bare reason.
Picture decode(std::span<const unsigned char> file);
/// Encodes height x width x channels (1 or 3) 8-bit values. Throws std::runtime_error.
std::vector<unsigned char> encode(PictureFormat format, std::int64_t height, std::int64_t width,
                                  int channels, const unsigned char* values);

}  // namespace noyau::io
