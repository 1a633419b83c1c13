// Layout: the order in memory of a plan's buffers, voted for by library calls. Arrays themselves
// are row-major.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/device.hpp"
#include "jit/trace.hpp"

namespace noyau::jit {

/// For each node of a trace, the strides of its memory over its shape.
using Layouts = std::vector<Shape>;

/// The strides of an image [n, c, h, w] whose channels lie side by side.
Shape channels_last(const Shape& shape);
/// Everything row-major.
Layouts plain_layouts(const Trace& trace);
/// Temporaries between convolutions that want it are channels-last, with what lies between them.
Layouts choose_layouts(const Trace& trace, const DeviceBackend& device);

/// For each node, whether a stored view shares its memory, which is then row-major.
std::vector<char> shown_whole(const Trace& trace);

/// Operand k of node i as memory: its strides, and where it starts in elements. nullopt when it is
/// not strided there.
struct PlacedView {
  TensorView view;
  std::int64_t offset = 0;
};
std::optional<PlacedView> operand_view(const Trace& trace, const Layouts& layouts, std::int32_t i,
                                       int k);
TensorView result_view(const Trace& trace, const Layouts& layouts, std::int32_t i, int output = 0);

/// The call that product node i (matmul, convolution and its gradients) stands for; nullopt when an
/// operand is not strided.
std::optional<LibraryCall> library_call(const Trace& trace, const Layouts& layouts, std::int32_t i);
bool is_product(NodeKind kind);
/// The first routine of the device that takes the call; nullptr when none does.
const LibraryRoutine* routine_for(const DeviceBackend& device, const LibraryCall& call);

/// Lets products take the bias and relu that follow them and that nobody else reads, where a
/// routine does them on the way.
void absorb_epilogues(Trace& trace, const DeviceBackend& device);

}  // namespace noyau::jit
