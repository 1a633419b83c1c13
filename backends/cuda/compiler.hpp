// Programs to executables: CUDA C++ for NVRTC, its machine code for the disk cache and the driver.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/cuda/architecture.hpp"
#include "backends/cuda/driver.hpp"
#include "core/device.hpp"
#include "jit/emit_c.hpp"
#include "jit/shared_memory.hpp"

namespace noyau::cuda {

/// What compiling needs to know of a device.
struct Target {
  std::string name;  ///< "cuda:0"
  std::shared_ptr<const PrimaryContext> primary;
  Context context() const { return primary->get(); }
  Architecture architecture;
  std::string identity;  ///< what decides the code: architecture, NVRTC, options
};

/// A compiled kernel, loaded into its device's context.
class Kernel final : public Executable {
 public:
  /// DeviceError when the driver does not load `object`.
  Kernel(const Target& target, const jit::Program& program,
         std::vector<jit::KernelArgument> arguments, std::vector<std::byte> object);
  ~Kernel() override;
  std::vector<std::byte> object() const override { return object_; }

  const std::string name;
  const bool items;
  const std::int64_t block_size[3];
  const std::vector<jit::KernelArgument> arguments;
  const std::int64_t static_shared_bytes;
  /// Of the shared arrays sized at launch.
  std::int64_t shared_bytes(const std::uint64_t* parameters) const {
    return jit::dynamic_shared_bytes(memory_, parameters);
  }
  Function function() const { return function_; }

 private:
  const Target& target_;
  jit::Program memory_;  ///< the memory objects of the program, nothing else
  std::vector<std::byte> object_;
  Module module_ = nullptr;
  Function function_ = nullptr;
};

/// CompileError with NVRTC's log and the numbered source; NotImplemented.
std::shared_ptr<const Kernel> compile(const Target& target, const jit::Program& program);
/// nullptr when the driver refuses the object.
std::shared_ptr<const Kernel> load(const Target& target, std::span<const std::byte> object,
                                   const jit::Program& program);
/// The CUDA C++.
std::string code_text(const jit::Program& program);

}  // namespace noyau::cuda
