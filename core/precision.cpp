// The precision that a thread allows.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/precision.hpp"

#include <utility>

namespace noyau {
namespace {

thread_local AllowedPrecision current;

}  // namespace

Precision::Precision(AllowedPrecision allowed) : previous_(std::exchange(current, allowed)) {}
Precision::~Precision() { current = previous_; }

AllowedPrecision allowed_precision() { return current; }

}  // namespace noyau
