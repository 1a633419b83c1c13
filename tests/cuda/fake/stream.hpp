// What the fakes of NVIDIA's libraries share: streams, which run at once or are captured.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace noyau::fake_cuda {

struct Graph;

struct Stream {
  void* context = nullptr;
  Graph* captured = nullptr;
};

/// The context that is current in this thread, or nullptr.
void* current_context();
/// Whether `bytes` bytes at `pointer` lie in memory that was allocated on a device.
bool holds(const void* pointer, std::size_t bytes);
/// Does the work now, or adds it to the graph that the stream is captured to. An error of the
/// driver when it is no stream, or not one of the current context.
int on_stream(void* stream, std::function<int()> work);
/// Notes `words` among the calls; the status that a test wants of the call named so.
int called(const char* name, const std::string& words = {});

}  // namespace noyau::fake_cuda
