// io::load_npy and save_npy: a header that is a Python dictionary, then the values.
// Format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "io/file.hpp"
#include "noyau/io.hpp"
#include "noyau/ops.hpp"

namespace noyau::io {
namespace {

constexpr std::int64_t most_header_bytes = std::int64_t{1} << 20;
constexpr std::int64_t most_file_bytes = std::int64_t{1} << 40;
constexpr std::string_view magic("\x93NUMPY", 6);

struct TypeName {
  DType dtype;
  const char* name;
};
constexpr TypeName type_names[] = {
    {bool_, "|b1"},  {int8, "|i1"},    {int16, "<i2"},   {int32, "<i4"},
    {int64, "<i8"},  {uint8, "|u1"},   {uint16, "<u2"},  {uint32, "<u4"},
    {uint64, "<u8"}, {float32, "<f4"}, {float64, "<f8"}, {float16, "<f2"},
};

/// Throws a reason that load_npy completes with the file's name.
[[noreturn]] void fail(const std::string& reason) { throw std::runtime_error(reason); }

struct Header {
  DType dtype = float32;
  bool fortran_order = false;
  Shape shape;
};

/// Reads the one form of dictionary that NumPy writes, its keys in any order.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  Header parse() {
    Header header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !descr) {
        header.dtype = find_dtype(quoted());
        descr = true;
      } else if (key == "fortran_order" && !order) {
        header.fortran_order = boolean();
        order = true;
      } else if (key == "shape" && !shape) {
        header.shape = tuple();
        shape = true;
      } else {
        fail(fmt::format("the header's key '{}' is unknown or there twice", key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) fail("the header goes on after its dictionary");
    if (!descr || !order || !shape) fail("the header lacks descr, fortran_order or shape");
    return header;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool accept(char wanted) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail(fmt::format("'{}' is missing at byte {} of the header", wanted, at_));
  }
  std::string_view quoted() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : ' ';
    if (quote != '\'' && quote != '"') fail(fmt::format("no string at byte {} of the header", at_));
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a string of the header does not end");
    const std::string_view value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return word == "True";
    }
    fail("fortran_order is neither True nor False");
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      if (shape.rank() == max_rank) fail(fmt::format("more than {} axes", max_rank));
      shape.push_back(extent());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }
  std::int64_t extent() {
    skip_space();
    const std::size_t begin = at_;
    std::int64_t value = 0;
    for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])); ++at_) {
      value = value * 10 + (text_[at_] - '0');
      if (value > most_file_bytes) fail("an extent of the shape is too large");
    }
    if (at_ == begin) fail(fmt::format("no number at byte {} of the header", at_));
    return value;
  }
  static DType find_dtype(std::string_view wanted) {
    for (const TypeName& type : type_names)
      if (wanted == type.name || (size_of(type.dtype) == 1 && wanted.size() == 3 &&
                                  wanted.substr(1) == std::string_view(type.name).substr(1)))
        return type.dtype;
    fail(fmt::format(
        "dtype '{}' is not one that Noyau reads (little-endian bool, integers, float16, "
        "float32 or float64)",
        wanted));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Array parse(std::span<const unsigned char> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.size() < 10 || text.substr(0, magic.size()) != magic) fail("it does not begin as .npy");
  const int version = file[6];
  if (version < 1 || version > 3 || file[7] != 0)
    fail(fmt::format("version {}.{} is unknown", version, file[7]));
  const std::size_t prefix = version == 1 ? 10 : 12;
  if (file.size() < prefix) fail("it is cut short in the header");
  std::size_t length = 0;
  for (std::size_t i = prefix; i-- > 8;) length = length << 8 | file[i];
  if (length > static_cast<std::size_t>(most_header_bytes))
    fail(fmt::format("a header of {} bytes; at most {} are accepted", length, most_header_bytes));
  if (length > file.size() - prefix) fail("it is cut short in the header");

  const Header header = HeaderParser(text.substr(prefix, length)).parse();
  const auto data = file.subspan(prefix + length);
  std::int64_t bytes = 0;
  try {
    bytes = byte_size(header.shape, header.dtype);
  } catch (const ShapeError& error) {
    fail(error.what());
  }
  if (static_cast<std::uint64_t>(bytes) != data.size())
    fail(fmt::format("shape {} of {} needs {} bytes, the file has {}", to_string(header.shape),
                     name(header.dtype), bytes, data.size()));
  if (header.dtype == bool_ && std::any_of(data.begin(), data.end(), [](auto b) { return b > 1; }))
    fail("a bool is neither 0 nor 1");

  Shape stored = header.shape;
  if (header.fortran_order) std::reverse(stored.begin(), stored.end());
  const Array values = detail::make_array_checked(
      data.data(), static_cast<std::size_t>(stored.elements()), header.dtype, stored, header.dtype);
  return header.fortran_order ? transpose(values) : values;
}

}  // namespace

Array load_npy(const std::string& path) {
  const std::vector<unsigned char> file = read_file(path, most_file_bytes);
  try {
    return parse(file);
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw FileError(fmt::format("cannot read '{}' as .npy: {}", path, error.what()));
  }
}

void save_npy(const std::string& path, Operand array) {
  if (array.is_scalar())
    throw ShapeError("[save_npy] needs an array, got a scalar; wrap it with full({}, value)");
  const Array values = array.array();
  std::string shape;
  for (std::int64_t extent : values.shape()) shape += fmt::format("{}, ", extent);
  if (values.rank() > 1) shape.resize(shape.size() - 2);
  if (values.rank() == 1) shape.resize(shape.size() - 1);
  const auto* type = std::find_if(std::begin(type_names), std::end(type_names),
                                  [&](const TypeName& t) { return t.dtype == values.dtype(); });
  if (type == std::end(type_names))
    throw DtypeError(fmt::format(
        "[save_npy] the format .npy has no {}: convert with astype(x, noyau::float32), or use "
        "save_safetensors",
        name(values.dtype())));
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type->name, shape);
  text.append((64 - (10 + text.size() + 1) % 64) % 64, ' ');  // the values begin on 64 bytes
  text += '\n';
  std::string start(magic);
  start += {'\x01', '\x00', static_cast<char>(text.size() & 0xff),
            static_cast<char>(text.size() >> 8 & 0xff)};
  start += text;

  std::vector<unsigned char> data(
      static_cast<std::size_t>(byte_size(values.shape(), values.dtype())));
  detail::read_values(values, data.data(), values.dtype());
  write_file(path, {{reinterpret_cast<const unsigned char*>(start.data()), start.size()}, data});
}

}  // namespace noyau::io
