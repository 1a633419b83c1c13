// The program noyau: which devices there are, why the others are not, and small services for
// scripts.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>
#include <noyau/noyau.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ny = noyau;

namespace {

constexpr const char* usage = R"(noyau: looks after the Noyau array library.

  noyau doctor            every backend and vendor library looked for: where, its version, or the
                          loader's words when it could not be loaded
  noyau devices           one line a device: name, whether it can run, description
  noyau version           the version of the library
  noyau convert IN OUT    a PNG, JPEG or BMP picture in another of these formats
  noyau --help            this text

Exit codes: 0 done, 1 it failed (the reason is on standard error), 2 not understood.
Programs that use Noyau take their device from $NOYAU_DEVICE; docs/environment.md lists all variables.
)";

void print_devices() {
  for (const ny::Device& device : ny::devices())
    fmt::print("{:<10} {:<8} {}\n", device.name(), device.can_run() ? "runs" : "plans",
               device.description());
}

int run(const std::vector<std::string>& words) {
  const std::string command = words.empty() ? "" : words[0];
  if (command == "--help" || command == "-h" || command == "help") {
    fmt::print("{}", usage);
  } else if (command == "doctor" && words.size() == 1) {
    fmt::print("Noyau {}\n{}", ny::version(), ny::doctor_report());
  } else if (command == "devices" && words.size() == 1) {
    print_devices();
  } else if ((command == "version" || command == "--version") && words.size() == 1) {
    fmt::print("{}\n", ny::version());
  } else if (command == "convert" && words.size() == 3) {
    ny::image::save(words[2], ny::image::load(words[1]));
  } else {
    fmt::print(stderr, "{}", usage);
    return 2;
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run(std::vector<std::string>(words + 1, words + count));
  } catch (const std::exception& error) {
    fmt::print(stderr, "noyau: {}\n", error.what());
    return 1;
  }
}
