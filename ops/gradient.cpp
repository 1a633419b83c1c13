// Gradients: frames, the reverse walk in creation order, results that belong together.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/grad.hpp"

#include <fmt/format.h>

#include "noyau/error.hpp"
#include "ops/build.hpp"
#include "ops/gradient_frames.hpp"

namespace noyau {

Array stop_gradient(Operand x) {
  const Array a = ops::to_array(x);
  if (a.node()->frame == 0) return a;  // it depends on nothing that has a gradient
  return make_node({.kind = NodeKind::stop_gradient,
                    .dtype = a.dtype(),
                    .shape = a.shape(),
                    .inputs = {&a, 1},
                    .file = x.file(),
                    .line = x.line()});
}

}  // namespace noyau
