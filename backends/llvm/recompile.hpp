// The thread that gives hot kernels the code of tier 1 while they run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

namespace noyau::llvm_backend {

class Kernel;

/// Started with the first hot kernel; one kernel at a time, at a lower priority than the work.
class Recompiler {
 public:
  /// Improves the kernel some time, if it still lives then. Without a thread it stays as it is.
  void add(std::weak_ptr<const Kernel> kernel) noexcept;
  /// At exit: finishes the kernel at hand, gives up the others, ends the thread.
  void finish();

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::weak_ptr<const Kernel>> waiting_;
  bool started_ = false, stopping_ = false;
  pthread_t thread_{};
};

/// The one of the process; leaked, as everything that outlives main is.
Recompiler& recompiler();

/// To be called by who submits work. exit() may destroy what LLVM made while it compiled before it
/// comes to our function of atexit, but first of all it destroys the main thread's own objects: one
/// of them ends the recompiler.
void end_recompiler_with_main_thread();

}  // namespace noyau::llvm_backend
