// docs/path.md tells the truth: what it quotes stands in the files that it names.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const std::string& path) {
  std::ifstream in(std::string(NOYAU_SOURCE_DIR) + "/" + path);
  Lines lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::size_t indent_of(const std::string& line) {
  const std::size_t at = line.find_first_not_of(' ');
  return at == std::string::npos ? line.size() : at;
}

/// Whether `quote` stands at `from`, all of it further in or out by one amount.
bool stands_at(const Lines& file, std::size_t from, const Lines& quote) {
  if (from + quote.size() > file.size()) return false;
  const std::size_t in_file = indent_of(file[from]), in_quote = indent_of(quote[0]);
  for (std::size_t k = 0; k < quote.size(); ++k) {
    const std::string &a = file[from + k], &b = quote[k];
    if (a.substr(indent_of(a)) != b.substr(indent_of(b))) return false;
    if (!a.empty() && indent_of(a) + in_quote != indent_of(b) + in_file) return false;
  }
  return true;
}

bool contains(const Lines& file, const Lines& quote) {
  for (std::size_t from = 0; from < file.size(); ++from)
    if (stands_at(file, from, quote)) return true;
  return false;
}

std::string text_of(const Lines& lines) {
  std::ostringstream text;
  for (const std::string& line : lines) text << line << '\n';
  return text.str();
}

/// The `...` that a line consists of, or nothing.
std::string name_in(const std::string& line) {
  if (line.size() < 3 || line.front() != '`' || line.back() != '`') return {};
  const std::string name = line.substr(1, line.size() - 2);
  return name.find('`') == std::string::npos ? name : std::string();
}

TEST(Path, EveryQuotationStandsInItsFile) {
  const Lines page = lines_of("docs/path.md");
  ASSERT_FALSE(page.empty());
  std::set<std::string> quoted;
  for (std::size_t k = 0; k < page.size(); ++k) {
    if (!page[k].starts_with("```")) continue;
    const std::string name = k > 0 ? name_in(page[k - 1]) : std::string();
    EXPECT_FALSE(name.empty()) << "docs/path.md:" << k + 1 << ": no file is named above this";
    const std::size_t opened = k + 1;
    Lines quote;
    while (++k < page.size() && page[k] != "```") quote.push_back(page[k]);
    ASSERT_LT(k, page.size()) << "docs/path.md:" << opened << ": not closed";
    ASSERT_FALSE(quote.empty()) << "docs/path.md:" << opened << ": quotes nothing";
    if (name.empty()) continue;
    EXPECT_TRUE(contains(lines_of(name), quote))
        << "docs/path.md:" << opened << " quotes what no longer stands in " << name << ":\n"
        << text_of(quote) << "Quote what stands there now, and correct what is said about it.";
    quoted.insert(name);
  }
  // The hops of the way: none may be left out.
  for (const char* hop :
       {"ops/elementwise.cpp", "core/graph.cpp", "core/eval.cpp", "jit/trace.cpp", "jit/fusion.cpp",
        "jit/make_kernel.cpp", "jit/lower.cpp", "jit/plan.cpp", "jit/cache.cpp",
        "backends/llvm/emit_ir.cpp", "backends/llvm/compiler.cpp", "backends/llvm/launch.cpp"})
    EXPECT_TRUE(quoted.count(hop)) << "docs/path.md quotes nothing of " << hop;
}

// What makes the test above worth something: it refuses what is not there.
TEST(Path, QuotationsAreComparedLineByLine) {
  const Lines file{"void f() {", "  if (a) {", "    b();", "  }", "}"};
  EXPECT_TRUE(contains(file, {"  if (a) {", "    b();"}));
  EXPECT_TRUE(contains(file, {"if (a) {", "  b();", "}"}));
  EXPECT_FALSE(contains(file, {"if (a) {", "b();"}));
  EXPECT_FALSE(contains(file, {"  if (a) {", "    c();"}));
  EXPECT_FALSE(contains(file, {"  if (a) {", "  }"}));
}

}  // namespace
