// OpenCL C for the driver's compiler, and binaries in and out.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/compiler.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "core/fault.hpp"
#include "jit/inline.hpp"
#include "jit/legalise.hpp"
#include "noyau/error.hpp"

namespace noyau::opencl {
namespace {

constexpr char object_magic[8] = {'N', 'Y', 'O', 'P', 'C', 'L', '0', '1'};

/// Before the binary's bytes: which program for which device it is.
struct ObjectHeader {
  char magic[8];
  jit::Hash128 target, program;
};

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

/// Loops run an unknown number of rounds: each counts as some.
std::int64_t cost_of(const jit::Program& program) {
  constexpr std::int64_t rounds = 32;
  std::int64_t cost = 0, factor = 1;
  std::vector<jit::Value> ends;
  for (jit::Value v = program.entry(); v < program.size(); ++v) {
    while (!ends.empty() && ends.back() <= v) {
      ends.pop_back();
      factor /= rounds;
    }
    if (program[v].op == jit::Opcode::loop && ends.size() < 4) {
      ends.push_back(program[v].end);
      factor *= rounds;
    }
    cost += factor;
  }
  return cost;
}

Emitted emit(const Target& target, const jit::Program& program) {
  for (const jit::MemoryObject& m : program.memory) {
    if (m.dtype == float64 && !target.float64) {
      throw NotImplemented(
          fmt::format("compile: kernel '{}' uses float64, which {} does not have; use float32 or "
                      "another device",
                      program.name, target.name));
    }
  }
  if (target.runs) {
    if (const auto gangs = jit::loop_over_lanes(jit::inline_calls(program))) {
      return {jit::emit_c(*gangs, jit::opencl_dialect(), {.runs = true}), true};
    }
  }
  return {jit::emit_c(program, jit::opencl_dialect(), {.runs = target.runs}), false};
}

}  // namespace

std::string status_text(cl_int status) {
  struct Known {
    cl_int status;
    const char* name;
  };
  static constexpr Known known[] = {
      {CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND"},
      {CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE"},
      {CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE"},
      {CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
      {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES"},
      {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY"},
      {CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE"},
      {CL_INVALID_VALUE, "CL_INVALID_VALUE"},
      {CL_INVALID_BINARY, "CL_INVALID_BINARY"},
      {CL_INVALID_BUILD_OPTIONS, "CL_INVALID_BUILD_OPTIONS"},
      {CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS"},
      {CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE"},
      {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE"},
      {-1001, "CL_PLATFORM_NOT_FOUND_KHR"}};
  for (const Known& k : known) {
    if (k.status == status) return fmt::format("{} ({})", status, k.name);
  }
  return std::to_string(status);
}

void check(cl_int status, std::string_view device, std::string_view call) {
  if (status == CL_SUCCESS) return;
  throw DeviceError(fmt::format("{}: {} failed: {}", device, call, status_text(status)));
}

Kernel::Kernel(const Target& target, const jit::Program& program, Emitted emitted, cl_program built,
               jit::Hash128 hash)
    : name(program.name),
      items(program.domain == jit::Domain::items),
      runs(items && target.runs),
      gangs(emitted.gangs),
      block_size{program.block_size[0], program.block_size[1], program.block_size[2]},
      arguments(std::move(emitted.kernel.arguments)),
      memory(program.memory),
      cost(cost_of(program)),
      target_(target),
      hash_(hash),
      program_(built) {
  cl_int status = CL_SUCCESS;
  kernel_ = clCreateKernel(program_, jit::entry_name, &status);
  if (status != CL_SUCCESS) clReleaseProgram(program_);
  check(status, target.name, "clCreateKernel");
}

Kernel::~Kernel() {
  clReleaseKernel(kernel_);
  clReleaseProgram(program_);
}

std::vector<std::byte> Kernel::object() const {
  std::size_t size = 0;
  if (clGetProgramInfo(program_, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, nullptr) !=
          CL_SUCCESS ||
      size == 0) {
    return {};
  }
  std::vector<std::byte> object(sizeof(ObjectHeader) + size);
  ObjectHeader header{{}, hash_of(target_), hash_};
  std::memcpy(header.magic, object_magic, sizeof object_magic);
  std::memcpy(object.data(), &header, sizeof header);
  auto* binary = reinterpret_cast<unsigned char*>(object.data() + sizeof header);
  if (clGetProgramInfo(program_, CL_PROGRAM_BINARIES, sizeof binary, &binary, nullptr) !=
      CL_SUCCESS) {
    return {};
  }
  return object;
}

std::shared_ptr<const Kernel> compile(const Target& target, const jit::Program& program) {
  if (fault::should_fail("compile")) {
    throw CompileError(
        fmt::format("compile: kernel '{}': a fault that a test asked for", program.name));
  }
  Emitted emitted = emit(target, program);
  const char* text = emitted.kernel.text.c_str();
  cl_int status = CL_SUCCESS;
  const cl_program built = clCreateProgramWithSource(target.context, 1, &text, nullptr, &status);
  check(status, target.name, "clCreateProgramWithSource");
  status = clBuildProgram(built, 1, &target.device, target.options.c_str(), nullptr, nullptr);
  if (status != CL_SUCCESS) {
    const std::string log = build_log(target, built);
    clReleaseProgram(built);
    throw CompileError(fmt::format("compile: {} refused kernel '{}' ({}):\n{}\n{}", target.name,
                                   program.name, status_text(status), log,
                                   jit::numbered_lines(emitted.kernel.text)));
  }
  // Some drivers generate code only now, or else at the first launch.
  std::size_t size = 0;
  clGetProgramInfo(built, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, nullptr);
  return std::make_shared<const Kernel>(target, program, std::move(emitted), built,
                                        jit::hash(program));
}

std::shared_ptr<const Kernel> load(const Target& target, std::span<const std::byte> object,
                                   const jit::Program& program) {
  ObjectHeader header;
  if (object.size() <= sizeof header) return nullptr;
  std::memcpy(&header, object.data(), sizeof header);
  const jit::Hash128 hash = jit::hash(program);
  if (std::memcmp(header.magic, object_magic, sizeof object_magic) != 0 ||
      !(header.target == hash_of(target)) || !(header.program == hash)) {
    return nullptr;
  }
  const std::size_t size = object.size() - sizeof header;
  const auto* binary = reinterpret_cast<const unsigned char*>(object.data() + sizeof header);
  cl_int status = CL_SUCCESS, refused = CL_SUCCESS;
  const cl_program built = clCreateProgramWithBinary(target.context, 1, &target.device, &size,
                                                     &binary, &refused, &status);
  if (status != CL_SUCCESS || refused != CL_SUCCESS) return nullptr;
  if (clBuildProgram(built, 1, &target.device, target.options.c_str(), nullptr, nullptr) !=
      CL_SUCCESS) {
    clReleaseProgram(built);
    return nullptr;
  }
  return std::make_shared<const Kernel>(target, program, emit(target, program), built, hash);
}

std::string code_text(const Target& target, const jit::Program& program) {
  return emit(target, program).kernel.text;
}

}  // namespace noyau::opencl
