// Whole files: read within a bound, written so that they appear complete or not at all.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace noyau::io {

/// The bytes of a regular file. FileError names it when it cannot be read or has more than `most`
/// bytes.
std::vector<unsigned char> read_file(const std::string& path, std::int64_t most);

/// Writes the parts one after another to a temporary file beside `path`, then renames it: whoever
/// looks sees the old file or the new one. FileError leaves nothing behind. Fault point
/// "file.write".
void write_file(const std::string& path,
                std::initializer_list<std::span<const unsigned char>> parts);

}  // namespace noyau::io
