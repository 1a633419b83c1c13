// Files of a test: a folder of its own, whole files as bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/common/temporary_directory.hpp"

namespace noyau::test {

class TemporaryFolder : public test::TemporaryDirectory {
 public:
  std::string operator/(const std::string& name) const { return (path() / name).string(); }
  /// The names in it.
  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for (const auto& entry : std::filesystem::directory_iterator(path()))
      list.push_back(entry.path().filename().string());
    return list;
  }
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace noyau::test
