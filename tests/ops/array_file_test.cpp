// safetensors and npy: round trips, every truncation, headers that lie.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <noyau/noyau.hpp>
#include <tuple>

#include "core/fault.hpp"
#include "tests/common/files.hpp"
#include "tests/common/message_of.hpp"
#include "tests/common/values.hpp"

namespace ny = noyau;

namespace {

using ny::test::all_dtypes;
using ny::test::message_of;
using ny::test::read_bytes;
using ny::test::TemporaryFolder;
using ny::test::write_bytes;

ny::Array sample(ny::DType dtype, const ny::Shape& shape) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.elements(); ++i) values.push_back(static_cast<double>(i % 7));
  return astype(ny::array(values, shape), dtype);
}

void expect_same(const ny::Array& a, const ny::Array& b) {
  EXPECT_EQ(a.shape(), b.shape());
  EXPECT_EQ(a.dtype(), b.dtype());
  EXPECT_EQ(a.to_vector<double>(), b.to_vector<double>());
}

/// A safetensors file with this header and so many bytes of data.
std::string tensors_file(const std::string& header, std::size_t data) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i));
  return bytes + header + std::string(data, '\0');
}

TEST(Safetensors, ComesBackAsItWas) {
  TemporaryFolder folder;
  std::map<std::string, ny::Array> tensors;
  for (const ny::DType dtype : all_dtypes)
    tensors[std::string(ny::name(dtype))] = sample(dtype, {2, 3});
  tensors["scalar"] = sample(ny::float32, {});
  tensors["empty"] = sample(ny::float32, {0, 4});
  tensors["a \"strange\" näme"] = sample(ny::int16, {5});
  ny::io::save_safetensors(folder / "a", tensors);
  const auto back = ny::io::load_safetensors(folder / "a");
  ASSERT_EQ(back.size(), tensors.size());
  for (const auto& [name, values] : tensors) expect_same(back.at(name), values);
  EXPECT_EQ(folder.names().size(), 1u);
}

TEST(Safetensors, EveryTruncationIsAnError) {
  TemporaryFolder folder;
  ny::io::save_safetensors(folder / "a",
                           {{"x", sample(ny::float32, {3})}, {"y", sample(ny::int8, {2, 2})}});
  const std::string bytes = read_bytes(folder / "a");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_bytes(folder / "b", bytes.substr(0, size));
    const std::string message =
        message_of<ny::FileError>([&] { ny::io::load_safetensors(folder / "b"); });
    EXPECT_NE(message.find(folder / "b"), std::string::npos) << size;
  }
  write_bytes(folder / "b", bytes + "x");
  EXPECT_THROW(ny::io::load_safetensors(folder / "b"), ny::FileError);
}

