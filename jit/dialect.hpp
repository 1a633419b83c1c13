// Dialect: how one C-like language spells what Programs say; a table, read by the one emitter.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "jit/program.hpp"

namespace noyau::jit {

/// The spellings of a language. `{}`, `{0}`, `{1}` in patterns are what the emitter fills in.
struct Dialect {
  std::string_view name;
  std::string_view prologue;          ///< lines before everything else
  std::string_view float64_prologue;  ///< lines before a program that has float64
  std::string_view int64_atomics_prologue;
  /// Before the entry's name, qualifiers and void: of blocks programs ({0} {1} {2} are the block's
  /// size, {3} its threads), of items programs, and of those whose threads take runs of items.
  std::string_view kernel, item_kernel, run_kernel;
  std::string_view function;            ///< before the type of a helper function
  std::string_view global, local;       ///< address spaces of pointers, each with a space after it
  std::string_view shared;              ///< before the declaration of an array of the block
  std::string_view types[dtype_count];  ///< of values, by DType
  std::string_view int64_suffix, uint64_suffix;  ///< of literals
  /// int64 expressions for each axis: the thread of the launch, the launch's number of threads, the
  /// thread in its block.
  std::string_view item[3], items[3], thread[3];
  std::string_view block;  ///< int64: the block, counted along axis 0 alone
  /// Before a loop whose rounds do not depend on each other, one that is rarely run, and those of
  /// which the compiler is to copy all rounds, some, none.
  std::string_view independent_loop, brief_loop, unrolled_loop, partly_unrolled_loop, rolled_loop;
  std::string_view
      vector_types[dtype_count];  ///< of several values in memory, but for their number
  std::string_view vector;        ///< {0} such a type, {1} its values
  std::string_view block_number;  ///< an unsigned type that holds every block's number
  std::string_view bitcast;       ///< {0} the type, {1} the value
  std::string_view barrier, fence;
  std::string_view fma[2], sqrt[2], floor[2], ceil[2], trunc[2], rint[2], absolute[2],
      remainder[2];  ///< functions of float32, float64
  /// Atomic functions of (pointer, value...) for 32 and 64 bits, by AtomicOp up to
  /// compare_exchange.
  std::string_view atomics[2][8];
  bool atomic_float_add;  ///< atomics[][add] takes float32 and float64 too
  /// Arguments of a lane exchange: {0} the mask of the gang's lanes, {1} value, {2} int lane; empty
  /// where the language has none: legalise rewrites what uses it.
  std::string_view shuffle;
  std::string_view vote[2];      ///< any, all: {0} mask, {1} condition
  std::string_view print;        ///< {0} the quoted format and the arguments; empty: no printing
  std::string_view print_int64;  ///< length modifier
  bool handles;  ///< a buffer argument is a handle without arithmetic: an offset comes with it
  bool sized_local_arguments;  ///< shared arrays sized at launch are arguments; else they lie one
                               ///< after the other in `dynamic_shared`
  std::string_view dynamic_shared;  ///< declares the bytes named noyau_shared
};

const Dialect& cuda_dialect();
const Dialect& opencl_dialect();

}  // namespace noyau::jit
