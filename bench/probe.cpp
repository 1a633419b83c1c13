// Probes with the host's widest vectors.
// SPDX-License-Identifier: Apache-2.0
#include "bench/probe.hpp"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

namespace bench {
namespace {

constexpr std::size_t elements = std::size_t{1} << 24;
constexpr double flops = 8589934592.0;
constexpr double slices = 8;  // a pass of the fma probe does this share of the flops
volatile float sink;

#define WIDE __attribute__((target("avx512f")))

WIDE void triad_512(const float* a, const float* b, float* o, std::size_t n) {
  const __m512 s = _mm512_set1_ps(1.0001f);
  for (std::size_t i = 0; i < n; i += 16)
    _mm512_stream_ps(o + i, _mm512_fmadd_ps(s, _mm512_load_ps(b + i), _mm512_load_ps(a + i)));
}
WIDE void copy_512(const float* a, float* o, std::size_t n) {
  for (std::size_t i = 0; i < n; i += 16) _mm512_stream_ps(o + i, _mm512_load_ps(a + i));
}
WIDE float sum_512(__m512 v) {
  alignas(64) float lanes[16];
  _mm512_store_ps(lanes, v);
  float total = 0;
  for (float lane : lanes) total += lane;
  return total;
}
WIDE float read_512(const float* a, std::size_t n) {
  __m512 t[8] = {};
  for (std::size_t i = 0; i < n; i += 128)
#pragma GCC unroll 8
    for (std::size_t k = 0; k < 8; ++k) t[k] = _mm512_add_ps(t[k], _mm512_load_ps(a + i + 16 * k));
  for (std::size_t k = 1; k < 8; ++k) t[0] = _mm512_add_ps(t[0], t[k]);
  return sum_512(t[0]);
}
WIDE float fma_512(std::size_t n) {
  const __m512 s = _mm512_set1_ps(0.999f);
  __m512 t[16];
  for (int k = 0; k < 16; ++k) t[k] = _mm512_set1_ps(0.5f + static_cast<float>(k));
  for (std::size_t i = 0; i < n; i += 256)  // 16 vectors of 16 lanes
#pragma GCC unroll 16
    for (auto& v : t) v = _mm512_fmadd_ps(v, s, s);
  for (int k = 1; k < 16; ++k) t[0] = _mm512_add_ps(t[0], t[k]);
  return sum_512(t[0]);
}

#define NARROW __attribute__((target("avx2,fma")))

NARROW void triad_256(const float* a, const float* b, float* o, std::size_t n) {
  const __m256 s = _mm256_set1_ps(1.0001f);
  for (std::size_t i = 0; i < n; i += 8)
    _mm256_stream_ps(o + i, _mm256_fmadd_ps(s, _mm256_load_ps(b + i), _mm256_load_ps(a + i)));
}
NARROW void copy_256(const float* a, float* o, std::size_t n) {
  for (std::size_t i = 0; i < n; i += 8) _mm256_stream_ps(o + i, _mm256_load_ps(a + i));
}
NARROW float sum_256(__m256 v) {
  alignas(32) float lanes[8];
  _mm256_store_ps(lanes, v);
  float total = 0;
  for (float lane : lanes) total += lane;
  return total;
}
NARROW float read_256(const float* a, std::size_t n) {
  __m256 t[8] = {};
  for (std::size_t i = 0; i < n; i += 64)
#pragma GCC unroll 8
    for (std::size_t k = 0; k < 8; ++k) t[k] = _mm256_add_ps(t[k], _mm256_load_ps(a + i + 8 * k));
  for (std::size_t k = 1; k < 8; ++k) t[0] = _mm256_add_ps(t[0], t[k]);
  return sum_256(t[0]);
}
NARROW float fma_256(std::size_t n) {
  const __m256 s = _mm256_set1_ps(0.999f);
  __m256 t[12];
  for (int k = 0; k < 12; ++k) t[k] = _mm256_set1_ps(0.5f + static_cast<float>(k));
  for (std::size_t i = 0; i < n; i += 96)  // 12 vectors of 8 lanes
#pragma GCC unroll 16
    for (auto& v : t) v = _mm256_fmadd_ps(v, s, s);
  for (int k = 1; k < 12; ++k) t[0] = _mm256_add_ps(t[0], t[k]);
  return sum_256(t[0]);
}

/// The arrays of the probes: pages touched, huge where the system gives them.
float* memory(int which) {
  static float* arrays[3] = {};
  if (arrays[which] == nullptr) {
    arrays[which] =
        static_cast<float*>(std::aligned_alloc(std::size_t{2} << 20, elements * sizeof(float)));
    for (std::size_t i = 0; i < elements; ++i)
      arrays[which][i] = static_cast<float>(i % 1000) * 0.001f;
  }
  return arrays[which];
}

void pass(Probe probe, std::size_t from, std::size_t count) {
  static const bool wide = __builtin_cpu_supports("avx512f");
  const float *a = memory(0) + from, *b = memory(1) + from;
  float* o = memory(2) + from;
  switch (probe) {
    case Probe::triad:
      wide ? triad_512(a, b, o, count) : triad_256(a, b, o, count);
      break;
    case Probe::copy:
      wide ? copy_512(a, o, count) : copy_256(a, o, count);
      break;
    case Probe::read:
      sink = wide ? read_512(a, count) : read_256(a, count);
      break;
    case Probe::fma:
      sink = wide ? fma_512(count) : fma_256(count);
      break;
  }
  _mm_sfence();
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

double probe_seconds(Probe probe, int threads) {
  for (int k = 0; k < 3; ++k) memory(k);
  constexpr int passes = 5;
  const std::size_t total =
      probe == Probe::fma ? static_cast<std::size_t>(flops / 2 / slices) : elements;
  const std::size_t share = total / static_cast<std::size_t>(threads) / 512 * 512;
  std::vector<double> start(static_cast<std::size_t>(threads * passes)), end(start);
  std::atomic<int> arrived{0};
  const auto work = [&](int id) {
    for (int p = 0; p < passes; ++p) {
      arrived.fetch_add(1);
      while (arrived.load() < (p + 1) * threads) _mm_pause();
      const auto slot = static_cast<std::size_t>(p * threads + id);
      start[slot] = now();
      pass(probe, probe == Probe::fma ? 0 : share * static_cast<std::size_t>(id), share);
      end[slot] = now();
    }
  };
  std::vector<std::thread> team;
  for (int id = 1; id < threads; ++id) team.emplace_back(work, id);
  work(0);
  for (std::thread& t : team) t.join();
  double best = 1e9;
  for (int p = 0; p < passes; ++p) {
    const auto first = start.begin() + p * threads, last = end.begin() + p * threads;
    best = std::min(
        best, *std::max_element(last, last + threads) - *std::min_element(first, first + threads));
  }
  // The share left over by rounding, and for fma the part of 2^33 flops that one pass did.
  const double done = static_cast<double>(share) * threads / static_cast<double>(total);
  return best / done * (probe == Probe::fma ? slices : 1.0);
}

double limit_ms(Probe probe, double amount, int threads) {
  const double seconds = probe_seconds(probe, threads);
  const double n = static_cast<double>(elements);
  const double done = probe == Probe::triad  ? 12 * n
                      : probe == Probe::copy ? 8 * n
                      : probe == Probe::read ? 4 * n
                                             : flops;
  return 1e3 * seconds * amount / done;
}

}  // namespace bench
