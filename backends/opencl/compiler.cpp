// OpenCL C for the driver's compiler, and binaries in and out.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/compiler.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "backends/opencl/cost.hpp"
#include "backends/opencl/pocl.hpp"
#include "core/fault.hpp"
#include "core/log.hpp"
#include "jit/compile_threads.hpp"
#include "jit/legalise.hpp"
#include "noyau/error.hpp"

namespace noyau::opencl {
namespace {

constexpr char object_magic[8] = {'N', 'Y', 'O', 'P', 'C', 'L', '0', '4'};

/// Before the binary's bytes: which program for which device it is.
struct ObjectHeader {
  char magic[8];
  jit::Hash128 target, program;
  std::uint32_t tier, gangs;
  std::uint64_t arguments;  ///< that many follow it, then the binary
};
static_assert(std::is_trivially_copyable_v<jit::KernelArgument>);

/// Instructions that kernels run quickly compiled before they are optimised, about: they take as
/// long as PoCL's compiler does.
constexpr double patience = 1e8, never = -1e300;

/// Longer text takes longer to compile without optimisation than with it.
constexpr std::size_t most_unoptimised_bytes = 16 * 1024;

jit::Hash128 hash_of(const Target& target) {
  return jit::hash_bytes(target.identity.data(), target.identity.size());
}

std::string build_log(const Target& target, cl_program program) {
  std::size_t size = 0;
  clGetProgramBuildInfo(program, target.device, CL_PROGRAM_BUILD_LOG, 0, nullptr, &size);
  std::string log(size, '\0');
  if (size > 0) {
    clGetProgramBuildInfo(program, target.device, CL_PROGRAM_BUILD_LOG, size, log.data(), nullptr);
  }
  while (!log.empty() && (log.back() == '\0' || log.back() == '\n')) log.pop_back();
  return log;
}

struct Emitted {
  jit::EmittedKernel kernel;
  bool gangs = false;
};

/// `flat` has no calls.
Emitted emit(const Target& target, const jit::Program& flat, Tier tier) {
  Emitted emitted;
  if (target.runs && tier == Tier::optimised) {
    if (const auto gangs = jit::loop_over_lanes(flat)) {
      emitted = {jit::emit_c(*gangs, jit::opencl_dialect(), {.runs = true}), true};
    }
  }
  if (!emitted.gangs) {
    emitted.kernel = jit::emit_c(flat, jit::opencl_dialect(), {.runs = target.runs});
  }
  if (emitted.kernel.float64 && !target.float64) {
    throw NotImplemented(
        fmt::format("compile: kernel '{}' computes in float64, which {} does not have (its driver "
                    "lacks the extension cl_khr_fp64); use float32, or another device for this: "
                    "astype(x, float32), x.to(device)",
                    flat.name, target.name));
  }
  return emitted;
}

std::optional<Tier> forced_tier() {
  const std::int64_t tier = environment::number("NOYAU_TIER", -1, 0, 1);
  if (tier < 0) return std::nullopt;
  return static_cast<Tier>(tier);
}
bool may_improve(const Target& target, const Code& code) {
  return target.two_tiers && code.tier == Tier::quick && !forced_tier();
}
Tier first_tier(const Target& target) {
  return target.two_tiers ? forced_tier().value_or(Tier::quick) : Tier::optimised;
}

cl_int build(const Target& target, cl_program program, const std::string& options) {
  return clBuildProgram(program, 1, &target.device, options.c_str(), nullptr, nullptr);
}

cl_program program_with(const Target& target, std::span<const std::string_view> parts) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string_view part : parts) {
    texts.push_back(part.data());
    sizes.push_back(part.size());
  }
  cl_int status = CL_SUCCESS;
  const cl_program program = clCreateProgramWithSource(
      target.context, static_cast<cl_uint>(texts.size()), texts.data(), sizes.data(), &status);
  check(status, target.name, "clCreateProgramWithSource");
  return program;
}

