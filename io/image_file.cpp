// image::load, save and to_float.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cctype>
#include <stdexcept>

#include "io/file.hpp"
#include "io/image_codec.hpp"
#include "noyau/image.hpp"
#include "noyau/ops.hpp"

namespace noyau::image {
namespace {

// Enough for any accepted picture without compression.
constexpr std::int64_t most_file_bytes = std::int64_t{1} << 30;

io::PictureFormat format_of(const std::string& path) {
  const std::size_t dot = path.find_last_of("./");
  std::string ending = dot == std::string::npos ? "" : path.substr(dot);
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (ending == ".png") return io::PictureFormat::png;
  if (ending == ".jpg" || ending == ".jpeg") return io::PictureFormat::jpeg;
  if (ending == ".bmp") return io::PictureFormat::bmp;
  throw FileError(
      fmt::format("cannot save '{}': the name must end in .png, .jpg, .jpeg or .bmp", path));
}

void check_picture(const Operand& image) {
  if (image.is_scalar())
    throw ShapeError("[image::save] needs an array of shape (height, width, 1 or 3), got a scalar");
  const Shape& shape = image.array().shape();
  if (shape.rank() != 3 || (shape[2] != 1 && shape[2] != 3))
    throw ShapeError(fmt::format(
        "[image::save] needs shape (height, width, 1 or 3), got {}; permute or reshape it first",
        to_string(shape)));
  if (shape[0] < 1 || shape[1] < 1)
    throw ShapeError(
        fmt::format("[image::save] a picture of shape {} has no pixels", to_string(shape)));
  if (shape[0] > io::most_pixels_a_side || shape[1] > io::most_pixels_a_side ||
      shape[0] * shape[1] > io::most_pixels)
    throw ShapeError(
        fmt::format("[image::save] shape {} is more than {} pixels a side or {} in all",
                    to_string(shape), io::most_pixels_a_side, io::most_pixels));
}

/// The picture as 8-bit values, lazily.
Array to_bytes(const Array& image) {
  if (image.dtype() == uint8) return image;
  if (is_half(image.dtype())) return to_bytes(astype(image, float32));
  if (is_floating(image.dtype())) return astype(round(clamp(image, 0.0, 1.0) * 255.0), uint8);
  throw DtypeError(fmt::format(
      "[image::save] needs uint8 or floats in [0, 1], got {}; convert it with astype first",
      name(image.dtype())));
}

}  // namespace

Array load(const std::string& path) {
  const std::vector<unsigned char> file = io::read_file(path, most_file_bytes);
  try {
    io::check_structure(file);
    const io::Picture picture = io::decode(file);
    const auto count = static_cast<std::size_t>(picture.height * picture.width * 3);
    return array(std::span<const unsigned char>(picture.rgb.get(), count),
                 Shape{picture.height, picture.width, 3});
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw FileError(fmt::format("cannot read the picture '{}': {}", path, error.what()));
  }
}

void save(const std::string& path, Operand image) {
  const io::PictureFormat format = format_of(path);
  check_picture(image);
  const Shape shape = image.array().shape();
  const std::vector<std::uint8_t> values = to_bytes(image.array()).to_vector<std::uint8_t>();
  std::vector<unsigned char> file;
  try {
    file = io::encode(format, shape[0], shape[1], static_cast<int>(shape[2]), values.data());
  } catch (const std::runtime_error& error) {
    throw FileError(fmt::format("cannot save '{}': {}", path, error.what()));
  }
  io::write_file(path, {file});
}

Array to_float(Operand image) {
  if (image.is_scalar() || image.array().dtype() != uint8)
    throw DtypeError(fmt::format(
        "[image::to_float] needs a uint8 array, got {}",
        image.is_scalar() ? std::string_view("a scalar") : name(image.array().dtype())));
  return astype(std::move(image), float32) / 255.0;
}

}  // namespace noyau::image
