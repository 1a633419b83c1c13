// Is this a whole PNG, JPEG or BMP? Walks the file's structure and checks its size in the header.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include "io/image_codec.hpp"

namespace noyau::io {
namespace {

using Bytes = std::span<const unsigned char>;

[[noreturn]] void fail(const std::string& reason) { throw std::runtime_error(reason); }

[[noreturn]] void fail_truncated(std::size_t size) {
  fail(fmt::format("it is cut short: the picture goes on after its {} bytes", size));
}

/// The unsigned number of `count` bytes at `at`; fails where the file ends before.
std::uint32_t big_endian(Bytes file, std::size_t at, std::size_t count) {
  if (at + count > file.size()) fail_truncated(file.size());
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | file[at + i];
  return value;
}
std::uint32_t little_endian(Bytes file, std::size_t at, std::size_t count) {
  if (at + count > file.size()) fail_truncated(file.size());
  std::uint32_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | file[at + i];
  return value;
}

void check_size(std::int64_t width, std::int64_t height) {
  if (width == 0 || height == 0)
    fail(fmt::format("it has no pixels: {} x {} (width x height)", width, height));
  if (width > most_pixels_a_side || height > most_pixels_a_side || width * height > most_pixels)
    fail(
        fmt::format("{} x {} pixels (width x height) are more than the {} a side and {} in all "
                    "that are accepted",
                    width, height, most_pixels_a_side, most_pixels));
}

/// The checksum of PNG's chunks (ISO 3309, as in the PNG specification, annex D).
std::uint32_t crc32(Bytes bytes) {
  static const std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> rows{};
    for (std::uint32_t n = 0; n < 256; ++n) {
      std::uint32_t c = n;
      for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
      rows[n] = c;
    }
    return rows;
  }();
  std::uint32_t c = 0xffffffffu;
  for (unsigned char byte : bytes) c = table[(c ^ byte) & 0xff] ^ (c >> 8);
  return ~c;
}

void check_png(Bytes file) {
  for (std::size_t at = 8;;) {
    const std::uint32_t length = big_endian(file, at, 4);
    if (length > 0x7fffffffu) fail(fmt::format("the chunk at byte {} has no sane length", at));
    if (at + 12 + length > file.size()) fail_truncated(file.size());
    const std::string_view type(reinterpret_cast<const char*>(file.data()) + at + 4, 4);
    if (big_endian(file, at + 8 + length, 4) != crc32(file.subspan(at + 4, length + 4)))
      fail(fmt::format("it is damaged: the checksum of the chunk at byte {} is wrong", at));
    if (at == 8) {
      if (type != "IHDR" || length != 13) fail("it is a PNG without a header");
      check_size(big_endian(file, 16, 4), big_endian(file, 20, 4));
    }
    if (type == "IEND") return;
    at += 12 + length;
  }
}

bool is_frame_header(std::uint32_t marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/// The place of the next marker after a scan's data, in which ff is followed by 00 or a restart.
std::size_t skip_scan(Bytes file, std::size_t at) {
  for (; at + 1 < file.size(); ++at) {
    if (file[at] != 0xff) continue;
    const unsigned char next = file[at + 1];
    if (next != 0 && next != 0xff && !(next >= 0xd0 && next <= 0xd7)) return at;
  }
  fail_truncated(file.size());
}

void check_jpeg(Bytes file) {
  bool sized = false;
  for (std::size_t at = 2;;) {
    if (big_endian(file, at, 1) != 0xff)
      fail(fmt::format("it is damaged: there is no marker at byte {}", at));
    const std::uint32_t marker = big_endian(file, at + 1, 1);
    if (marker == 0xff) {  // fill bytes may stand before a marker
      ++at;
      continue;
    }
    if (marker == 0xd9) {
      if (!sized) fail("it is a JPEG without a picture");
      return;
    }
    const std::uint32_t length = big_endian(file, at + 2, 2);
    if (length < 2) fail(fmt::format("it is damaged: the segment at byte {} is too short", at));
    if (is_frame_header(marker)) {
      check_size(big_endian(file, at + 7, 2), big_endian(file, at + 5, 2));
      sized = true;
    }
    at += 2 + length;
    if (marker == 0xda) at = skip_scan(file, at);
  }
}

void check_bmp(Bytes file) {
  const std::size_t pixels_at = little_endian(file, 10, 4);
  const bool old = little_endian(file, 14, 4) == 12;
  const auto width = static_cast<std::int32_t>(little_endian(file, 18, old ? 2 : 4));
  auto height = static_cast<std::int64_t>(
      static_cast<std::int32_t>(little_endian(file, old ? 20 : 22, old ? 2 : 4)));
  const std::uint32_t bits = little_endian(file, old ? 24 : 28, 2);
  if (height < 0) height = -height;  // rows from the top
  if (width < 0) fail("it is damaged: its width is negative");
  check_size(width, height);
  if (!old && little_endian(file, 30, 4) != 0 && little_endian(file, 30, 4) != 3)
    fail("compressed BMP files are not read; save it as PNG");
  const std::size_t row = (static_cast<std::size_t>(width) * bits + 31) / 32 * 4;
  if (pixels_at + row * static_cast<std::size_t>(height) > file.size()) fail_truncated(file.size());
}

}  // namespace

void check_structure(Bytes file) {
  static constexpr unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  static constexpr unsigned char jpeg[] = {0xff, 0xd8, 0xff};
  static constexpr unsigned char bmp[] = {'B', 'M'};
  const auto begins_with = [&](Bytes magic) {
    return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0;
  };
  if (file.empty()) fail("it is empty");
  if (begins_with(png)) return check_png(file);
  if (begins_with(jpeg)) return check_jpeg(file);
  if (begins_with(bmp)) return check_bmp(file);
  fail("it is neither PNG, JPEG nor BMP");
}

}  // namespace noyau::io
