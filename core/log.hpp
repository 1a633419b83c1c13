// What NOYAU_DEBUG prints, and the record of launches that LaunchLog reads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace noyau::logging {

/// 0 (silent) to 5: 1 devices and warnings' detail, 2 launches, 3 plans, 4 generated code, 5
/// passes. From $NOYAU_DEBUG.
int level();
/// One line to standard error when level() >= at.
void write(int at, std::string_view line);
/// A warning, printed once for each different text in a process.
void warn_once(std::string_view line);

}  // namespace noyau::logging

namespace noyau::environment {

/// The variable's value, or an empty string.
std::string text(const char* variable);
/// A whole number in [least, most] with an optional suffix K, M or G; `otherwise` when unset.
/// ValueError names the variable when it is rubbish.
std::int64_t number(const char* variable, std::int64_t otherwise, std::int64_t least,
                    std::int64_t most);
/// A list of names, separated by commas, of which each may be followed by a `*` and how often it is
/// meant (1 to 64): every name as often as it is meant. ValueError names the variable when it is
/// rubbish.
std::vector<std::string> names(const char* variable);

}  // namespace noyau::environment