/// CompileError with the build log and the numbered source.
cl_program built_text(const Target& target, const std::string& name, std::string_view text,
                      const std::string& options) {
  if (target.declares) {
    const std::string_view parts[] = {own_declarations(), text};
    const cl_program program = program_with(target, parts);
    if (build(target, program, options + std::string(without_header)) == CL_SUCCESS) return program;
    logging::write(3, fmt::format("{}: compiled again with OpenCL's header: {}", name,
                                  build_log(target, program)));
    clReleaseProgram(program);
  }
  const cl_program program = program_with(target, {&text, 1});
  const cl_int status = build(target, program, options);
  if (status == CL_SUCCESS) return program;
  const std::string log = build_log(target, program);
  clReleaseProgram(program);
  throw CompileError(fmt::format("compile: {} refused kernel '{}' ({}):\n{}\n{}", target.name, name,
                                 status_text(status), log, jit::numbered_lines(std::string(text))));
}

std::shared_ptr<const Code> code_of(const Target& target, const jit::Program& flat, Tier tier) {
  Emitted emitted = emit(target, flat, tier);
  const std::string_view text = emitted.kernel.text;
  std::string options = target.options;
  if (tier == Tier::quick && text.size() <= most_unoptimised_bytes) options += " -cl-opt-disable";
  else if (!jit::loop_over_lanes(flat)) tier = Tier::optimised;  // the text is the same
  const auto begin = std::chrono::steady_clock::now();
  const cl_program built = built_text(target, flat.name, text, options);
  // Some drivers generate code only now, or else at the first launch.
  std::size_t size = 0;
  clGetProgramInfo(built, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, nullptr);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  logging::write(3,
                 fmt::format("compiled {} for {}, tier {}: {} bytes of text, {:.1f} ms", flat.name,
                             target.name, static_cast<int>(tier), text.size(), took.count()));
  return std::make_shared<const Code>(target, std::move(emitted.kernel), emitted.gangs, tier,
                                      built);
}

std::vector<std::byte> object_of(const Target& target, const Code& code, jit::Hash128 hash) {
  std::size_t size = 0;
  if (clGetProgramInfo(code.program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, nullptr) !=
          CL_SUCCESS ||
      size == 0) {
    return {};
  }
  const std::size_t begin =
      sizeof(ObjectHeader) + code.arguments.size() * sizeof(jit::KernelArgument);
  std::vector<std::byte> object(begin + size);
  ObjectHeader header{{},         hash_of(target),      hash, static_cast<std::uint32_t>(code.tier),
                      code.gangs, code.arguments.size()};
  std::memcpy(header.magic, object_magic, sizeof object_magic);
  std::memcpy(object.data(), &header, sizeof header);
  std::memcpy(object.data() + sizeof header, code.arguments.data(), begin - sizeof header);
  auto* binary = reinterpret_cast<unsigned char*>(object.data() + begin);
  if (clGetProgramInfo(code.program, CL_PROGRAM_BINARIES, sizeof binary, &binary, nullptr) !=
      CL_SUCCESS) {
    return {};
  }
  if (target.runs_any_size) {
    object.resize(begin + without_bitcode(std::span(object).subspan(begin)));
  }
  return object;
}

}  // namespace

// ---- Code

Code::Code(const Target& target, jit::EmittedKernel emitted, bool in_gangs, Tier of,
           cl_program built)
    : arguments(std::move(emitted.arguments)), gangs(in_gangs), tier(of), program(built) {
  cl_int status = CL_SUCCESS;
  kernel = clCreateKernel(program, jit::entry_name, &status);
  if (status != CL_SUCCESS) clReleaseProgram(program);
  check(status, target.name, "clCreateKernel");
}

Code::~Code() {
  clReleaseKernel(kernel);
  clReleaseProgram(program);
}

// ---- Kernel

Kernel::Kernel(const Target& target, const jit::Program& program, std::shared_ptr<const Code> code)
    : target_(target),
      program_(jit::flatten(program)),
      hash_(jit::hash(program)),
      code_(std::move(code)),
      done_(may_improve(target, *this->code()) ? 0.0 : never) {}

std::vector<std::byte> Kernel::object() const { return object_of(target_, *code(), hash_); }

