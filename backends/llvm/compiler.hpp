// Programs to executables: LLVM's code generation in two tiers, and what a launch needs to know.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backends/llvm/lanes.hpp"
#include "backends/llvm/loader.hpp"
#include "core/device.hpp"

namespace noyau::llvm_backend {

/// 0: no passes, the fastest code generator, for straight programs. 1: early-cse, instcombine, licm
/// and the default code generator. The same bits either way.
enum class Tier : std::uint8_t { quick = 0, optimised = 1 };

/// A shared or private array of a program: where its size comes from.
struct LocalArray {
  std::size_t memory_object = 0;
  std::int64_t elements = 0;
  std::int32_t size_parameter = -1;
  std::size_t element_bytes = 4;  ///< times the lanes of a gang for private arrays
};

/// A compiled kernel. One of tier 0 that turns out to be hot gets the code of tier 1 while it runs.
class Kernel final : public Executable, public std::enable_shared_from_this<Kernel> {
 public:
  /// `patience`: nanoseconds at tier 0 after which it is recompiled; 0: never.
  Kernel(const jit::Program& program, const LaneAnalysis& lanes, std::vector<std::byte> object,
         std::int64_t patience);
  std::vector<std::byte> object() const override { return current()->object; }
  void when_improved(ImprovedFunction store) const override;

  /// Units of a launch: gangs of items, or blocks. 0 when an extent is 0.
  std::int64_t units(const std::int64_t* extent) const;
  KernelFunction entry() const { return current()->loaded.entry(); }

  /// Whether `ran` wants to know.
  bool may_improve() const { return patience_.load(std::memory_order_relaxed) > 0; }
  /// It has run for so long; asks for tier 1 when that is enough.
  void ran(std::int64_t nanoseconds) const;
  /// Compiles tier 1 here and now, and uses it from the next chunk on. On a failure tier 0 stays.
  void improve() const;

  const std::string name;
  const bool items;
  const std::size_t memory_objects;
  const std::int64_t cost_of_unit;      ///< about the vector instructions that a unit runs
  const std::vector<int> buffers;       ///< memory object of each buffer, in order
  const std::vector<LocalArray> local;  ///< shared and private arrays

 private:
  struct Code {
    explicit Code(std::vector<std::byte> bytes);
    std::vector<std::byte> object;
    LoadedCode loaded;
  };
  const Code* current() const { return current_.load(std::memory_order_acquire); }

  std::optional<jit::Program> program_;  ///< of what may improve
  const std::unique_ptr<const Code> first_;
  mutable std::unique_ptr<const Code> better_;  ///< some thread may still run the first
  mutable std::atomic<const Code*> current_;
  mutable std::atomic<std::int64_t> patience_;
  mutable std::mutex store_mutex_;
  mutable ImprovedFunction store_;
};

/// The processor, its features and LLVM's version: what generated code depends on.
std::string code_identity();

/// CompileError, NotImplemented. From any thread; each call uses a compiler of its own.
std::shared_ptr<const Kernel> compile(const jit::Program& program,
                                      std::optional<Tier> tier = std::nullopt);
/// nullptr when the object is damaged, or of another program or machine.
std::shared_ptr<const Kernel> load(std::span<const std::byte> object, const jit::Program& program);
/// LLVM IR and assembly.
std::string code_text(const jit::Program& program);

}  // namespace noyau::llvm_backend
