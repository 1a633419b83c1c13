// CUDA C++ through NVRTC, machine code in and out.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/compiler.hpp"

#include <fmt/format.h>

#include "backends/cuda/nvrtc.hpp"
#include "core/fault.hpp"
#include "core/forked.hpp"
#include "noyau/error.hpp"

namespace noyau::cuda {
namespace {

/// A program of NVRTC's while it lives.
class Compilation {
 public:
  explicit Compilation(const std::string& text) {
    require(nvrtc().create_program(&program_, text.c_str(), "kernel.cu", 0, nullptr, nullptr));
  }
  ~Compilation() { nvrtc().destroy_program(&program_); }
  Compilation(const Compilation&) = delete;
  Compilation& operator=(const Compilation&) = delete;

  int run(const Architecture& architecture, bool minimal) {
    const std::string target = "--gpu-architecture=" + architecture.name();
    std::vector<const char*> all = {target.c_str()};
    const std::span<const char* const> options = compile_options();
    all.insert(all.end(), options.begin(), options.end() - (minimal ? 0 : 1));
    return nvrtc().compile_program(program_, static_cast<int>(all.size()), all.data());
  }
  std::string log() const {
    std::string text;
    std::size_t size = 0;
    if (nvrtc().get_program_log_size(program_, &size) != 0 || size == 0) return text;
    text.resize(size);
    nvrtc().get_program_log(program_, text.data());
    while (!text.empty() && (text.back() == '\0' || text.back() == '\n')) text.pop_back();
    return text;
  }
  std::vector<std::byte> object(const Architecture& architecture) const {
    const Nvrtc& n = nvrtc();
    const bool cubin = architecture.machine_code;
    std::size_t size = 0;
    require((cubin ? n.get_cubin_size : n.get_ptx_size)(program_, &size));
    std::vector<std::byte> object(size);
    require((cubin ? n.get_cubin : n.get_ptx)(program_, reinterpret_cast<char*>(object.data())));
    return object;
  }

 private:
  static void require(int status) {
    if (status == 0) return;
    throw CompileError(fmt::format("compile: NVRTC failed: {}", nvrtc().get_error_string(status)));
  }
  NvrtcProgram program_ = nullptr;
};

/// A program with the memory objects of another alone.
jit::Program memory_of(const jit::Program& program) {
  jit::Program memory;
  memory.memory = program.memory;
  return memory;
}

}  // namespace

Kernel::Kernel(const Target& target, const jit::Program& program,
               std::vector<jit::KernelArgument> emitted, std::vector<std::byte> object)
    : name(program.name),
      items(program.domain == jit::Domain::items),
      block_size{program.block_size[0], program.block_size[1], program.block_size[2]},
      arguments(std::move(emitted)),
      static_shared_bytes(jit::static_shared_bytes(program)),
      target_(target),
      memory_(memory_of(program)),
      object_(std::move(object)) {
  const ContextScope scope(target.context());
  check(driver().module_load_data(&module_, object_.data()), target.name,
        fmt::format("loading kernel '{}'", name));
  const Status status = driver().module_get_function(&function_, module_, jit::entry_name);
  if (status != success) driver().module_unload(module_);
  check(status, target.name, fmt::format("finding kernel '{}' in its module", name));
}

Kernel::~Kernel() {
  if (is_forked_child()) return;
  const ContextScope scope(target_.context());
  driver().module_unload(module_);
}

std::shared_ptr<const Kernel> compile(const Target& target, const jit::Program& program) {
  if (fault::should_fail("compile")) {
    throw CompileError(
        fmt::format("compile: kernel '{}': a fault that a test asked for", program.name));
  }
  jit::EmittedKernel emitted = jit::emit_c(program, jit::cuda_dialect(), {});
  Compilation compilation(emitted.text);
  int status = compilation.run(target.architecture, true);
  if (status == nvrtc_invalid_option) status = compilation.run(target.architecture, false);
  if (status != 0) {
    throw CompileError(fmt::format("compile: NVRTC refused kernel '{}' for {} ({}):\n{}\n{}",
                                   program.name, target.architecture.name(),
                                   nvrtc().get_error_string(status), compilation.log(),
                                   jit::numbered_lines(emitted.text)));
  }
  return std::make_shared<const Kernel>(target, program, std::move(emitted.arguments),
                                        compilation.object(target.architecture));
}

std::shared_ptr<const Kernel> load(const Target& target, std::span<const std::byte> object,
                                   const jit::Program& program) {
  try {
    return std::make_shared<const Kernel>(target, program,
                                          jit::emit_c(program, jit::cuda_dialect(), {}).arguments,
                                          std::vector<std::byte>(object.begin(), object.end()));
  } catch (const DeviceError&) {
    return nullptr;
  }
}

std::string code_text(const jit::Program& program) {
  return jit::emit_c(program, jit::cuda_dialect(), {}).text;
}

}  // namespace noyau::cuda
