// Running steps: kernels in chunks on the team, copies, library calls; and the queue in front.
// SPDX-License-Identifier: Apache-2.0
#include "backends/llvm/launch.hpp"

#include <fmt/format.h>
#include <immintrin.h>
#include <omp.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "backends/llvm/stack.hpp"
#include "backends/llvm/threads.hpp"
#include "core/forked.hpp"
#include "core/log.hpp"
#include "noyau/error.hpp"

namespace noyau::llvm_backend {
namespace {

using Clock = std::chrono::steady_clock;

/// Work below this is not worth a hand-off to another thread; below the second, not to a team.
constexpr double inline_nanoseconds = 8'000, parallel_nanoseconds = 10'000;
constexpr auto spin_time = std::chrono::microseconds(60);

/// Spins for spin_time until `ready`.
template <class Ready>
bool spin_until(Ready ready) {
  const auto end = Clock::now() + spin_time;
  do {
    for (int k = 0; k < 32; ++k) {
      if (ready()) return true;
      _mm_pause();
    }
  } while (Clock::now() < end);
  return ready();
}

/// Kernels keep denormals and round to nearest, whatever the user's thread is set to.
class FloatEnvironment {
 public:
  FloatEnvironment() : saved_(_mm_getcsr()) {
    if ((saved_ & ~flags) != normal) _mm_setcsr(normal);
  }
  ~FloatEnvironment() {
    if ((saved_ & ~flags) != normal) _mm_setcsr(saved_);
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  static constexpr unsigned normal = 0x1f80, flags = 0x3f;
  unsigned saved_;
};

std::size_t rounded_to_line(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

std::size_t bytes_of(const LocalArray& array, const LaunchStep& step) {
  std::int64_t elements = array.elements;
  if (array.size_parameter >= 0) {
    elements =
        static_cast<std::int64_t>(step.parameters[static_cast<std::size_t>(array.size_parameter)]);
  }
  if (elements < 0 || elements > (std::int64_t{1} << 40)) {
    throw LaunchError(fmt::format("launch of kernel '{}': an array of the block has {} elements",
                                  step.name, elements));
  }
  return rounded_to_line(static_cast<std::size_t>(elements) * array.element_bytes);
}

struct KernelLaunch {
  const Kernel* kernel;
  const LaunchStep* step;
  void* const* tables;
  ErrorWord error;
};

void run_chunk(void* context, Chunk chunk) {
  auto& launch = *static_cast<KernelLaunch*>(context);
  const FloatEnvironment environment;
  void* const* table =
      launch.tables + static_cast<std::size_t>(chunk.worker) * launch.kernel->memory_objects;
  launch.kernel->entry()(table, launch.step->parameters.data(), chunk.begin, chunk.end,
                         launch.step->extent, &launch.error);
}

/// A copy or a fill of whole bytes.
struct BytesWork {
  const LaunchStep* step;
  static constexpr std::int64_t unit = 1 << 16;
};
void run_bytes(void* context, Chunk chunk) {
  const LaunchStep& step = *static_cast<BytesWork*>(context)->step;
  const std::int64_t begin = chunk.begin * BytesWork::unit;
  const auto size =
      static_cast<std::size_t>(std::min(chunk.end * BytesWork::unit, step.bytes) - begin);
  if (step.kind == LaunchStep::Kind::copy) {
    std::memcpy(step.pointers[1] + begin, step.pointers[0] + begin, size);
  } else {
    const int byte = step.parameters.empty() ? 0 : static_cast<int>(step.parameters[0] & 0xff);
    std::memset(step.pointers[0] + begin, byte, size);
  }
}

}  // namespace

double estimated_nanoseconds(const LaunchStep& step) {
  constexpr double of_instruction = 0.7, of_byte = 0.04, of_launch = 50;
  const double moving = of_byte * static_cast<double>(step.bytes);
  if (step.kind == LaunchStep::Kind::library) return 1e9;  // never on the caller: it has a team
  if (step.kind != LaunchStep::Kind::kernel) return of_launch + moving;
  const auto& kernel = static_cast<const Kernel&>(*step.executable);
  const double computing = of_instruction * static_cast<double>(kernel.units(step.extent)) *
                           static_cast<double>(kernel.cost_of_unit);
  return of_launch + std::max(computing, moving);
}

// ---- StepRunner

StepRunner::~StepRunner() { std::free(arena_); }

void StepRunner::reserve(std::size_t bytes) {
  if (bytes <= arena_bytes_) return;
  std::free(arena_);
  arena_bytes_ = 0;
  arena_ = static_cast<std::byte*>(std::aligned_alloc(64, rounded_to_line(bytes)));
  if (arena_ == nullptr) {
    throw OutOfMemory(
        fmt::format("launch: no {} bytes for the shared and private arrays of a kernel", bytes));
  }
  arena_bytes_ = bytes;
}

int StepRunner::workers_for(std::int64_t units, double nanoseconds) const {
  if (threads_ <= 1 || units < 2 || nanoseconds < parallel_nanoseconds) return 1;
  return static_cast<int>(std::min<std::int64_t>(threads_, units));
}

/// One table of pointers for each worker: the buffers, and arrays of its own.
void* const* StepRunner::memory_table(const Kernel& kernel, const LaunchStep& step, int workers) {
  const std::size_t objects = kernel.memory_objects;
  tables_.assign(objects * static_cast<std::size_t>(workers), nullptr);
  std::size_t each = 0;
  for (const LocalArray& array : kernel.local) each += bytes_of(array, step);
  reserve(each * static_cast<std::size_t>(workers));
  std::byte* free = arena_;
  for (std::size_t w = 0; w < static_cast<std::size_t>(workers); ++w) {
    void** table = tables_.data() + w * objects;
    for (std::size_t k = 0; k < kernel.buffers.size(); ++k) {
      table[kernel.buffers[k]] = step.pointers[k];
    }
    for (const LocalArray& array : kernel.local) {
      table[array.memory_object] = free;
      free += bytes_of(array, step);
    }
  }
  return tables_.data();
}

void StepRunner::run_kernel(const LaunchStep& step) {
  const auto& kernel = static_cast<const Kernel&>(*step.executable);
  if (step.pointers.size() != kernel.buffers.size()) {
    throw InternalError(fmt::format("launch of kernel '{}': {} buffers given, it has {}",
                                    kernel.name, step.pointers.size(), kernel.buffers.size()));
  }
  const std::int64_t units = kernel.units(step.extent);
  if (units == 0) return;
  const double estimate = estimated_nanoseconds(step);
  const int workers = workers_for(units, estimate);
  KernelLaunch launch{&kernel, &step, memory_table(kernel, step, workers), {}};
  if (!kernel.may_improve()) {
    parallel_for(units, workers, run_chunk, &launch);
  } else if (estimate < inline_nanoseconds) {  // a look at the clock would be dear
    parallel_for(units, workers, run_chunk, &launch);
    kernel.ran(static_cast<std::int64_t>(estimate));
  } else {
    const auto start = Clock::now();
    parallel_for(units, workers, run_chunk, &launch);
    kernel.ran(std::chrono::nanoseconds(Clock::now() - start).count());
  }
  if (launch.error.code != 0) {
    throw index_fault(kernel.name, launch.error.code, launch.error.detail);
  }
}

void StepRunner::run(const LaunchStep& step) {
  if (logging::level() < 2) return run_step(step);
  const auto start = std::chrono::steady_clock::now();
  run_step(step);
  const double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  log_run(step.name, ms, step.bytes);
}

void StepRunner::run_step(const LaunchStep& step) {
  pass_launch_fault_point(step.name);
  switch (step.kind) {
    case LaunchStep::Kind::kernel:
      run_kernel(step);
      return;
    case LaunchStep::Kind::library: {
      if (step.pointers.size() < 2) {
        throw InternalError(fmt::format(
            "launch of '{}': a library call needs inputs, output, workspace", step.name));
      }
      const std::size_t inputs = step.pointers.size() - 2;
      std::vector<const void*> in(step.pointers.begin(),
                                  step.pointers.begin() + static_cast<std::ptrdiff_t>(inputs));
      if (step.versions.empty()) {
        step.call->run(in, step.pointers[inputs], step.pointers[inputs + 1]);
      } else {
        step.call->run_versioned(in, step.versions, step.pointers[inputs],
                                 step.pointers[inputs + 1]);
      }
      return;
    }
    default: {
      const std::int64_t units = (step.bytes + BytesWork::unit - 1) / BytesWork::unit;
      if (units == 0) return;
      BytesWork work{&step};
      parallel_for(units, workers_for(units, estimated_nanoseconds(step)), run_bytes, &work);
    }
  }
}

// ---- Queue

Queue::Queue() : noyau::Queue("cpu:0"), inline_runner_(1) {}

void Queue::start() {
  thread_ = start_thread([this] { loop(); });
  started_ = true;
}

std::uint64_t Queue::submit(Submission submission) {
  check_process(device_);
  double nanoseconds = 0;
  for (const LaunchStep& step : submission.steps) nanoseconds += estimated_nanoseconds(step);
  Job job;
  job.submission = std::move(submission);
  job.submission.keep_alive.clear();  // so that the next submission's temporaries lie there, too
  std::unique_lock lock(mutex_);
  if (stopping_.load(std::memory_order_relaxed)) {
    throw DeviceError("cpu:0: work was submitted while the process ends");
  }
  const bool idle = completed_.load(std::memory_order_acquire) == last_;
  if (idle && nanoseconds <= inline_nanoseconds) {
    job.ticket = ++last_;
    run(inline_runner_, job);
    lock.unlock();  // before the submission's memory goes
    return job.ticket;
  }
  if (!started_) start();
  const std::uint64_t ticket = job.ticket = last_ + 1;
  jobs_.push_back(std::move(job));
  last_ = ticket;
  submitted_.store(ticket, std::memory_order_release);
  lock.unlock();
  work_.notify_one();
  return ticket;
}

/// Runs a job and marks it done. On the queue's thread what it holds goes first.
void Queue::run(StepRunner& runner, Job& job) {
  std::exception_ptr failure = failures_.of(job.submission.after);
  const bool inherited = failure != nullptr;
  if (!inherited) {
    try {
      for (const LaunchStep& step : job.submission.steps) runner.run(step);
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (&runner != &inline_runner_) job.submission = {};
  if (failure) failures_.add(job.ticket, std::move(failure), inherited);
  complete(job.ticket);
}

void Queue::complete(std::uint64_t ticket) {
  completed_.store(ticket, std::memory_order_seq_cst);
  if (waiting_.load(std::memory_order_seq_cst) > 0) {
    { const std::lock_guard lock(waiting_mutex_); }  // nobody is between its check and its sleep
    done_.notify_all();
  }
}

/// The next job: spins a little, then sleeps. False when the queue ends.
bool Queue::take(Job& job) {
  const std::uint64_t seen = completed_.load(std::memory_order_relaxed);
  spin_until([&] {
    return submitted_.load(std::memory_order_acquire) > seen ||
           stopping_.load(std::memory_order_relaxed);
  });
  std::unique_lock lock(mutex_);
  work_.wait(lock, [&] { return !jobs_.empty() || stopping_.load(std::memory_order_relaxed); });
  if (jobs_.empty()) return false;
  job = std::move(jobs_.front());
  jobs_.pop_front();
  return true;
}

void Queue::loop() {
  omp_set_num_threads(thread_count());
  omp_set_dynamic(0);
  StepRunner runner(thread_count());
  Job job;
  while (take(job)) run(runner, job);
  ended_.store(true, std::memory_order_release);
}

void Queue::wait_for(std::uint64_t ticket) {
  if (spin_until([&] { return done(ticket); })) return;
  std::unique_lock lock(waiting_mutex_);
  waiting_.fetch_add(1, std::memory_order_seq_cst);
  // After the count above: either the queue sees that somebody waits, or we see that it is done.
  done_.wait(lock, [&] {
    return completed_.load(std::memory_order_seq_cst) >= ticket ||
           ended_.load(std::memory_order_acquire);
  });
  waiting_.fetch_sub(1, std::memory_order_seq_cst);
}

void Queue::stop(bool idle) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_.exchange(true) || !started_) return;
    jobs_.clear();
  }
  work_.notify_all();
  if (idle) pthread_join(thread_, nullptr);
}

}  // namespace noyau::llvm_backend