void Kernel::when_improved(ImprovedFunction store) const {
  const std::lock_guard lock(mutex_);
  store_ = std::move(store);
}

double Kernel::cost_of(const LaunchStep& step) const {
  double items = 1;
  for (const std::int64_t n : step.extent) items *= static_cast<double>(n);
  for (const std::int32_t n : program_.block_size) items *= n;
  return items == 0 ? 0 : items * cost_of_item(program_, step.parameters);
}

bool Kernel::is_hot(double cost) const {
  return done_.fetch_add(cost, std::memory_order_relaxed) + cost > patience;
}

void Kernel::improve() const {
  const std::lock_guard lock(mutex_);
  if (code()->tier == Tier::optimised) return;
  try {
    const std::shared_ptr<const Code> better = code_of(target_, program_, Tier::optimised);
    code_.store(better);
    if (store_) store_(object_of(target_, *better, hash_));
  } catch (const std::exception& e) {
    done_.store(never);
    logging::write(3, fmt::format("{} stays as it is: {}", program_.name, e.what()));
  }
}

void improve_hot(const Target& target, std::span<const LaunchStep> steps) {
  if (!target.two_tiers) return;
  std::vector<std::function<void()>> tasks;
  for (const LaunchStep& step : steps) {
    if (step.kind != LaunchStep::Kind::kernel) continue;
    const auto& kernel = static_cast<const Kernel&>(*step.executable);
    if (kernel.code()->tier == Tier::quick && kernel.is_hot(kernel.cost_of(step))) {
      tasks.emplace_back([&kernel] { kernel.improve(); });
    }
  }
  if (!tasks.empty()) jit::run_on_compile_threads(tasks);
}

std::shared_ptr<const Kernel> compile(const Target& target, const jit::Program& program) {
  if (fault::should_fail("compile")) {
    throw CompileError(
        fmt::format("compile: kernel '{}': a fault that a test asked for", program.name));
  }
  return std::make_shared<const Kernel>(target, program,
                                        code_of(target, jit::flatten(program), first_tier(target)));
}

std::shared_ptr<const Kernel> load(const Target& target, std::span<const std::byte> object,
                                   const jit::Program& program) {
  ObjectHeader header;
  if (object.size() <= sizeof header) return nullptr;
  std::memcpy(&header, object.data(), sizeof header);
  if (std::memcmp(header.magic, object_magic, sizeof object_magic) != 0 ||
      !(header.target == hash_of(target)) || !(header.program == jit::hash(program)) ||
      header.tier > 1) {
    return nullptr;
  }
  const auto tier = static_cast<Tier>(header.tier);
  const Tier wanted = target.two_tiers ? forced_tier().value_or(tier) : tier;
  if (wanted != tier && (wanted == Tier::optimised || header.gangs != 0)) return nullptr;
  const std::size_t most = (object.size() - sizeof header) / sizeof(jit::KernelArgument);
  if (header.arguments > most) return nullptr;
  jit::EmittedKernel emitted;
  emitted.arguments.resize(header.arguments);
  const std::size_t begin = sizeof header + header.arguments * sizeof(jit::KernelArgument);
  std::memcpy(emitted.arguments.data(), object.data() + sizeof header, begin - sizeof header);
  const std::size_t size = object.size() - begin;
  const auto* binary = reinterpret_cast<const unsigned char*>(object.data() + begin);
  cl_int status = CL_SUCCESS, refused = CL_SUCCESS;
  const cl_program built = clCreateProgramWithBinary(target.context, 1, &target.device, &size,
                                                     &binary, &refused, &status);
  if (status != CL_SUCCESS || refused != CL_SUCCESS) return nullptr;
  if (build(target, built, target.options) != CL_SUCCESS) {
    clReleaseProgram(built);
    return nullptr;
  }
  return std::make_shared<const Kernel>(
      target, program,
      std::make_shared<const Code>(target, std::move(emitted), header.gangs != 0, tier, built));
}

std::string code_text(const Target& target, const jit::Program& program) {
  return emit(target, jit::flatten(program), Tier::optimised).kernel.text;
}

}  // namespace noyau::opencl