TEST(Safetensors, HeadersThatLieAreErrors) {
  const auto entry = [](const char* dtype, const char* shape, const char* offsets) {
    return fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":{}}})", dtype, shape, offsets);
  };
  const std::string good = entry("F32", "[2]", "[0,8]");
  const struct {
    std::string header;
    const char* reason;
  } cases[] = {
      {"", "JSON"},
      {"{", "JSON"},
      {"[1]", "object"},
      {R"({"x":1})", "dtype, shape and data_offsets"},
      {R"({"x":)" + good + R"(,"x":)" + good + "}", "twice"},
      {R"({"x":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "twice"},
      {R"({"x":)" + entry("F8_E4M3", "[8]", "[0,8]") + "}", "F8_E4M3"},
      {R"({"x":)" + entry("BF16", "[8]", "[0,8]") + "}", "16 bytes"},
      {R"({"x":)" + entry("F32", "[3]", "[0,8]") + "}", "12 bytes"},
      {R"({"x":)" + entry("F32", "[2]", "[8,0]") + "}", "bytes"},
      {R"({"x":)" + entry("F32", "[2]", "[0,8,9]") + "}", "two numbers"},
      {R"({"x":)" + entry("F32", "[-2]", "[0,8]") + "}", "whole numbers"},
      {R"({"x":)" + entry("F32", "[2.0]", "[0,8]") + "}", "whole numbers"},
      {R"({"x":)" + entry("F32", "2", "[0,8]") + "}", "list"},
      {R"({"x":)" + entry("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") + "}", "at most"},
      {R"({"x":)" + entry("F32", "[18446744073709551615]", "[0,8]") + "}", "too large"},
      {R"({"x":)" + entry("F32", "[1099511627776,1099511627776]", "[0,8]") + "}", ""},
      {R"({"x":)" + entry("F32", "[1]", "[0,4]") + R"(,"y":)" + entry("F32", "[1]", "[0,4]") + "}",
       "begins at"},
      {R"({"x":)" + entry("F32", "[1]", "[4,8]") + "}", "begins at"},
      {R"({"x":)" + entry("F32", "[1]", "[0,4]") + "}", "4 bytes"},
      {R"({"x":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", "nested"},
      {R"({"x":{"dtype":"F32","shape":[[[2]]],"data_offsets":[0,8]}})", "nested"},
  };
  TemporaryFolder folder;
  for (const auto& [header, reason] : cases) {
    write_bytes(folder / "a", tensors_file(header, 8));
    const std::string message =
        message_of<ny::FileError>([&] { ny::io::load_safetensors(folder / "a"); });
    EXPECT_NE(message.find(reason), std::string::npos) << header << "\n" << message;
  }
  write_bytes(folder / "a", tensors_file("{\"x\":" + good + "}  ", 8));
  EXPECT_EQ(ny::io::load_safetensors(folder / "a").at("x").shape(), (ny::Shape{2}));
}

TEST(Safetensors, AHugeHeaderIsRefusedBeforeItIsRead) {
  TemporaryFolder folder;
  write_bytes(folder / "a", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8) + "{}");
  const std::string message =
      message_of<ny::FileError>([&] { ny::io::load_safetensors(folder / "a"); });
  EXPECT_NE(message.find("16777216"), std::string::npos) << message;
  write_bytes(folder / "a", tensors_file(std::string(std::size_t{1} << 20, '['), 0));
  EXPECT_THROW(ny::io::load_safetensors(folder / "a"), ny::FileError);
}

TEST(Safetensors, ABoolIsNoughtOrOne) {
  TemporaryFolder folder;
  write_bytes(folder / "a",
              tensors_file(R"({"x":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", 0) + "\2");
  EXPECT_THROW(ny::io::load_safetensors(folder / "a"), ny::FileError);
}

TEST(Npy, ComesBackAsItWas) {
  TemporaryFolder folder;
  for (const ny::DType dtype : all_dtypes) {
    if (dtype == ny::bfloat16) continue;  // which the format does not have
    for (const ny::Shape& shape : {ny::Shape{2, 3}, ny::Shape{5}, ny::Shape{}, ny::Shape{0, 2}}) {
      const ny::Array values = sample(dtype, shape);
      ny::io::save_npy(folder / "a.npy", values);
      expect_same(ny::io::load_npy(folder / "a.npy"), values);
      EXPECT_EQ((read_bytes(folder / "a.npy").find('\n') + 1) % 64, 0u);
    }
  }
}

/// An .npy of version 1 with this dictionary and data.
std::string npy_file(const std::string& header, const std::string& data, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    bytes += static_cast<char>(header.size() >> (8 * i));
  return bytes + header + data;
}

TEST(Npy, ReadsFortranOrderAndEveryVersion) {
  TemporaryFolder folder;
  const std::string header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n";
  for (int version = 1; version <= 3; ++version) {
    write_bytes(folder / "a.npy", npy_file(header, std::string("\0\1\2\3\4\5", 6), version));
    const ny::Array values = ny::io::load_npy(folder / "a.npy");
    EXPECT_EQ(values.shape(), (ny::Shape{2, 3}));
    EXPECT_EQ(values.to_vector<int>(), (std::vector<int>{0, 2, 4, 1, 3, 5}));
  }
}

