// What is known of PoCL, the OpenCL of CPUs: its cache, how to make it compile in a fraction of its
// time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace noyau::opencl {

/// Before the first call of OpenCL. PoCL aborts when its own cache is damaged and never cleans it,
/// so it gets one a process, in memory where that can be; ours keeps the binaries. They hold the
/// code for any size of launch, so that is what must run: code for one size would be compiled at
/// the first launch, in every process again.
void prepare_pocl();

/// Whether launches of all sizes run the same code, as prepare_pocl() asks for. Users may have set
/// the variable otherwise.
bool runs_any_size();

/// By the name of its platform.
bool is_pocl(std::string_view platform);

/// Parsing the header of all of OpenCL's functions takes PoCL 60 ms a kernel. This option leaves it
/// out, and these lines before the text declare what emitted text uses. A version of PoCL that
/// refuses them gets the text alone.
inline constexpr std::string_view without_header = " -D_OPENCL_H_";
std::string_view own_declarations();

/// Takes the bitcode, from which PoCL made the code, out of a program's binary, and returns its new
/// size. PoCL parses it, in half a millisecond, whenever it is given the binary, and uses it only
/// to generate code for launches of a size that the binary has no code for. What does not look as
/// expected stays as it is.
std::size_t without_bitcode(std::span<std::byte> binary);

}  // namespace noyau::opencl
