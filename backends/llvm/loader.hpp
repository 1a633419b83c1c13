// The smallest loader that our objects need: one ELF file of the host, copied, relocated, sealed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "backends/llvm/emit_ir.hpp"

namespace noyau::llvm_backend {

/// Executable memory of one kernel. Written first, then executable: never both.
class LoadedCode {
 public:
  /// Throws CompileError saying what is wrong with the object; it never reads outside it.
  explicit LoadedCode(std::span<const std::byte> object);
  ~LoadedCode();
  LoadedCode(const LoadedCode&) = delete;
  LoadedCode& operator=(const LoadedCode&) = delete;

  KernelFunction entry() const { return entry_; }

 private:
  std::byte* memory_ = nullptr;
  std::size_t bytes_ = 0;
  KernelFunction entry_ = nullptr;
};

/// The address of a function that kernels call by name; nullptr for names that they never use.
const void* helper_address(const std::string& name);

}  // namespace noyau::llvm_backend
