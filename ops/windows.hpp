// What convolution and pooling share: the geometry of windows over planes, and their nodes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/build.hpp"

namespace noyau::ops {

/// How many windows fit along direction d (0: height) of an extent, rounded down.
std::int64_t window_count(const WindowAttributes& w, int d, std::int64_t extent);
/// ShapeError unless strides, windows and dilations are positive and padding is not negative.
void check_windows(const WindowAttributes& w, std::string_view operation);

/// Nodes of one of the window kinds.
Array window_node(NodeKind kind, std::initializer_list<Array> inputs, const Shape& shape,
                  const WindowAttributes& w, Caller caller);

}  // namespace noyau::ops
