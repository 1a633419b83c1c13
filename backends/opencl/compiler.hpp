// Programs to executables: OpenCL C for the driver's compiler, its binaries for the disk cache.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "backends/opencl/status.hpp"
#include "core/device.hpp"
#include "jit/emit_c.hpp"

namespace noyau::opencl {

/// A driver whose compiler is slow compiles every kernel quickly at first, and with optimisation
/// once it has much to do. Both give the same bits.
enum class Tier : std::uint8_t { quick = 0, optimised = 1 };

/// What compiling needs to know of a device.
struct Target {
  cl_context context = nullptr;
  cl_device_id device = nullptr;
  std::string name;            ///< "opencl:0"
  std::string identity;        ///< platform, device, versions, options
  std::string options;         ///< of clBuildProgram
  bool runs = false;           ///< threads take runs of items: a CPU
  bool two_tiers = false;      ///< its compiler is slow
  bool declares = false;       ///< own_declarations() instead of the driver's header
  bool runs_any_size = false;  ///< PoCL's binaries need no more than their code
  bool float64 = false;
};

/// Text and binary of one tier, ready to be launched.
struct Code {
  Code(const Target& target, jit::EmittedKernel emitted, bool gangs, Tier tier, cl_program built);
  ~Code();
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;

  const std::vector<jit::KernelArgument> arguments;
  const bool gangs;  ///< its items are gangs (jit::loop_over_lanes)
  const Tier tier;
  const cl_program program;
  cl_kernel kernel = nullptr;
};

/// A compiled kernel.
class Kernel final : public Executable {
 public:
  Kernel(const Target& target, const jit::Program& program, std::shared_ptr<const Code> code);
  std::vector<std::byte> object() const override;
  void when_improved(ImprovedFunction store) const override;

  std::shared_ptr<const Code> code() const { return code_.load(); }
  const jit::Program& program() const { return program_; }  ///< without calls
  bool items() const { return program_.domain == jit::Domain::items; }
  bool runs() const { return items() && target_.runs; }
  /// About the instructions of a launch.
  double cost_of(const LaunchStep& step) const;

  /// Whether the quick code has done so much, with a launch of this cost, that optimising pays.
  bool is_hot(double cost) const;
  /// Compiles the optimised code here and now. On a failure the quick code stays.
  void improve() const;

 private:
  const Target& target_;
  const jit::Program program_;
  const jit::Hash128 hash_;  ///< of the program as it was given
  mutable std::atomic<std::shared_ptr<const Code>> code_;
  mutable std::atomic<double> done_ = 0;
  mutable std::mutex mutex_;  ///< of improving
  mutable ImprovedFunction store_;
};

/// CompileError with the build log and the numbered source; NotImplemented.
std::shared_ptr<const Kernel> compile(const Target& target, const jit::Program& program);
/// nullptr when the object is damaged, or of another program, device or driver.
std::shared_ptr<const Kernel> load(const Target& target, std::span<const std::byte> object,
                                   const jit::Program& program);
/// Gives the kernels of these steps that have much to do their optimised code.
void improve_hot(const Target& target, std::span<const LaunchStep> steps);
/// The OpenCL C.
std::string code_text(const Target& target, const jit::Program& program);

}  // namespace noyau::opencl
