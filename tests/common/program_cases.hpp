// Programs that say everything a Program can say, with launches of them: for every backend and
// text.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "tests/jit/programs.hpp"

namespace noyau::jit::testing {

using Extent = std::array<std::int64_t, 3>;
/// Called with each launch: program, extent, parameters, buffers before it.
using Visit = std::function<void(const Program&, const Extent&, const std::vector<std::uint64_t>&,
                                 const std::vector<HostBuffer>&)>;

/// The buffers after the launch, by the interpreter.
std::vector<HostBuffer> interpreted(const Program& program, const Extent& extent,
                                    const std::vector<std::uint64_t>& parameters,
                                    const std::vector<HostBuffer>& buffers);
/// Bit by bit, but any NaN is as good as another. `a` is the device's.
::testing::AssertionResult same(const std::vector<HostBuffer>& a, const std::vector<HostBuffer>& b);

/// Values of a type at which operations go wrong.
std::vector<Scalar> specials(DType type);
HostBuffer buffer_of(DType type, const std::vector<Scalar>& values);
HostBuffer zeros(DType type, std::size_t elements);
bool has_meaning(Opcode op, DType type);

/// How the second operand comes: loaded, a parameter, or a constant.
enum class Second { loaded, parameter, constant };
Program binary_program(Opcode op, DType type, Second second, bool uniform_first, Scalar constant);

void visit_binary(DType type, const Visit& visit);
void visit_constant_operands(DType type, const Visit& visit);
void visit_unary(DType type, const Visit& visit);
void visit_conversions(DType type, const Visit& visit);
void visit_addresses(DType type, const Visit& visit);
void visit_fma_and_select(const Visit& visit);
void visit_math(const Visit& visit);
void visit_transposed_loads(const Visit& visit);
void visit_private_arrays(const Visit& visit);
void visit_streamed_rows(const Visit& visit);
void visit_shuffles_and_votes(const Visit& visit);
void visit_block_shapes(const Visit& visit);
void visit_atomics(const Visit& visit);
void visit_random_control_flow(const Visit& visit);

}  // namespace noyau::jit::testing
