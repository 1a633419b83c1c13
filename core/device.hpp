// The whole contract between Noyau and a device: memory, compiling, running lists of steps, limits.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/buffer.hpp"
#include "jit/program.hpp"
#include "noyau/device.hpp"
#include "noyau/dtype.hpp"
#include "noyau/precision.hpp"
#include "noyau/shape.hpp"

namespace noyau {

/// What planning and code generation ask of a device.
struct DeviceLimits {
  std::int64_t compute_units = 1;
  std::int64_t fast_memory_bytes =
      32 * 1024;  ///< shared memory of a block; half of L1 on a CPU: what a row may take
  std::int64_t cache_bytes = 32 << 20;  ///< the last-level cache: larger outputs are streamed
  std::int64_t memory_bytes = 0;
  std::int64_t largest_buffer_bytes = 0;  ///< of one buffer; 0: only memory_bytes is a limit
  int vector_bytes = 64;
  int block_threads = 0;  ///< threads that a block should have; 0 where threads are SIMD lanes
  std::int64_t argument_bytes = 1 << 30;  ///< of one kernel: its buffers and numbers
  bool float64 = true;
  bool gangs = true;        ///< 32 threads of a block exchange values at little cost
  bool host_memory = true;  ///< the host may read and write buffers in place
};

/// Something a device can run: made from a Program, kept by the cache.
class Executable {
 public:
  virtual ~Executable();
  /// What the disk cache stores; empty when it cannot be stored.
  virtual std::vector<std::byte> object() const = 0;
  /// What to do with object() when a better one has been made later, on another thread: the cache
  /// stores it. For devices that recompile what is hot.
  using ImprovedFunction = std::function<void(std::span<const std::byte>)>;
  virtual void when_improved(ImprovedFunction store) const { (void)store; }
};
using ExecutableRef = std::shared_ptr<const Executable>;

/// A strided array as library routines see it. Strides in elements; extents of 1 may have any
/// stride.
struct TensorView {
  DType dtype = float32;
  Shape shape;
  Shape strides;
};

/// What a library routine is asked to do. Zero extents never reach a routine.
struct LibraryCall {
  enum class Kind : std::uint8_t {
    matmul,  ///< inputs a[..., m, k], b[..., k, n] with equal batch axes (stride 0 broadcasts);
             ///< output [..., m, n]
    convolution,  ///< inputs x[n, c, h, w], weights[o, c / groups, kh, kw][, bias[o]]; output [n,
                  ///< o, oh, ow]
    convolution_input_gradient,  ///< inputs dy[n, o, oh, ow], weights; output dx[n, c, h, w]
    convolution_weight_gradient  ///< inputs x, dy; output dweights
  };
  Kind kind = Kind::matmul;
  std::vector<TensorView> inputs;
  TensorView output;
  std::int64_t stride[2] = {1, 1}, padding_low[2] = {0, 0}, padding_high[2] = {0, 0},
               dilation[2] = {1, 1}, groups = 1;
  bool bias = false;  ///< the last input is one value for each output channel, added
  bool relu = false;  ///< max(result, 0) at the end
  AllowedPrecision allowed;
  void* context = nullptr;  ///< DeviceBackend::native_context()
};

/// A library call made ready: primitives created, weights not yet packed. Thread-compatible; run by
/// one queue.
class PreparedCall {
 public:
  virtual ~PreparedCall();
  virtual std::int64_t workspace_bytes() const { return 0; }
  /// Runs on the device's queue. Pointers as in LibraryCall::inputs, output, workspace.
  virtual void run(std::span<const void* const> inputs, void* output, void* workspace) = 0;
  /// On a device with a queue of the vendor's: enqueues the call there and returns. What `queue`
  /// and the pointers are is settled between a backend and the modules of its vendor's libraries,
  /// as is what native_context() gives. RefusedCall when the library will not.
  virtual void enqueue(void* queue, std::span<const void* const> inputs, void* output,
                       void* workspace) {
    (void)queue;
    run(inputs, output, workspace);
  }
  /// The same for a caller who knows which inputs stay as they are: versions[i] is 0, or a number
  /// that never comes back for other values (the creation number of an evaluated node). What
  /// depends on weights alone, such as their packed copy, is then made once.
  virtual void run_versioned(std::span<const void* const> inputs,
                             std::span<const std::uint64_t> versions, void* output,
                             void* workspace) {
    (void)versions;
    run(inputs, output, workspace);
  }
};

/// One routine of a vendor library: a candidate of the planner. One routine a file: check, choose,
/// set, launch.
class LibraryRoutine {
 public:
  virtual ~LibraryRoutine();
  virtual std::string_view name() const = 0;  ///< "onednn.convolution"
  /// True when this routine does exactly that call, in those layouts.
  virtual bool accepts(const LibraryCall& call) const = 0;
  /// True when this routine wants images channels-last (strides of NHWC) for this call.
  virtual bool prefers_channels_last(const LibraryCall& call) const {
    (void)call;
    return false;
  }
  virtual std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const = 0;
};

/// One step of a plan, resolved: what the device runs.
struct LaunchStep {
  enum class Kind : std::uint8_t { kernel, library, copy, fill };
  Kind kind = Kind::kernel;
  const Executable* executable = nullptr;
  PreparedCall* call = nullptr;
  std::int64_t extent[3] = {1, 1, 1};  ///< items or blocks, as the Program's domain says
  std::vector<std::byte*>
      pointers;  ///< kernel: its buffers; library: inputs..., output, workspace; copy: from, to
  std::vector<std::uint64_t> parameters;  ///< each scalar's bits
  std::vector<std::uint64_t>
      versions;  ///< library: of each input, as PreparedCall::run_versioned says; or empty
  std::int64_t bytes = 0;  ///< copy, fill; kernel: bytes read and written, for logs
  std::string_view name;
  bool overwrites = false;  ///< writes where values were before the submission
};

/// A list of steps. Steps run in order.
struct Submission {
  std::vector<LaunchStep> steps;
  /// What the pointers point into. A device that runs in order may let go of it at once: the pool
  /// gives memory to later submissions alone, and none back before the device is idle.
  std::vector<BufferRef> keep_alive;
  std::vector<std::uint64_t> after;   ///< what it reads comes from these tickets: where one failed,
                                      ///< nothing runs and this fails with the same exception
  std::shared_ptr<const void> owner;  ///< of the executables, calls and names
  /// A place of the owner's, where the device may keep what it makes of these steps: they come
  /// again with other pointers and parameters, and nothing else changed.
  std::shared_ptr<void>* memo = nullptr;
};

/// A device. Implementations: backends/*/device. Every method may be called from any thread.
class DeviceBackend {
 public:
  virtual ~DeviceBackend();
  virtual std::string name() const = 0;  ///< "cpu:0"
  virtual std::string description() const = 0;
  virtual bool can_run() const = 0;
  virtual const DeviceLimits& limits() const = 0;

