// What CLBlast's calls return, in words.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <clblast.h>

#include <string>

namespace noyau::clblast {

/// "-2046 (kInvalidLocalMemUsage)", for messages; OpenCL's own statuses as they are named there.
std::string status_text(::clblast::StatusCode code);

}  // namespace noyau::clblast
