// The binaries of PoCL: what is taken out of them, and that those of another form stay as they are.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/pocl.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace noyau::test {
namespace {

std::string bytes_of(std::uint64_t number, std::size_t size) {
  return {reinterpret_cast<const char*>(&number), size};
}

struct Binary {
  std::string magic = std::string("poclbin", 8);
  std::uint64_t version = 9, part_more = 0, length_more = 0;
  std::string folder = "DG/HFEHNLHOFBIMBAPGNFEHEFOKAMFHKAMOHDEOF", file = "/program.bc";
  std::string code = std::string("BC\xC0\xDE", 4) + std::string(5000, 'x');
  std::string rest = "the kernels";

  std::string text() const {
    const std::string in_part =
        bytes_of(file.size(), 4) + file + bytes_of(code.size() + length_more, 4) + code;
    return magic + bytes_of(0x1234567812345678, 8) + bytes_of(version, 4) + bytes_of(1, 4) +
           bytes_of(0, 8) + "...." + folder + '\0' + bytes_of(in_part.size() + part_more, 8) +
           in_part + rest;
  }
};

std::string without_bitcode(std::string text) {
  const std::span<char> all(text);
  text.resize(opencl::without_bitcode(std::as_writable_bytes(all)));
  return text;
}

TEST(Pocl, TheBitcodeIsTakenOutOfABinary) {
  const Binary whole;
  const std::string once = without_bitcode(whole.text());
  Binary empty = whole;
  empty.folder[0] = 'd';  // another folder than that of the text
  empty.code = std::string("BC\xC0\xDE\x21\x0C\0\0\1\0\0\0\x0B\x82\0\0", 16);
  EXPECT_EQ(once, empty.text());
  EXPECT_EQ(without_bitcode(once), once);
}

TEST(Pocl, WhatLooksOtherwiseStaysAsItIs) {
  const std::string whole = Binary().text();
  ASSERT_NE(without_bitcode(whole), whole);
  Binary other[7];
  other[0].magic[0] = 'P';
  other[1].version = 10;
  other[2].part_more = 1;
  other[3].length_more = 5000;
  other[4].file = "/program.ll";
  other[5].code[0] = 'b';
  other[6].folder += "A";
  for (const Binary& binary : other) EXPECT_EQ(without_bitcode(binary.text()), binary.text());
  for (std::size_t size = 0; size < 110; ++size) {
    EXPECT_EQ(without_bitcode(whole.substr(0, size)), whole.substr(0, size));
  }
}

}  // namespace
}  // namespace noyau::test
