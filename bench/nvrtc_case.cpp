// How long NVRTC takes to compile: a kernel of twenty operations beside an empty one. Needs no GPU.
// SPDX-License-Identifier: Apache-2.0
#include "bench/nvrtc_case.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "backends/cuda/architecture.hpp"
#include "core/device.hpp"

namespace ny = noyau;

namespace bench {
namespace {

/// The few functions of NVRTC that a compile needs; its header is not there on every machine.
struct Nvrtc {
  using Handle = void*;
  int (*create)(Handle*, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(Handle, int, const char* const*);
  int (*destroy)(Handle*);
};

template <class Function>
void find(void* library, const char* name, Function& into) {
  into = reinterpret_cast<Function>(dlsym(library, name));
  if (into == nullptr) throw std::runtime_error(std::string("NVRTC lacks ") + name);
}

const Nvrtc& nvrtc() {
  static const Nvrtc loaded = [] {
    void* library = nullptr;
    for (const char* file : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"})
      if (library == nullptr) library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error("the case nvrtc needs NVRTC (libnvrtc.so.13)");
    Nvrtc found;
    find(library, "nvrtcCreateProgram", found.create);
    find(library, "nvrtcCompileProgram", found.compile);
    find(library, "nvrtcDestroyProgram", found.destroy);
    return found;
  }();
  return loaded;
}

void compile(const std::string& text) {
  Nvrtc::Handle program = nullptr;
  if (nvrtc().create(&program, text.c_str(), "kernel.cu", 0, nullptr, nullptr) != 0)
    throw std::runtime_error("NVRTC made no program");
  std::vector<const char*> options = {"--gpu-architecture=sm_90"};
  for (const char* option : ny::cuda::compile_options()) options.push_back(option);
  const int status = nvrtc().compile(program, static_cast<int>(options.size()), options.data());
  nvrtc().destroy(&program);
  if (status != 0) throw std::runtime_error("NVRTC refused:\n" + text);
}

/// Twenty operations, exp and sin among them; what null's CUDA device would compile for them.
std::string twenty_operations() {
  const ny::DeviceScope scope(ny::device("null:0"));
  constexpr std::int64_t n = std::int64_t{1} << 22;
  const ny::Array x = ny::array(std::vector<float>(n, 1.0f)),
                  y = ny::array(std::vector<float>(n, 2.0f));
  ny::Array t = sin(exp(x * 0.5 + y));
  for (int i = 0; i < 3; ++i) t = sqrt(t * (1.5 + i) + x);
  for (int i = 0; i < 2; ++i) t = t * y + (0.5 + i);
  t = t / (x + 8) - 9;
  const std::string text = explain(t);
  const std::size_t begin = text.find("static __device__"), entry = text.find("extern \"C\"");
  const std::size_t end = text.rfind('}');
  if (entry == std::string::npos || end == std::string::npos)
    throw std::runtime_error("no kernel in:\n" + text);
  return text.substr(std::min(begin, entry), end + 1 - std::min(begin, entry)) + "\n";
}

double seconds(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Run nvrtc_case() {
  const std::string text = twenty_operations();
  const std::string empty = "extern \"C\" __global__ void noyau_kernel() {}\n";
  compile(empty);  // the first use loads NVRTC's own files
  Run run;
  run.once = [=] { compile(text); };
  run.error = [] { return 0.0; };
  run.limit_ms = [=](int) { return 1e3 * seconds([&] { compile(empty); }); };
  return run;
}

}  // namespace bench