TEST(Npy, BadHeadersAreErrors) {
  const char* headers[] = {
      "",
      "{",
      "{}",
      "{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f2', 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '<V2', 'fortran_order': False, 'shape': (4,)}",
      "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,1000000000000)}",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} 1",
      "{'descr: '<f4', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4'",
  };
  TemporaryFolder folder;
  for (const char* header : headers) {
    write_bytes(folder / "a.npy", npy_file(header, std::string(8, '\0')));
    EXPECT_THROW(ny::io::load_npy(folder / "a.npy"), ny::FileError) << header;
  }
  write_bytes(folder / "a.npy", npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
                                         std::string(8, '\0'), 4));
  EXPECT_THROW(ny::io::load_npy(folder / "a.npy"), ny::FileError);
}

// As NumPy 2 writes np.array([1, -2, 65504, 2**-24, np.inf], np.float16).
TEST(Npy, Float16IsNumPys) {
  TemporaryFolder folder;
  std::string header = "{'descr': '<f2', 'fortran_order': False, 'shape': (5,), }";
  header.append(117 - header.size(), ' ');
  const std::string data("\x00\x3c\x00\xc0\xff\x7b\x01\x00\x00\x7c", 10);
  const std::vector<float> values{1, -2, 65504, 0x1p-24f, INFINITY};
  ny::io::save_npy(folder / "a.npy", astype(ny::array(values), ny::float16));
  EXPECT_EQ(read_bytes(folder / "a.npy"), npy_file(header + "\n", data));
  const ny::Array back = ny::io::load_npy(folder / "a.npy");
  EXPECT_EQ(back.dtype(), ny::float16);
  EXPECT_EQ(back.to_vector<float>(), values);
}

TEST(Npy, HasNoBfloat16) {
  TemporaryFolder folder;
  const std::string message = message_of<ny::DtypeError>(
      [&] { ny::io::save_npy(folder / "a.npy", ny::ones({2}, ny::bfloat16)); });
  EXPECT_NE(message.find("save_safetensors"), std::string::npos) << message;
}

TEST(Safetensors, HalvesAreLittleEndian) {
  TemporaryFolder folder;
  const std::vector<float> values{1, -3.140625f};
  for (const auto& [dtype, name, data] :
       {std::tuple(ny::float16, "F16", std::string("\x00\x3c\x48\xc2", 4)),
        std::tuple(ny::bfloat16, "BF16", std::string("\x80\x3f\x49\xc0", 4))}) {
    std::string header =
        fmt::format(R"({{"x":{{"data_offsets":[0,4],"dtype":"{}","shape":[2]}}}})", name);
    header.append((8 - header.size() % 8) % 8, ' ');
    ny::io::save_safetensors(folder / "a", {{"x", astype(ny::array(values), dtype)}});
    EXPECT_EQ(read_bytes(folder / "a"), tensors_file(header, 0) + data);
    const ny::Array back = ny::io::load_safetensors(folder / "a").at("x");
    EXPECT_EQ(back.dtype(), dtype);
    EXPECT_EQ(back.to_vector<float>(), values);
  }
}

TEST(Npy, EveryTruncationIsAnError) {
  TemporaryFolder folder;
  ny::io::save_npy(folder / "a.npy", sample(ny::float32, {3}));
  const std::string bytes = read_bytes(folder / "a.npy");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_bytes(folder / "b.npy", bytes.substr(0, size));
    EXPECT_THROW(ny::io::load_npy(folder / "b.npy"), ny::FileError) << size;
  }
}

TEST(ArrayFile, AFullDiskLeavesNothing) {
  TemporaryFolder folder;
  for (int k = 1; k <= 2; ++k) {
    ny::fault::arm("file.write", k);
    EXPECT_THROW(ny::io::save_npy(folder / "a.npy", sample(ny::float32, {3})), ny::FileError);
    ny::fault::arm("file.write", k);
    EXPECT_THROW(ny::io::save_safetensors(folder / "a", {{"x", sample(ny::float32, {3})}}),
                 ny::FileError);
  }
  ny::fault::disarm();
  EXPECT_TRUE(folder.names().empty());
}

}  // namespace
