// The user's cache directory: found, made, and checked to be this user's alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "core/file.hpp"

namespace noyau {

struct CacheDirectory {
  FileDescriptor descriptor;  ///< for openat and friends: the directory that was checked
  std::string path;           ///< for messages
};

/// $NOYAU_CACHE_DIR, else $XDG_CACHE_HOME/noyau, else $HOME/.cache/noyau; made with mode 0700 when
/// missing ($HOME itself never is). Refused when it is a symbolic link, not a directory, not ours,
/// writable by others, or not writable by us: then nothing is returned and one warning says why.
std::optional<CacheDirectory> open_cache_directory();

}  // namespace noyau
