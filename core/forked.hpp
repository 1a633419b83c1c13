// Forked children: drivers, pools and queues leave their threads in the parent; use there throws.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace noyau {

/// From now on children that are forked know it. Called by each backend when it loads.
void watch_forks();
/// True in a child that was forked after watch_forks().
bool is_forked_child();
/// DeviceError in such a child; `device` names who refuses.
void check_process(std::string_view device);

}  // namespace noyau
