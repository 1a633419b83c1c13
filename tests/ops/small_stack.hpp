// Runs a function in a thread with a stack of 256 KiB: what recurses over a long graph dies there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <functional>

namespace noyau {

inline void with_small_stack(std::function<void()> work) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  pthread_t thread;
  auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  pthread_create(&thread, &attributes, run, &work);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

}  // namespace noyau
