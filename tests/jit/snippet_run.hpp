// Runs functions of a library in the interpreter, one call at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "jit/interpret.hpp"
#include "jit/snippet.hpp"

namespace noyau::jit::testing {

/// Calls `entry` with scalars of its parameters' types; gives its result, then its references.
inline std::vector<Scalar> call(const FunctionLibrary& library, const FunctionLibrary::Entry& entry,
                                std::span<const Scalar> arguments,
                                std::int64_t step_limit = 1'000'000) {
  KernelBuilder builder("call");
  std::vector<Value> values;
  std::vector<std::uint64_t> bits;
  for (std::size_t k = 0; k < arguments.size(); ++k) {
    values.push_back(builder.parameter(builder.new_parameter(arguments[k].dtype)));
    bits.push_back(arguments[k].bits);
  }
  const std::vector<Value> results =
      builder.inline_function(library.program, entry.function, values);
  std::vector<Scalar> out;
  for (Value v : results) out.push_back({builder.type(v), 0});
  for (std::size_t k = 0; k < results.size(); ++k) {
    builder.store(builder.buffer(out[k].dtype, false, true), builder.constant_i64(0), results[k]);
  }
  const Program program = builder.finish();
  verify(program);
  std::vector<InterpreterBuffer> buffers;
  for (Scalar& s : out) buffers.push_back({&s.bits, 1});
  const std::int64_t one[3] = {1, 1, 1};
  interpret(program, one, buffers, bits, step_limit);
  return out;
}

}  // namespace noyau::jit::testing
