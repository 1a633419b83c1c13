// What CUDA text needs to be C++: thread numbers, a barrier, lane exchange, atomics. Threads of a
// block are threads; blocks run one after the other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(n)
#define __align__(n) __attribute__((aligned(n)))

struct noyau_dim {
  unsigned x = 0, y = 0, z = 0;
};
inline thread_local noyau_dim threadIdx, blockIdx;
inline noyau_dim blockDim, gridDim;
alignas(16) inline unsigned char noyau_shared[1 << 16];

/// float4 and the like: aligned to all their bytes.
#define NOYAU_VECTOR(name, type)                                          \
  struct alignas(2 * sizeof(type)) name##2 {                              \
    type x, y;                                                            \
  };                                                                      \
  struct alignas(4 * sizeof(type) > 16 ? 16 : 4 * sizeof(type)) name##4 { \
    type x, y, z, w;                                                      \
  };                                                                      \
  inline name##2 make_##name##2(type x, type y) { return {x, y}; }        \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
NOYAU_VECTOR(uchar, unsigned char)
NOYAU_VECTOR(char, signed char)
NOYAU_VECTOR(short, short)
NOYAU_VECTOR(int, int)
NOYAU_VECTOR(longlong, long long)
NOYAU_VECTOR(ushort, unsigned short)
NOYAU_VECTOR(uint, unsigned int)
NOYAU_VECTOR(ulonglong, unsigned long long)
NOYAU_VECTOR(float, float)
NOYAU_VECTOR(double, double)
#undef NOYAU_VECTOR

using std::ceil, std::fabs, std::floor, std::fma, std::fmod, std::rint, std::sqrt, std::trunc;

namespace noyau_shim {

struct Gang {
  explicit Gang(int lanes) : together(lanes), count(lanes) {}
  std::barrier<> together;
  int count;
  std::uint64_t values[32] = {};
};
struct Block {
  explicit Block(int threads) : together(threads) {
    for (int first = 0; first < threads; first += 32) {
      gangs.push_back(std::make_unique<Gang>(threads - first < 32 ? threads - first : 32));
    }
  }
  std::barrier<> together;
  std::vector<std::unique_ptr<Gang>> gangs;
};
inline Block* block = nullptr;

inline int thread() {
  return static_cast<int>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
}
/// Everybody's value, in the order of lanes; `use` runs between two barriers.
template <class Use>
auto exchange(unsigned mask, std::uint64_t mine, Use use) {
  Gang& gang = *block->gangs[static_cast<std::size_t>(thread() / 32)];
  if (mask != (gang.count == 32 ? ~0u : (1u << gang.count) - 1)) std::abort();
  gang.values[thread() % 32] = mine;
  gang.together.arrive_and_wait();
  const auto result = use(gang);
  gang.together.arrive_and_wait();
  return result;
}

}  // namespace noyau_shim

inline void __syncthreads() { noyau_shim::block->together.arrive_and_wait(); }
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return noyau_shim::exchange(mask, bits, [&](const noyau_shim::Gang& gang) {
    T got;
    std::memcpy(&got, &gang.values[lane], sizeof got);
    return got;
  });
}
inline int __any_sync(unsigned mask, int c) {
  return noyau_shim::exchange(mask, c != 0, [](const noyau_shim::Gang& gang) {
    int any = 0;
    for (int k = 0; k < gang.count; ++k) any |= gang.values[k] != 0;
    return any;
  });
}
inline int __all_sync(unsigned mask, int c) { return !__any_sync(mask, !c); }

template <class T, class Next>
T noyau_update(T* p, Next next) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  std::atomic_ref<T> at(*p);
  T old = at.load();
  while (!at.compare_exchange_weak(old, next(old))) {
  }
  return old;
}
template <class T>
T atomicAdd(T* p, T v) {
  return noyau_update(p, [=](T o) { return T(o + v); });
}
template <class T>
T atomicMin(T* p, T v) {
  return noyau_update(p, [=](T o) { return o < v ? o : v; });
}
template <class T>
T atomicMax(T* p, T v) {
  return noyau_update(p, [=](T o) { return o < v ? v : o; });
}
template <class T>
T atomicAnd(T* p, T v) {
  return noyau_update(p, [=](T o) { return T(o & v); });
}
template <class T>
T atomicOr(T* p, T v) {
  return noyau_update(p, [=](T o) { return T(o | v); });
}
template <class T>
T atomicXor(T* p, T v) {
  return noyau_update(p, [=](T o) { return T(o ^ v); });
}
template <class T>
T atomicExch(T* p, T v) {
  return noyau_update(p, [=](T) { return v; });
}
template <class T>
T atomicCAS(T* p, T e, T v) {
  return noyau_update(p, [=](T o) { return o == e ? v : o; });
}

/// The threads live for the whole grid; barriers let them go from block to block together.
template <class Kernel>
void noyau_shim_run(const int* grid, const int* size, Kernel kernel) {
  const int threads = size[0] * size[1] * size[2], blocks = grid[0] * grid[1] * grid[2];
  blockDim = {unsigned(size[0]), unsigned(size[1]), unsigned(size[2])};
  gridDim = {unsigned(grid[0]), unsigned(grid[1]), unsigned(grid[2])};
  noyau_shim::Block block(threads);
  noyau_shim::block = &block;
  const auto work = [&](int t) {
    threadIdx = {unsigned(t) % blockDim.x, unsigned(t) / blockDim.x % blockDim.y,
                 unsigned(t) / blockDim.x / blockDim.y};
    for (int b = 0; b < blocks; ++b) {
      blockIdx = {unsigned(b) % gridDim.x, unsigned(b) / gridDim.x % gridDim.y,
                  unsigned(b) / gridDim.x / gridDim.y};
      kernel();
      block.together.arrive_and_wait();
    }
  };
  if (threads == 1) return work(0);
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) running.emplace_back(work, t);
  for (std::thread& thread : running) thread.join();
}
