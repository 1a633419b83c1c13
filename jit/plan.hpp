// Plan: the steps that compute a trace, as relocatable data.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device.hpp"
#include "jit/fusion.hpp"
#include "jit/kernel.hpp"
#include "jit/lower.hpp"
#include "jit/trace.hpp"

namespace noyau::jit {

/// Memory of a plan.
struct PlanBuffer {
  enum class Kind : std::uint8_t {
    leaf,      ///< storage of an evaluated node
    stored,    ///< becomes the storage of a node
    temporary  ///< a piece of the plan's arena
  };
  Kind kind = Kind::temporary;
  std::int32_t node = -1, output = 0;  ///< trace node; -1 for scratch
  std::int64_t bytes = 0;
  std::int64_t offset = 0;            ///< in the arena
  std::int32_t first = 0, last = -1;  ///< steps between which a temporary lives
  bool donatable = false;             ///< a leaf whose memory a result may take over
};

/// What a step does there. update: changes a part of what is there.
enum class Access : std::uint8_t { read, write, update };

struct PlanPointer {
  std::int32_t buffer = 0;
  std::int64_t offset = 0;  ///< bytes
  Access access = Access::read;
  std::int32_t value = -1;  ///< the buffer it was planned for, which may lie in another's memory
};

/// Arguments of a kernel that may be the same memory: each item reads of the one only the element
/// that it writes of the other. Loads stay in front of stores, so no pointer is `restrict`.
struct InPlace {
  std::int32_t input, output;  ///< of PlanStep::pointers
};

struct PlanStep {
  LaunchStep::Kind kind = LaunchStep::Kind::kernel;
  std::string name;
  ExecutableRef executable;
  std::shared_ptr<PreparedCall> call;
  std::int64_t extent[3] = {1, 1, 1};
  std::vector<PlanPointer> pointers;
  std::vector<ParameterSource> parameters;
  std::vector<std::int32_t> versioned;  ///< library: the trace node of each input, whose number
                                        ///< tells whether its values changed
  std::vector<InPlace> in_place;
  bool copies_whole = false;  ///< from input to output of its only pair: nothing to do in place
  std::int64_t bytes = 0;
  bool compiled = false;  ///< while the plan is fresh: compiled for it, not found in a cache
};

/// An output of the plan: which buffer becomes whose storage.
struct PlanOutput {
  std::int32_t node, output, buffer;
};

struct Plan {
  std::vector<PlanBuffer> buffers;
  std::vector<PlanStep> steps;
  std::vector<PlanOutput> outputs;
  std::vector<std::int32_t> counted;  ///< trace nodes computed and alive, but not stored
  std::int64_t arena_bytes = 0;
  std::string text;            ///< for explain: kernels, schedules, code
  std::shared_ptr<void> memo;  ///< what the device made of the steps (Submission::memo)
};

struct PlanOptions {
  FusionOptions fusion;
  bool merge = true;      ///< compute equal subexpressions once
  bool layouts = true;    ///< let library calls choose the layout of temporaries and take epilogues
  bool library = true;    ///< use vendor routines where they apply
  bool compile = true;    ///< false: no executables (for explain and null devices)
  bool describe = false;  ///< fill Plan::text
};
/// Makes and compiles a plan. Called under the eval mutex.
Plan make_plan(const Trace& trace, const PlanOptions& options);

/// The pairs of a kernel with these arguments.
std::vector<InPlace> in_place_pairs(const Kernel& kernel, std::span<const PlanPointer> pointers);
/// Gives results the memory of inputs that die with the step, where that step allows it: of
/// temporaries, and of donatable leaves, whose buffers the results take over at commit. Returns for
/// each step whether nothing is left to do in it.
std::vector<char> reuse_in_place(Plan& plan);
/// Assigns arena offsets to temporaries by their lifetimes.
void plan_memory(Plan& plan);
/// Checks that each value is made once, before it is read, and not overwritten until then; that all
/// outputs are made; that temporaries alive together do not overlap. InternalError.
void verify_plan(const Plan& plan);

}  // namespace noyau::jit
