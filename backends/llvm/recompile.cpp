// The thread that gives hot kernels the code of tier 1 while they run.
// SPDX-License-Identifier: Apache-2.0
#include "backends/llvm/recompile.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <exception>

#include "backends/llvm/compiler.hpp"
#include "backends/llvm/stack.hpp"
#include "core/forked.hpp"
#include "core/log.hpp"

namespace noyau::llvm_backend {

void Recompiler::add(std::weak_ptr<const Kernel> kernel) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (!started_) thread_ = start_thread([this] { loop(); });
    started_ = true;
    waiting_.push_back(std::move(kernel));
    more_.notify_one();
  } catch (const std::exception& e) {
    logging::write(3, e.what());  // the code there is does the same, only more slowly
  }
}

void Recompiler::loop() {
  constexpr int lower_priority = 10;
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), lower_priority);
  std::unique_lock lock(mutex_);
  for (;;) {
    more_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    const std::weak_ptr<const Kernel> next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    if (const std::shared_ptr<const Kernel> kernel = next.lock()) kernel->improve();
    lock.lock();
  }
}

void Recompiler::finish() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    waiting_.clear();
    if (!started_) return;
  }
  more_.notify_one();
  // The compiler has no way to be stopped; what it is given takes about a second at most.
  pthread_join(thread_, nullptr);
}

void end_recompiler_with_main_thread() {
  struct End {
    bool main = gettid() == getpid();
    ~End() {
      if (main && !is_forked_child()) recompiler().finish();
    }
  };
  thread_local const End end;
}

Recompiler& recompiler() {
  static auto* const made = new Recompiler;
  return *made;
}

}  // namespace noyau::llvm_backend
