// How much shared memory a block of a program takes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "jit/program.hpp"

namespace noyau::jit {

/// Bytes of the shared arrays that the program declares with their sizes.
std::int64_t static_shared_bytes(const Program& program);
/// Bytes of those sized at launch, by these parameters: the dynamic shared memory of a launch where
/// Dialect::sized_local_arguments is false.
std::int64_t dynamic_shared_bytes(const Program& program, const std::uint64_t* parameters);

}  // namespace noyau::jit
