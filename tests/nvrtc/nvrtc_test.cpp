// The CUDA text of every kernel compiles with NVRTC, without headers, for old and new GPUs.
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
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

/// All texts, each once, for one architecture.
void compile_all(const std::vector<std::string>& texts, const char* architecture) {
  std::atomic<std::size_t> next{0};
  std::vector<std::string> failures(texts.size());
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); ++t) {
    threads.emplace_back([&] {
      for (std::size_t k = next++; k < texts.size(); k = next++) {
        failures[k] = compile(texts[k], architecture);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int shown = 0;
  for (std::size_t k = 0; k < texts.size(); ++k) {
    if (!failures[k].empty() && shown++ < 3) ADD_FAILURE() << failures[k] << "\n" << texts[k];
  }
  fmt::print("# {}: {} kernels compiled\n", architecture, texts.size());
}

class TextSet {
 public:
  void add(const jit::Program& program) {
    const jit::Hash128 hash = jit::hash(program);
    if (!seen_.insert({{hash.low, hash.high}, true}).second) return;
    texts.push_back(jit::emit_c(program, jit::cuda_dialect(), {}).text);
  }
  std::vector<std::string> texts;

 private:
  std::map<std::pair<std::uint64_t, std::uint64_t>, bool> seen_;
};

TEST(Nvrtc, CompilesEveryKernel) {
  if (nvrtc() == nullptr) GTEST_SKIP() << "no NVRTC here: no CUDA text was compiled";
  TextSet planned, all;
  visit_planned_programs({}, [&](const jit::Program& program) { planned.add(program); });
  for (const jit::testing::HandWritten& h : jit::testing::hand_written_programs()) {
    planned.add(jit::parse_program(h.text));
  }
  int k = 0;
  visit_all_cases([&](const jit::Program& program, auto&&...) {
    if (++k % 16 == 0) planned.add(program);
  });
  ASSERT_GT(planned.texts.size(), 200u);
  for (const char* architecture : {"sm_75", "sm_90", "sm_120"}) {
    // One of them all, of the others a share: what differs is the back end, which is NVIDIA's.
    std::vector<std::string> texts;
    const bool whole = architecture == std::string_view("sm_90");
    for (std::size_t n = 0; n < planned.texts.size(); n += whole ? 1 : 8) {
      texts.push_back(planned.texts[n]);
    }
    compile_all(texts, architecture);
  }
}

}  // namespace
}  // namespace noyau::test