  /// Uninitialised memory from the device itself, aligned to 64 bytes; the pool (core/memory) is in
  /// front of it. Returns nullptr when there is none left.
  virtual std::byte* allocate(std::size_t bytes) = 0;
  virtual void release(std::byte* pointer, std::size_t bytes) = 0;

  /// Copies what is at `from` here into the host's memory, after everything queued before; returns
  /// when it is there. With host memory there is no need to override it, or its reverse: nobody is
  /// at work on what is copied.
  virtual void copy_to_host(const std::byte* from, void* to, std::size_t bytes);
  /// The reverse, before everything queued later; the host may reuse `from` when it returns.
  virtual void copy_from_host(const void* from, std::byte* to, std::size_t bytes);

  /// Copies what is at `from` on `source` straight to `to` here: after everything queued at either
  /// before, before everything queued at either later. False when the only way is through the host.
  virtual bool copy_from_device(DeviceBackend& source, const std::byte* from, std::byte* to,
                                std::size_t bytes);
  /// What the vendor's libraries know the device by, such as a context or a command queue; nullptr
  /// when there is no such thing.
  virtual void* native_context() { return nullptr; }
  /// The device that does the work: this one, unless it is another listed a second time.
  virtual DeviceBackend& original() { return *this; }

  /// Everything that decides this device's code besides the Program: part of every cache key.
  virtual std::string code_identity() const = 0;
  /// Compiles. CompileError carries the log and the numbered source.
  virtual ExecutableRef compile(const jit::Program& program) = 0;
  /// From Executable::object(); nullptr when it is damaged or of another machine.
  virtual ExecutableRef load(std::span<const std::byte> object, const jit::Program& program) = 0;
  /// The code of a program, for explain() and NOYAU_DEBUG.
  virtual std::string code(const jit::Program& program) = 0;

  /// Queues the steps after everything queued before; returns its ticket. Small work may run at
  /// once. RefusedCall (core/refused_call.hpp) when a library refused a call before any step
  /// overwrote something: what was queued counts for nothing, and another plan may be submitted.
  virtual std::uint64_t submit(Submission submission) = 0;
  /// True when everything up to `ticket` has run.
  virtual bool done(std::uint64_t ticket) const = 0;
  /// Waits for it; throws what failed there, each time (core/failures).
  virtual void wait(std::uint64_t ticket) = 0;
  /// Waits for everything; throws the oldest failure that nobody was told of.
  virtual void synchronize() = 0;
};

}  // namespace noyau
