// Which build of a shared library some code is from, as the linker stamped it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace noyau {

/// The GNU build id, in hex, of the loaded object that contains `address`; empty when it has none.
std::string build_note_of(const void* address);

}  // namespace noyau
