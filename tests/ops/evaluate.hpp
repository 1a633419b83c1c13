// Reading arrays through the reference evaluator: tests of meaning need no device that runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/graph.hpp"
#include "noyau/ops.hpp"
#include "ops/reference.hpp"

namespace noyau {

inline std::vector<double> values(const Array& x) {
  const reference::Value value = reference::evaluate(x);
  std::vector<double> list;
  for (std::size_t i = 0; i < static_cast<std::size_t>(x.size()); ++i) {
    list.push_back(value.to_double(i));
  }
  return list;
}

/// An array of float64 built from constants, for devices that hold no data.
inline Array array_of(const std::vector<double>& list) {
  std::vector<Array> parts;
  for (double v : list) parts.push_back(full({1}, v, float64));
  return parts.size() == 1 ? parts[0] : concatenate(parts);
}

}  // namespace noyau
