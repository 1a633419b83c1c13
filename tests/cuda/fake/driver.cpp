// A libcuda.so.1 for tests: three devices on the host's memory, whose kernels are shared objects.
// $NOYAU_FAKE_CUDA makes it fail from the start: "init" (cuInit), "none" (no device), "old" (a
// driver for CUDA 11.8).
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include <set>

#include "tests/common/fake_calls.hpp"
#include "tests/cuda/fake/control.hpp"
#include "tests/cuda/fake/graph.hpp"
#include "tests/cuda/fake/stream.hpp"

namespace noyau::fake_cuda {
namespace {

struct State {
  std::mutex mutex;
  test::FakeCalls calls;
  std::map<void*, std::size_t> blocks;
  std::size_t bytes = 0, limit = std::size_t{1} << 33;
  std::set<Stream*> streams;
  bool held = false;
};
State& state() {
  static auto* const made = new State;
  return *made;
}

bool wants(const char* mode) { return test::fake_mode_is("NOYAU_FAKE_CUDA", mode); }

thread_local std::vector<void*> current;

}  // namespace

int called(const char* name, const std::string& words) { return state().calls.called(name, words); }
void* current_context() { return current.empty() ? nullptr : current.back(); }
bool holds(const void* pointer, std::size_t bytes) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  auto found = s.blocks.upper_bound(const_cast<void*>(pointer));
  if (found == s.blocks.begin()) return false;
  --found;
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(pointer) -
                                               static_cast<std::byte*>(found->first));
  return offset <= found->second && bytes <= found->second - offset;
}
int on_stream(void* stream, std::function<int()> work) {
  auto* ours = static_cast<Stream*>(stream);
  {
    const std::lock_guard lock(state().mutex);
    if (state().streams.count(ours) == 0) return 400;  // invalid handle
  }
  if (ours->context != current_context()) return 201;  // invalid context
  if (ours->captured != nullptr) {
    ours->captured->add_last(std::move(work));
    return 0;
  }
  return work();
}

std::vector<std::string> calls() { return state().calls.all(); }
void forget() { state().calls.forget(); }
void fail(const std::string& call, int status) { state().calls.fail(call, status); }
void hold(bool held) {
  const std::lock_guard lock(state().mutex);
  state().held = held;
}
void limit(std::size_t bytes) {
  const std::lock_guard lock(state().mutex);
  state().limit = bytes;
}
int live_blocks() {
  const std::lock_guard lock(state().mutex);
  return static_cast<int>(state().blocks.size());
}

}  // namespace noyau::fake_cuda

using namespace noyau::fake_cuda;  // NOLINT: a file of C functions
using Handle = void*;
using Address = unsigned long long;

extern "C" {

int cuInit(unsigned) { return wants("init") ? 999 : 0; }
int cuDriverGetVersion(int* version) {
  *version = wants("old") ? 11080 : 13000;
  return 0;
}
int cuGetErrorName(int status, const char** name) {
  *name = status == 2     ? "CUDA_ERROR_OUT_OF_MEMORY"
          : status == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : status == 999 ? "CUDA_ERROR_UNKNOWN"
                          : "CUDA_ERROR_FAKE";
  return 0;
}
int cuGetErrorString(int, const char** words) {
  *words = "words of the fake driver";
  return 0;
}
int cuDeviceGetCount(int* count) {
  *count = wants("none") ? 0 : 3;
  return 0;
}
int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}
int cuDeviceGetName(char* name, int length, int) {
  snprintf(name, static_cast<std::size_t>(length), "Fake GPU");
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int) {
  switch (attribute) {
    case 8:
      *value = 49152;
      return 0;
    case 16:
      *value = 2;
      return 0;
    case 38:
      *value = 1 << 20;
      return 0;
    case 75:
      *value = 9;
      return 0;
    case 76:
      *value = 0;
      return 0;
    case 97:
      *value = most_shared;
      return 0;
    default:
      return 1;
  }
}
int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{1} << 33;
  return 0;
}
int cuDevicePrimaryCtxRetain(Handle* context, int device) {
  static int contexts[3];
  *context = &contexts[device];
  return called("cuDevicePrimaryCtxRetain", "context " + std::to_string(device));
}
/// In one direction alone.
int cuDeviceCanAccessPeer(int* can, int device, int) {
  *can = device;
  return 0;
}
int cuCtxEnablePeerAccess(Handle, unsigned) { return called("cuCtxEnablePeerAccess", "peer"); }

int cuCtxPushCurrent_v2(Handle context) {
  current.push_back(context);
  return 0;
}
int cuCtxPopCurrent_v2(Handle* context) {
  *context = current.back();
  current.pop_back();
  return 0;
}
/// Invalid context: what a call outside of a ContextScope gets.
static int bare() { return current_context() == nullptr ? 201 : 0; }

