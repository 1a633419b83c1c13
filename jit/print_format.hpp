// Formats what a Program prints.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "noyau/dtype.hpp"

namespace noyau::jit {

/// `format` with the values in the place of its conversions, as C's printf: %d %i %u %x %X %o %c
/// %e %f %g %a (and capitals), flags, width and precision; length modifiers are read and ignored,
/// since values know their type. A value converts to what its conversion shows; a conversion
/// without a value, or of another letter, stays as it is written. The decimal point is '.' in every
/// locale.
std::string format_print(std::string_view format, std::span<const Scalar> values);

}  // namespace noyau::jit
