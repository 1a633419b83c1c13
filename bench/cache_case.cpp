// A kernel from the disk cache: from asked for to callable, with nothing of it in memory.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdlib>

#include "bench/cases.hpp"
#include "bench/style_case.hpp"
#include "core/device.hpp"
#include "jit/cache.hpp"

namespace bench {
namespace {

/// Twenty operations on each element.
noyau::jit::Program program() {
  std::string text =
      "program \"disk_hit\"\nitems\nbuffer x: float32 read\nbuffer y: float32 written\n"
      "%i = item 0\n%v0 = load x[%i]\n";
  for (int k = 0; k < 20; ++k)
    text += fmt::format("%v{} = {} %v{}, %v0\n", k + 1, k % 2 == 0 ? "multiply" : "add", k);
  return noyau::jit::parse_program(text + "store y[%i], %v20\n");
}

}  // namespace

Run disk_hit_case() {
  setenv("NOYAU_CACHE", "1", 1);  // the case beside it, compile, turns the cache off
  Run run;
  run.once = [kernel = program()] {
    noyau::jit::ExecutableCache empty;  // finds what earlier ones left on disk
    empty.find_or_compile(noyau::default_device().backend(), kernel);
  };
  run.error = [] { return 0.0; };
  run.limit_ms = [](int) { return 1.0; };  // what it may take
  return run;
}

}  // namespace bench
