// Program -> the text of a kernel in a C-like language: one emitter, each language a Dialect.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jit/dialect.hpp"
#include "jit/program.hpp"

namespace noyau::jit {

/// An argument of the emitted kernel, in order.
struct KernelArgument {
  enum class Kind : std::uint8_t {
    buffer,     ///< buffer `number` (counted as at launch)
    offset,     ///< int64: elements from that handle to where the buffer begins (Dialect::handles)
    parameter,  ///< parameter `number`, of its dtype; bool as a byte
    extent,     ///< int64: LaunchStep::extent[number]
    run,        ///< int64: consecutive items of axis `number` that one thread takes
                ///< (EmitOptions::runs)
    local,      ///< bytes of memory object `number`, a shared array sized at launch
                ///< (Dialect::sized_local_arguments)
    fault       ///< a buffer of two int64, zero at launch: code and detail of the first fault
  };
  Kind kind = Kind::buffer;
  std::int32_t number = 0;
  DType dtype = int64;
  bool operator==(const KernelArgument&) const = default;
};

struct EmitOptions {
  /// Items programs: each thread takes runs of consecutive items (for devices whose threads are
  /// those of a CPU) instead of stepping by the size of the launch.
  bool runs = false;
};

struct EmittedKernel {
  std::string text;
  std::vector<KernelArgument> arguments;
  bool float64 = false;  ///< it computes in float64, which not every device has
};
inline constexpr const char* entry_name = "noyau_kernel";

/// The text of `program` (any program: it is legalised first). Items programs may be launched with
/// any number of threads on each axis. Blocks programs want block_size threads a block and all
/// blocks on axis 0, extent[0] * extent[1] * extent[2] of them. NotImplemented names what the
/// dialect cannot say.
EmittedKernel emit_c(const Program& program, const Dialect& dialect, const EmitOptions& options);

/// The text with its lines numbered from 1, for errors of compilers.
std::string numbered_lines(const std::string& text);

}  // namespace noyau::jit