int cuStreamCreate(Handle* stream, unsigned) {
  auto* made = new Stream{current_context(), nullptr};
  const std::lock_guard lock(state().mutex);
  state().streams.insert(made);
  *stream = made;
  return bare();
}
int cuStreamSynchronize(Handle) { return called("cuStreamSynchronize"); }
int cuStreamWaitEvent(Handle, Handle, unsigned) { return called("cuStreamWaitEvent", "wait"); }
int cuEventCreate(Handle* event, unsigned) {
  *event = new int;
  return bare();
}
int cuEventDestroy_v2(Handle event) {
  delete static_cast<int*>(event);
  return 0;
}
int cuEventRecord(Handle, Handle) { return called("cuEventRecord", "record"); }
int cuEventQuery(Handle) {
  {
    const std::lock_guard lock(state().mutex);
    if (state().held) return 600;
  }
  return called("cuEventQuery");
}
int cuEventSynchronize(Handle) { return called("cuEventSynchronize"); }
int cuEventElapsedTime(float* ms, Handle, Handle) {
  *ms = 1;
  return 0;
}

int cuMemAlloc_v2(Address* address, std::size_t bytes) {
  if (const int status = called("cuMemAlloc")) return status;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (bare() != 0) return bare();
  if (s.bytes + bytes > s.limit) return 2;
  void* block = nullptr;
  if (posix_memalign(&block, 256, bytes) != 0) return 2;
  s.blocks[block] = bytes;
  s.bytes += bytes;
  *address = reinterpret_cast<Address>(block);
  return 0;
}
int cuMemFree_v2(Address address) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  void* block = reinterpret_cast<void*>(address);
  const auto found = s.blocks.find(block);
  if (found == s.blocks.end()) return 1;
  s.bytes -= found->second;
  s.blocks.erase(found);
  free(block);
  return 0;
}
int cuMemHostAlloc(void** memory, std::size_t bytes, unsigned) {
  *memory = malloc(bytes);
  return bare();
}
int cuMemcpyHtoDAsync_v2(Address to, const void* from, std::size_t bytes, Handle stream) {
  return on_stream(stream, [=] {
    memcpy(reinterpret_cast<void*>(to), from, bytes);
    return called("cuMemcpyHtoDAsync", "to device " + std::to_string(bytes));
  });
}
int cuMemcpyDtoHAsync_v2(void* to, Address from, std::size_t bytes, Handle stream) {
  return on_stream(stream, [=] {
    memcpy(to, reinterpret_cast<void*>(from), bytes);
    return called("cuMemcpyDtoHAsync", "to host " + std::to_string(bytes));
  });
}
int cuMemcpyDtoDAsync_v2(Address to, Address from, std::size_t bytes, Handle stream) {
  return on_stream(stream, [=] { return do_copy(to, from, bytes); });
}
int cuMemcpyPeerAsync(Address to, Handle, Address from, Handle, std::size_t bytes, Handle stream) {
  return on_stream(stream, [=] {
    memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
    return called("cuMemcpyPeerAsync", "peer copy " + std::to_string(bytes));
  });
}
int cuMemsetD8Async(Address to, unsigned char value, std::size_t bytes, Handle stream) {
  return on_stream(stream, [=] { return do_fill(to, value, bytes); });
}

/// A real driver reads the length from the image; ours stands in front of it.
int cuModuleLoadData(Handle* module, const void* image) {
  char magic[8];
  std::size_t size = 0;
  memcpy(magic, image, sizeof magic);
  if (memcmp(magic, "FAKECUBN", 8) != 0) return 200;
  memcpy(&size, static_cast<const char*>(image) + 8, sizeof size);
  std::string name = std::filesystem::temp_directory_path() / "noyau-fake-cubin-XXXXXX";
  const int file = mkstemp(name.data());
  if (file < 0) return 2;
  const bool whole =
      write(file, static_cast<const char*>(image) + 16, size) == static_cast<ssize_t>(size);
  close(file);
  *module = whole ? dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  unlink(name.c_str());
  return *module == nullptr ? 200 : called("cuModuleLoadData");
}
int cuModuleUnload(Handle) { return 0; }
int cuModuleGetFunction(Handle* function, Handle module, const char* name) {
  if (dlsym(module, name) == nullptr) return 500;
  const auto number = [&](const char* symbol) {
    return static_cast<const unsigned long*>(dlsym(module, symbol));
  };
  const std::size_t shared = *number("noyau_fake_shared");
  if (shared > usual_shared) return 200;  // a real compiler refuses the text
  *function = new Function{reinterpret_cast<Function::Run>(dlsym(module, "noyau_fake_run")),
                           number("noyau_fake_sizes"), shared, usual_shared - shared};
  return 0;
}
/// The only one: the dynamic shared memory that a launch may ask for.
int cuFuncSetAttribute(Handle function, int attribute, int value) {
  auto* f = static_cast<Function*>(function);
  if (attribute != 8 || f->shared + static_cast<std::size_t>(value) > most_shared) return 1;
  f->most_dynamic = static_cast<std::size_t>(value);
  return called("cuFuncSetAttribute", "shared memory " + std::to_string(value));
}
#ifndef NOYAU_FAKE_WITHOUT_LAUNCH
int cuLaunchKernel(Handle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, unsigned shared, Handle stream, void** arguments, void**) {
  if (bare() != 0) return bare();
  if (shared > static_cast<Function*>(function)->most_dynamic) return 1;
  Launch launch;
  launch.set(static_cast<Function*>(function), {gx, gy, gz}, {bx, by, bz}, arguments);
  return on_stream(stream, [launch] { return launch.run(); });
}
#endif

}  // extern "C"
