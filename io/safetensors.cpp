// io::load_safetensors and save_safetensors: a header of JSON, then the tensors one after another.
// Format: huggingface.co/docs/safetensors.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "io/file.hpp"
#include "noyau/io.hpp"
#include "noyau/ops.hpp"

namespace noyau::io {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t most_header_bytes = std::int64_t{16} << 20;
constexpr std::int64_t most_file_bytes = std::int64_t{1} << 40;

struct TypeName {
  DType dtype;
  const char* name;
};
constexpr TypeName type_names[] = {
    {bool_, "BOOL"},  {int8, "I8"},     {int16, "I16"},     {int32, "I32"},  {int64, "I64"},
    {uint8, "U8"},    {uint16, "U16"},  {uint32, "U32"},    {uint64, "U64"}, {float32, "F32"},
    {float64, "F64"}, {float16, "F16"}, {bfloat16, "BF16"},
};

struct Entry {
  std::string name;
  DType dtype = float32;
  Shape shape;
  std::uint64_t begin = 0, end = 0;
};

/// Throws a reason that load_safetensors completes with the file's name.
[[noreturn]] void fail(const std::string& reason) { throw std::runtime_error(reason); }

/// The header's JSON; refuses names given twice and nesting deeper than tensors need.
Json parse_header(std::span<const unsigned char> text) {
  std::vector<std::set<std::string>> seen;
  const auto watch = [&seen](int depth, Json::parse_event_t event, Json& value) {
    if (depth > 3) fail("the header is nested too deeply");
    if (event == Json::parse_event_t::object_start) {
      seen.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      seen.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto key = value.get<std::string>();
      if (!seen.back().insert(key).second) fail(fmt::format("'{}' is named twice", key));
    }
    return true;
  };
  try {
    Json header = Json::parse(text.begin(), text.end(), watch);
    if (!header.is_object()) fail("the header is not a JSON object");
    return header;
  } catch (const Json::exception& error) {
    fail(fmt::format("the header is not JSON ({})", error.what()));
  }
}

std::uint64_t number(const Json& value, const std::string& tensor, const char* field) {
  if (!value.is_number_unsigned())
    fail(fmt::format("tensor '{}': {} holds something else than whole numbers", tensor, field));
  return value.get<std::uint64_t>();
}

DType find_dtype(const Json& value, const std::string& tensor) {
  if (!value.is_string()) fail(fmt::format("tensor '{}': dtype is not a string", tensor));
  const auto wanted = value.get<std::string>();
  for (const TypeName& type : type_names)
    if (wanted == type.name) return type.dtype;
  fail(
      fmt::format("tensor '{}': dtype {} is not one that Noyau reads (BOOL, I8-I64, U8-U64, F16, "
                  "BF16, F32, F64); convert the file first",
                  tensor, wanted));
}

Entry read_entry(const std::string& name, const Json& json) {
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets"))
    fail(
        fmt::format("tensor '{}' must have dtype, shape and data_offsets, and nothing else", name));
  Entry entry;
  entry.name = name;
  entry.dtype = find_dtype(json["dtype"], name);
  const Json& shape = json["shape"];
  if (!shape.is_array() || shape.size() > max_rank)
    fail(fmt::format("tensor '{}': shape must be a list of at most {} numbers", name, max_rank));
  for (const Json& extent : shape) {
    const std::uint64_t value = number(extent, name, "shape");
    if (value > static_cast<std::uint64_t>(most_file_bytes))
      fail(fmt::format("tensor '{}': the extent {} is too large", name, value));
    entry.shape.push_back(static_cast<std::int64_t>(value));
  }
  const Json& offsets = json["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2)
    fail(fmt::format("tensor '{}': data_offsets must be two numbers", name));
  entry.begin = number(offsets[0], name, "data_offsets");
  entry.end = number(offsets[1], name, "data_offsets");
  try {
    const auto bytes = static_cast<std::uint64_t>(byte_size(entry.shape, entry.dtype));
    if (entry.end < entry.begin || entry.end - entry.begin != bytes)
      fail(fmt::format("tensor '{}': shape {} of {} needs {} bytes, data_offsets are {} to {}",
                       name, to_string(entry.shape), noyau::name(entry.dtype), bytes, entry.begin,
                       entry.end));
  } catch (const ShapeError& error) {
    fail(fmt::format("tensor '{}': {}", name, error.what()));
  }
  return entry;
}

/// The tensors in the order of their data, which must lie without gaps up to the file's end.
std::vector<Entry> read_entries(const Json& header, std::uint64_t data_bytes) {
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items())
    if (name != "__metadata__") entries.push_back(read_entry(name, json));
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t at = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != at)
      fail(fmt::format("tensor '{}' begins at {}, the one before it ends at {}", entry.name,
                       entry.begin, at));
    at = entry.end;
  }
  if (at != data_bytes)
    fail(fmt::format("the header speaks of {} bytes of data, the file has {}", at, data_bytes));
  return entries;
}

