// Reading values as another type: what item() and to_vector() do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "noyau/dtype.hpp"

namespace noyau {

/// Converts `count` values. DtypeError naming the first value that an integer (or bool) target
/// cannot represent; a float target rounds. Neither array need be aligned to more than its type.
void convert_values(const void* from, DType from_type, void* to, DType to_type, std::int64_t count);

}  // namespace noyau
