// Memory that CLBlast wants for a call: one buffer a queue, since a queue runs in order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CL/cl.h>

#include <cstddef>

namespace noyau::clblast {

/// A buffer of at least `bytes` for what is enqueued next; nullptr for none, which CLBlast takes as
/// asked to find its own. OutOfMemory. Any thread.
cl_mem scratch(cl_command_queue queue, std::size_t bytes);

}  // namespace noyau::clblast
