// The version of the library.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#define NOYAU_VERSION_MAJOR 0
#define NOYAU_VERSION_MINOR 1
#define NOYAU_VERSION_PATCH 0

namespace noyau {
const char* version();  ///< of the library that is loaded, e.g. "0.1.0"
}
