// The CUDA text of every kernel compiles with NVRTC, without headers, for old and new GPUs.
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "backends/cuda/architecture.hpp"
#include "jit/emit_c.hpp"
#include "tests/common/corpus.hpp"

namespace noyau::test {
namespace {

/// The few functions of NVRTC that a compile needs; its header is not there on every machine.
struct Nvrtc {
  using Handle = void*;
  int (*create)(Handle*, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(Handle, int, const char* const*);
  int (*log_size)(Handle, std::size_t*);
  int (*log)(Handle, char*);
  int (*cubin_size)(Handle, std::size_t*);
  int (*destroy)(Handle*);
};

template <class Function>
void find(void* library, const char* name, Function& into) {
  into = reinterpret_cast<Function>(dlsym(library, name));
  if (into == nullptr) throw std::runtime_error(std::string("NVRTC lacks ") + name);
}

/// nullptr where there is no NVRTC.
const Nvrtc* nvrtc() {
  static const Nvrtc* const loaded = []() -> const Nvrtc* {
    void* library = nullptr;
    for (const char* file :
         {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", "/usr/local/cuda/lib64/libnvrtc.so"}) {
      if (library == nullptr) library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    }
    if (library == nullptr) return nullptr;
    auto* found = new Nvrtc;
    find(library, "nvrtcCreateProgram", found->create);
    find(library, "nvrtcCompileProgram", found->compile);
    find(library, "nvrtcGetProgramLogSize", found->log_size);
    find(library, "nvrtcGetProgramLog", found->log);
    find(library, "nvrtcGetCUBINSize", found->cubin_size);
    find(library, "nvrtcDestroyProgram", found->destroy);
    return found;
  }();
  return loaded;
}

/// Empty when `text` compiles to a cubin; else NVRTC's words.
std::string compile(const std::string& text, const char* architecture) {
  Nvrtc::Handle program = nullptr;
  if (nvrtc()->create(&program, text.c_str(), "kernel.cu", 0, nullptr, nullptr) != 0) {
    return "no program";
  }
  const std::string target = std::string("--gpu-architecture=") + architecture;
  std::vector<const char*> options = {target.c_str()};
  for (const char* option : cuda::compile_options()) options.push_back(option);
  const int status = nvrtc()->compile(program, static_cast<int>(options.size()), options.data());
  std::size_t size = 0;
  std::string words;
  if (status != 0 || nvrtc()->cubin_size(program, &size) != 0 || size == 0) {
    nvrtc()->log_size(program, &size);
    words.resize(size);
    nvrtc()->log(program, words.data());
    words = fmt::format("{}: error {}: {}", architecture, status, words);
  }
  nvrtc()->destroy(&program);
  return words;
}

/// Kernels that NVRTC gets at once: starting takes it as long as a small kernel does.
constexpr std::size_t together = 8;

std::string replaced(std::string text, std::string_view from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// Some kernels as one text, each in a namespace and with a name of its own.
std::string joined(const std::vector<std::string>& texts, std::size_t first) {
  std::string all;
  for (std::size_t k = first; k < std::min(first + together, texts.size()); ++k) {
    all += fmt::format("namespace k{0} {{\n{1}}}\n", k,
                       replaced(texts[k], jit::entry_name, fmt::format("kernel_{}", k)));
  }
  return all;
}

/// All texts for all architectures, on all processors.
void compile_all(const std::vector<std::string>& texts,
                 const std::vector<const char*>& architectures) {
  const std::size_t parts = (texts.size() + together - 1) / together;
  std::atomic<std::size_t> next{0};
  std::vector<std::string> failures(parts * architectures.size());
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); ++t) {
    threads.emplace_back([&] {
      for (std::size_t k = next++; k < failures.size(); k = next++) {
        failures[k] = compile(joined(texts, k % parts * together), architectures[k / parts]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int shown = 0;
  for (std::size_t k = 0; k < failures.size(); ++k) {
    if (!failures[k].empty() && shown++ < 3) {
      ADD_FAILURE() << failures[k] << "\n" << joined(texts, k % parts * together);
    }
  }
  for (const char* architecture : architectures) {
    fmt::print("# {}: {} kernels compiled\n", architecture, texts.size());
  }
}

/// Texts, each once: kernels that differ in their names alone have the same.
class TextSet {
 public:
  void add(const jit::Program& program) {
    jit::Program nameless = program;
    nameless.name = "kernel";
    const std::string text = jit::emit_c(nameless, jit::cuda_dialect(), {}).text;
    if (seen_.insert(text).second) texts.push_back(text);
  }
  std::vector<std::string> texts;

 private:
  std::set<std::string> seen_;
};

/// A GPU on which small arrays, too, are enough for every schedule.
DeviceLimits small_gpu() {
  DeviceLimits limits;
  limits.block_threads = 256;
  limits.fast_memory_bytes = 48 << 10;
  limits.vector_bytes = 16;
  limits.argument_bytes = 4096;
  limits.host_memory = false;
  return limits;
}

TEST(Nvrtc, CompilesEveryKernel) {
  if (nvrtc() == nullptr) GTEST_SKIP() << "no NVRTC here: no CUDA text was compiled";
  TextSet all;
  visit_planned_programs(small_gpu(), [&](const jit::Program& program) { all.add(program); });
  for (const jit::testing::HandWritten& h : jit::testing::hand_written_programs()) {
    all.add(jit::parse_program(h.text));
  }
  int k = 0;
  visit_all_cases([&](const jit::Program& program, auto&&...) {
    if (++k % 16 == 0) all.add(program);
  });
  ASSERT_GT(all.texts.size(), 200u);
  compile_all(all.texts, {"sm_75", "sm_90", "sm_120"});
}

}  // namespace
}  // namespace noyau::test
