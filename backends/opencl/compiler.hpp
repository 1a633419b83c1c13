// Programs to executables: OpenCL C for the driver's compiler, its binaries for the disk cache.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device.hpp"
#include "jit/emit_c.hpp"

namespace noyau::opencl {

/// What compiling needs to know of a device.
struct Target {
  cl_context context = nullptr;
  cl_device_id device = nullptr;
  std::string name;      ///< "opencl:0"
  std::string identity;  ///< platform, device, versions, options
  std::string options;   ///< of clBuildProgram
  bool runs = false;     ///< threads take runs of items: a CPU
  bool float64 = false;
};

/// The text of a kernel, and whether its items are gangs (jit::loop_over_lanes).
struct Emitted {
  jit::EmittedKernel kernel;
  bool gangs = false;
};

/// A compiled kernel.
class Kernel final : public Executable {
 public:
  Kernel(const Target& target, const jit::Program& program, Emitted emitted, cl_program built,
         jit::Hash128 hash);
  ~Kernel() override;
  std::vector<std::byte> object() const override;

  const std::string name;
  const bool items, runs, gangs;
  const std::int64_t block_size[3];
  const std::vector<jit::KernelArgument> arguments;
  const std::vector<jit::MemoryObject> memory;  ///< for shared arrays sized at launch
  const std::int64_t cost;                      ///< about the instructions of an item or a thread
  cl_kernel kernel() const { return kernel_; }

 private:
  const Target& target_;
  const jit::Hash128 hash_;
  cl_program program_ = nullptr;
  cl_kernel kernel_ = nullptr;
};

/// CompileError with the build log and the numbered source; NotImplemented.
std::shared_ptr<const Kernel> compile(const Target& target, const jit::Program& program);
/// nullptr when the object is damaged, or of another program, device or driver.
std::shared_ptr<const Kernel> load(const Target& target, std::span<const std::byte> object,
                                   const jit::Program& program);
/// The OpenCL C.
std::string code_text(const Target& target, const jit::Program& program);

/// "-11 (CL_BUILD_PROGRAM_FAILURE)", for messages.
std::string status_text(cl_int status);
/// DeviceError naming the call unless `status` is CL_SUCCESS.
void check(cl_int status, std::string_view device, std::string_view call);

}  // namespace noyau::opencl
