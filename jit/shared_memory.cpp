// How much shared memory a block of a program takes.
// SPDX-License-Identifier: Apache-2.0
#include "jit/shared_memory.hpp"

namespace noyau::jit {
namespace {

/// As emitted: each array at a multiple of 16 bytes.
std::int64_t rounded_bytes(const MemoryObject& m, std::int64_t elements) {
  return (elements * static_cast<std::int64_t>(size_of(m.dtype)) + 15) / 16 * 16;
}

}  // namespace

std::int64_t static_shared_bytes(const Program& program) {
  std::int64_t bytes = 0;
  for (const MemoryObject& m : program.memory)
    if (m.kind == MemoryObject::Kind::shared && m.size_parameter < 0)
      bytes += rounded_bytes(m, m.elements);
  return bytes;
}

std::int64_t dynamic_shared_bytes(const Program& program, const std::uint64_t* parameters) {
  std::int64_t bytes = 0;
  for (const MemoryObject& m : program.memory)
    if (m.kind == MemoryObject::Kind::shared && m.size_parameter >= 0)
      bytes += rounded_bytes(m, static_cast<std::int64_t>(parameters[m.size_parameter]));
  return bytes;
}

}  // namespace noyau::jit
