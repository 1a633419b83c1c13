// Files of arrays: safetensors and npy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "noyau/array.hpp"

namespace noyau::io {

/// All tensors of a safetensors file by name. FileError names the file and the field: header at
/// most 16 MiB, offsets contiguous and ending at the file's end, no duplicate names.
std::map<std::string, Array> load_safetensors(const std::string& path);
void save_safetensors(const std::string& path, const std::map<std::string, Array>& tensors);
/// NumPy's .npy, versions 1 to 3, C or Fortran order, little-endian.
Array load_npy(const std::string& path);
void save_npy(const std::string& path, Operand array);

}  // namespace noyau::io
