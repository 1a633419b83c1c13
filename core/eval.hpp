// Evaluation: from arrays somebody reads to steps on a device's queue. A transaction.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "jit/plan.hpp"
#include "noyau/array.hpp"
#include "noyau/profile.hpp"

namespace noyau {

/// Evaluates what is not evaluated yet. With `materialise`, views too get dense memory of their
/// own.
void evaluate(std::span<const Array> roots, bool materialise);

/// Adds to the logs of this thread.
void record_launch(const LaunchRecord& record);

/// How plans are made in this thread, for tests: fused or node by node, with or without vendor
/// routines.
class PlanScope {
 public:
  explicit PlanScope(const jit::PlanOptions& options);
  ~PlanScope();
  PlanScope(const PlanScope&) = delete;
  PlanScope& operator=(const PlanScope&) = delete;

 private:
  jit::PlanOptions previous_;
};

}  // namespace noyau
