// Uses two devices in one process, in the order in which they are named: one after the other, then
// both at once, then in a forked child, where both refuse. Ends with 0 when all is as it must be.
// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <noyau/noyau.hpp>
#include <string>
#include <thread>
#include <vector>

namespace ny = noyau;

namespace {

/// Kernels of their own for each `kind`: straight code, and one with loops.
std::vector<float> compute(const ny::Device& device, int kind) {
  const ny::DeviceScope scope(device);
  ny::Array x = ny::arange(4096.0f) / 4096.0;
  for (int k = 0; k < 1 + kind; ++k) x = sin(x) * exp(-abs(x)) + 0.125 * k;
  const ny::Array y = softmax(reshape(x, {64, 64}) + static_cast<double>(kind), -1);
  return (y + sum(x)).to_vector<float>();
}

bool same(const std::vector<float>& a, const std::vector<float>& b, const char* when) {
  if (!a.empty() && a == b) return true;
  std::fprintf(stderr, "the devices differ %s\n", when);
  return false;
}

/// Whether the device throws, at once, in this forked child.
bool refuses(const ny::Device& device) {
  try {
    compute(device, 1);
  } catch (const ny::DeviceError&) {
    return true;
  }
  return false;
}

bool refused_after_fork(const ny::Device& first, const ny::Device& second) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(refuses(first) && refuses(second) ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  std::fprintf(stderr, "a forked child could use a device, or crashed: status %d\n", status);
  return false;
}

bool run(const std::string& first_name, const std::string& second_name) {
  const ny::Device first = ny::device(first_name);
  const std::vector<float> alone = compute(first, 0);  // before the other one is loaded
  const ny::Device second = ny::device(second_name);
  bool good = same(alone, compute(second, 0), "one after the other");
  for (int kind = 1; kind < 6; ++kind) {
    std::vector<float> a, b;
    std::thread other([&] { b = compute(second, kind); });
    a = compute(first, kind);
    other.join();
    good &= same(a, b, "at once");
  }
  good &= same(compute(second, 0), alone, "at the end");
  return good && refused_after_fork(first, second);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s DEVICE DEVICE\n", argv[0]);
    return 2;
  }
  try {
    return run(argv[1], argv[2]) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
