// What Noyau cannot do yet: every place that says so is a row here, and every row that a program
// can ask for on a CPU is asked for.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "noyau/noyau.hpp"

namespace noyau {
namespace {

struct Unsupported {
  const char* file;
  const char* words;  ///< of the message: what is unsupported
  /// Asks for it on a CPU; empty where the public functions cannot.
  std::function<void()> request;
};

const std::vector<Unsupported>& table() {
  static const std::vector<Unsupported> rows = {
      {"backends/llvm/emit_ir.cpp", "has a barrier in blocks of", {}},
      {"backends/llvm/emit_ir.cpp", "prints, which the CPU cannot do yet", {}},
      {"backends/llvm/emit_ir.cpp", "has a shared array in blocks of more than", {}},
      {"backends/opencl/compiler.cpp", "computes in float64, which {} does not have", {}},
      {"jit/emit_c.cpp", "has a size that is known at launch only", {}},
      {"jit/emit_c.cpp", "prints, which {} cannot", {}},
      {"ops/index.cpp", "subscripts that are arrays or masks are not there yet",
       [] {
         const Array x = arange(5);
         (void)x[x > 2];
       }},
  };
  return rows;
}

struct Site {
  std::string file, text;  ///< `text`: the statement, its literals joined
};

/// Every place in the library's sources that makes a NotImplemented.
std::vector<Site> sites() {
  static const std::regex comment("//[^\n]*"), joint("\"\\s*\""), made("[^~:\\w]NotImplemented\\(");
  const std::filesystem::path root = NOYAU_SOURCE_DIR;
  std::vector<Site> found;
  for (const char* folder : {"core", "ops", "jit", "io", "backends"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cpp" && extension != ".hpp") continue;
      std::ifstream in(entry.path());
      std::string source{std::istreambuf_iterator<char>(in), {}};
      source = std::regex_replace(std::regex_replace(source, comment, ""), joint, "");
      for (std::sregex_iterator m(source.begin(), source.end(), made), end; m != end; ++m) {
        const auto at = static_cast<std::size_t>(m->position());
        found.push_back({entry.path().lexically_relative(root).generic_string(),
                         source.substr(at, source.find(";\n", at) - at)});
      }
    }
  }
  return found;
}

TEST(NotImplemented, IsCountedWhereverItIsThrown) {
  std::vector<bool> seen(table().size(), false);
  for (const Site& site : sites()) {
    bool known = false;
    for (std::size_t k = 0; k < table().size() && !known; ++k) {
      const Unsupported& row = table()[k];
      if (seen[k] || site.file != row.file || site.text.find(row.words) == std::string::npos)
        continue;
      known = seen[k] = true;
    }
    EXPECT_TRUE(known) << site.file << " says that it cannot do something that the table of this "
                       << "test does not have: do it, or add a row\n"
                       << site.text;
  }
  for (std::size_t k = 0; k < seen.size(); ++k)
    EXPECT_TRUE(seen[k]) << table()[k].file << " no longer says \"" << table()[k].words
                         << "\": remove the row";
}

TEST(NotImplemented, SaysWhatIsMissing) {
  for (const Unsupported& row : table()) {
    if (!row.request) continue;
    try {
      row.request();
      ADD_FAILURE() << row.words << ": no exception";
    } catch (const NotImplemented& error) {
      EXPECT_NE(std::string(error.what()).find(row.words), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace noyau
