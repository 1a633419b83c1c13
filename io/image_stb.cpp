// The image codecs: stb, compiled here and nowhere else, with PNG, JPEG and BMP only.
// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "io/image_codec.hpp"

#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_SIMD
#define STBI_MAX_DIMENSIONS 16384
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <fmt/format.h>
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace noyau::io {
namespace {

void append(void* context, void* data, int size) {
  auto& bytes = *static_cast<std::vector<unsigned char>*>(context);
  const auto* begin = static_cast<const unsigned char*>(data);
  bytes.insert(bytes.end(), begin, begin + size);
}

[[noreturn]] void fail_decode() {
  throw std::runtime_error(fmt::format("the picture is damaged ({})", stbi_failure_reason()));
}

}  // namespace

Picture decode(std::span<const unsigned char> file) {
  const int bytes = static_cast<int>(file.size());
  int width = 0, height = 0, channels = 0;
  Picture picture;
  picture.rgb = {stbi_load_from_memory(file.data(), bytes, &width, &height, &channels, 3),
                 stbi_image_free};
  if (!picture.rgb) fail_decode();
  picture.height = height;
  picture.width = width;
  return picture;
}

std::vector<unsigned char> encode(PictureFormat format, std::int64_t height, std::int64_t width,
                                  int channels, const unsigned char* values) {
  const int h = static_cast<int>(height), w = static_cast<int>(width);
  std::vector<unsigned char> bytes;
  int done = 0;
  switch (format) {
    case PictureFormat::png:
      done = stbi_write_png_to_func(append, &bytes, w, h, channels, values, w * channels);
      break;
    case PictureFormat::jpeg:
      done = stbi_write_jpg_to_func(append, &bytes, w, h, channels, values, 95);
      break;
    case PictureFormat::bmp:
      done = stbi_write_bmp_to_func(append, &bytes, w, h, channels, values);
      break;
  }
  if (done == 0 || bytes.empty()) throw std::runtime_error("the picture cannot be encoded");
  return bytes;
}

}  // namespace noyau::io