std::map<std::string, Array> parse(std::span<const unsigned char> file) {
  if (file.size() < 8) fail(fmt::format("{} bytes are too few for a header", file.size()));
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | file[static_cast<std::size_t>(i)];
  if (length > static_cast<std::uint64_t>(most_header_bytes))
    fail(fmt::format("a header of {} bytes; at most {} are accepted", length, most_header_bytes));
  if (length > file.size() - 8)
    fail(fmt::format("a header of {} bytes in a file of {}: it is cut short", length, file.size()));
  const auto header = file.subspan(8, static_cast<std::size_t>(length));
  const auto data = file.subspan(8 + header.size());

  std::map<std::string, Array> tensors;
  for (const Entry& entry : read_entries(parse_header(header), data.size())) {
    const auto bytes = data.subspan(static_cast<std::size_t>(entry.begin),
                                    static_cast<std::size_t>(entry.end - entry.begin));
    if (entry.dtype == bool_ &&
        std::any_of(bytes.begin(), bytes.end(), [](auto b) { return b > 1; }))
      fail(fmt::format("tensor '{}': a BOOL is neither 0 nor 1", entry.name));
    tensors.emplace(entry.name, detail::make_array_checked(
                                    bytes.data(), static_cast<std::size_t>(entry.shape.elements()),
                                    entry.dtype, entry.shape, entry.dtype));
  }
  return tensors;
}

std::string dtype_name(DType dtype) {
  for (const TypeName& type : type_names)
    if (type.dtype == dtype) return type.name;
  throw InternalError("a dtype without a name in safetensors");
}

}  // namespace

std::map<std::string, Array> load_safetensors(const std::string& path) {
  const std::vector<unsigned char> file = read_file(path, most_file_bytes);
  try {
    return parse(file);
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw FileError(fmt::format("cannot read '{}' as safetensors: {}", path, error.what()));
  }
}

void save_safetensors(const std::string& path, const std::map<std::string, Array>& tensors) {
  Json header = Json::object();
  std::vector<unsigned char> data;
  for (const auto& [name, array] : tensors) {
    if (!static_cast<bool>(array) || name == "__metadata__")
      throw ValueError(fmt::format("[save_safetensors] '{}' cannot be saved: {}", name,
                                   array ? "the name is reserved" : "the array holds nothing"));
    const std::size_t begin = data.size();
    data.resize(begin + static_cast<std::size_t>(byte_size(array.shape(), array.dtype())));
    detail::read_values(array, data.data() + begin, array.dtype());
    header[name] = {
        {"dtype", dtype_name(array.dtype())},
        {"shape", std::vector<std::int64_t>(array.shape().begin(), array.shape().end())},
        {"data_offsets", {begin, data.size()}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& error) {
    throw ValueError(fmt::format("[save_safetensors] a name is not UTF-8: {}", error.what()));
  }
  text.append((8 - text.size() % 8) % 8, ' ');  // the data begins on 8 bytes
  std::vector<unsigned char> start(8);
  for (std::size_t i = 0; i < 8; ++i)
    start[i] = static_cast<unsigned char>(text.size() >> (8 * i) & 0xff);
  start.insert(start.end(), text.begin(), text.end());
  write_file(path, {start, data});
}

}  // namespace noyau::io
