// The factors of products in the precisions that tensor cores have.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

namespace noyau::fake_cuda {

/// `value` with so many bits of mantissa: 7 of bfloat16, 10 of TF32. Nearest, halves to even; not
/// for infinities and NaN.
inline float with_mantissa(float value, int bits) {
  const int cut = 23 - bits;
  std::uint32_t word = std::bit_cast<std::uint32_t>(value);
  word += (1u << (cut - 1)) - 1 + (word >> cut & 1);
  return std::bit_cast<float>(word >> cut << cut);
}

}  // namespace noyau::fake_cuda
